"""Images as data URLs: the pixels that a server decodes are those of the task."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.models.openai import pictures
from boxlist.models.openai.pictures import image_url_part

if TYPE_CHECKING:
    from pathlib import Path


def scene(mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(3).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def sent(part: dict[str, Any]) -> tuple[str, bytes]:
    """Media type and bytes of the data URL."""
    found = image_url_part(part, "doc")
    assert found["type"] == "image_url"
    media, _, content = found["image_url"]["url"].removeprefix("data:").partition(";base64,")
    return media, base64.b64decode(content, validate=True)


def rgb(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB").tobytes()


@pytest.mark.parametrize(("name", "media"), [("a.png", "image/png"), ("a.jpg", "image/jpeg")])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_files_go_as_they_are(tmp_path: Path, name: str, media: str, mode: str) -> None:
    path = tmp_path / name
    scene(mode).save(path)
    with Image.open(path) as opened:
        part = {"url": opened.convert("RGB"), "file": str(path)}
    assert sent(part) == (media, path.read_bytes())
    assert sent({"url": str(path)}) == (media, path.read_bytes())


def test_pixels_without_a_file_go_as_png() -> None:
    media, content = sent({"url": scene()})
    assert (media, rgb(content)) == ("image/png", scene().tobytes())


@pytest.mark.parametrize("kind", ["transparent", "palette", "cmyk", "turned", "bmp", "other", "gone", "cut", "moving"])
def test_files_that_a_server_may_see_otherwise_go_as_png(tmp_path: Path, kind: str) -> None:
    """Servers lay transparency on white and turn photographs; `boxlist_hf` does neither."""
    path = tmp_path / {"bmp": "a.bmp", "cmyk": "a.jpg", "turned": "a.jpg"}.get(kind, "a.png")
    image = scene({"transparent": "RGBA", "palette": "P", "cmyk": "CMYK"}.get(kind, "RGB"))
    options: dict[str, Any] = {}
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6
        options = {"exif": exif}
    elif kind == "moving":
        options = {"save_all": True, "append_images": [image.rotate(90)]}
    image.save(path, **options)
    with Image.open(path) as opened:
        seen = opened.convert("RGB")
    if kind == "other":
        seen = seen.rotate(180)
    elif kind == "gone":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:300])
    media, content = sent({"url": seen, "file": str(path)})
    assert (media, rgb(content)) == ("image/png", seen.tobytes())


def test_large_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    scene().save(path)
    monkeypatch.setattr(pictures, "LARGEST_BYTES", 1 << 10)
    with pytest.raises(InputError, match=r"doc: .*a.png: expected an image of at most 0 MiB, got 0.0 MiB as image/png"):
        image_url_part({"url": scene(), "file": str(path)}, "doc")


def test_unreadable_images() -> None:
    with pytest.raises(InputError, match=r"doc: /no/such.png: expected an image that can be read"):
        image_url_part({"url": "/no/such.png"}, "doc")
