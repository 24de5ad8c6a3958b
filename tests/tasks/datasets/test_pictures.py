from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageFile

from boxlist.errors import InputError
from boxlist.tasks.datasets.pictures import open_picture, whole_pictures_only

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document


def document_of(path: Path) -> Document:
    return {
        "image_id": 1,
        "file": str(path),
        "width": 6,
        "height": 4,
        "objects": [],
        "question": {},
        "sha256": "",
        "pixels_sha256": "",
    }


def save(path: Path, size_wh_px: tuple[int, int] = (6, 4), mode: str = "RGB") -> Path:
    Image.new(mode, size_wh_px, 200 if mode == "L" else (200, 0, 7)).save(path)
    return path


@pytest.mark.parametrize(("mode", "pixel"), [("RGB", [200, 0, 7]), ("L", [200, 200, 200])])
def test_a_picture_is_rgb_and_read_whole(tmp_path: Path, mode: str, pixel: list[int]) -> None:
    path = save(tmp_path / "a.png", mode=mode)
    picture = open_picture(document_of(path))
    path.unlink()
    assert np.asarray(picture).shape == (4, 6, 3)
    assert np.asarray(picture)[3, 5].tolist() == pixel


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:50])
    return path


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("kind", "got"),
    [
        ("missing", "No such file or directory"),
        ("text", "no picture"),
        ("empty", "no picture"),
        ("cut", "image file is truncated"),
        ("turned", "4x6"),
    ],
)
def test_what_is_no_such_picture_is_named(tmp_path: Path, kind: str, got: str) -> None:
    path = tmp_path / "a.png"
    if kind == "turned":
        save(path, (4, 6))
    elif kind == "cut":
        cut(save(path))
    elif kind != "missing":
        write(path, "<html>" if kind == "text" else "")
    with pytest.raises(InputError) as caught:
        open_picture(document_of(path))
    assert str(caught.value).startswith(f"{path}: expected a picture of 6x4 pixels, got {got}")
    assert str(caught.value).endswith("Build the data again: boxlist data build NAME")


def test_a_cut_file_is_refused_even_where_another_library_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.png"
    Image.effect_noise((64, 64), 50).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[:2000])
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(OSError, match="truncated"), whole_pictures_only(), Image.open(path) as image:
        image.load()
    assert ImageFile.LOAD_TRUNCATED_IMAGES
