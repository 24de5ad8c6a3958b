"""Prompts: the model's own protocol, the budget's sentence, and images that cannot be read."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.controls.table import Controls
from boxlist.errors import InputError
from boxlist.models.prompts import build_prompt, open_rgb
from boxlist.protocols import PROTOCOLS

if TYPE_CHECKING:
    from pathlib import Path

YXYX = PROTOCOLS["norm1000_yxyx"]


def user(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


def picture(mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (4, 3))


def test_a_template_is_rendered_in_the_model_s_protocol() -> None:
    text = {"type": "text", "text": "in another protocol", "template": "Where is {subject}? {box_format} {Keep}",
            "question": {"subject": "the {box_format} sign", "counted": "x", "reference": "y"}}  # fmt: skip
    prompt = build_prompt(user({"type": "image", "url": picture()}, text), YXYX, Controls(), "doc 1")
    assert prompt.text == (
        'Where is the {box_format} sign? {"box_2d": [y1, x1, y2, x2], "label": "..."} '
        "in thousandths of the image size, from 0 to 1000 {Keep}"
    )
    assert [part["type"] for part in prompt.messages[0]["content"]] == ["image", "text"]
    assert prompt.messages[0]["content"][1] == {"type": "text", "text": prompt.text}


def test_plain_text_stays_and_the_budget_ends_the_last_user_text() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "First {box_format}."}]},
        *user({"type": "text", "text": "Last."}),
    ]
    prompt = build_prompt(messages, YXYX, Controls(budget=3, repetition_penalty=2.0), "doc 1")
    assert [message["content"][0]["text"] for message in prompt.messages] == [
        "Be brief.", "First {box_format}.", "Last. Return at most 3 objects.",
    ]  # fmt: skip
    assert prompt.text == "First {box_format}.\nLast. Return at most 3 objects."
    assert messages[-1]["content"][0]["text"] == "Last.", "the task's own message is left alone"


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA", "RGB"])
def test_images_become_rgb(mode: str, tmp_path: Path) -> None:
    assert open_rgb(picture(mode), "doc").mode == "RGB"
    path = tmp_path / "image.tiff"
    picture(mode).save(path)
    assert (open_rgb(path, "doc").mode, open_rgb(str(path), "doc").size) == ("RGB", (4, 3))


def noise(path: Path) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "opened"), [("missing", False), ("text", False), ("empty", False), ("cut", False), ("cut", True)]
)
def test_unreadable_images_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, opened: bool) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)  # as importing lmms-eval leaves it
    path = tmp_path / "image.png"
    content = noise(path)
    path.unlink()
    if kind != "missing":
        path.write_bytes({"text": b"not an image", "empty": b"", "cut": content[:2000]}[kind])
    with Image.open(path) if opened else nullcontext(path) as image, pytest.raises(InputError) as caught:
        open_rgb(image, "task x, document 7")
    message = str(caught.value)
    assert message.startswith(f"task x, document 7: {path}: expected an image that can be read, got ")
    assert message.endswith("Replace the file.")


def test_other_content() -> None:
    with pytest.raises(InputError, match=r"doc 1: expected images and text, got video. Use another model for it."):
        build_prompt(user({"type": "video", "url": "x"}, {"type": "text", "text": "?"}), YXYX, Controls(), "doc 1")
    with pytest.raises(InputError, match=r"doc 1: expected a user message with text, got none."):
        build_prompt(user({"type": "image", "url": picture()}), YXYX, Controls(), "doc 1")
    with pytest.raises(InputError, match=r"doc 1: expected an image, got int."):
        build_prompt(user({"type": "image", "url": 5}), YXYX, Controls(), "doc 1")
