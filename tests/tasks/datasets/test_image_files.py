from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets import image_files
from boxlist.tasks.datasets.fingerprints import pixels_sha256
from boxlist.tasks.datasets.image_files import BadImage, ImageRoot, leads_out, read_image_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    Image.new("RGB", (6, 4), "red").save(folder / "a.png")
    Image.new("L", (3, 5), 7).save(folder / "sub" / "b.jpg")
    Image.new("RGB", (2, 2), "blue").save(tmp_path / "outside.png")
    return folder


def test_a_file_is_hashed_by_bytes_and_by_pixels(root: Path) -> None:
    read = read_image_files(root, ["sub/b.jpg", "a.png", "a.png"], "reading")
    assert read.bad == {}
    assert list(read.good) == ["a.png", "sub/b.jpg"]
    file = read.good["sub/b.jpg"]
    content = (root / "sub" / "b.jpg").read_bytes()
    assert (file.width, file.height, file.size) == (3, 5, len(content))
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    with Image.open(root / "sub" / "b.jpg") as image:
        assert file.pixels_sha256 == pixels_sha256(image)


@pytest.mark.parametrize(
    "name",
    ["../outside.png", "/etc/passwd", "sub/../../outside.png", "C:\\x.png", "..\\outside.png", "a\n.png", "", "."],
)
def test_a_name_that_leads_out_is_no_image(root: Path, name: str) -> None:
    assert leads_out(name)
    assert read_image_files(root, [name], "reading").bad[name].fault == "outside"


def test_links_may_not_lead_out_but_may_stay_inside(root: Path) -> None:
    (root / "out.png").symlink_to(root.parent / "outside.png")
    (root / "far").symlink_to(root.parent)
    (root / "in.png").symlink_to(root / "a.png")
    read = read_image_files(root, ["out.png", "far/outside.png", "in.png"], "reading")
    assert list(read.good) == ["in.png"]
    assert read.bad["out.png"] == BadImage("out.png", "outside", "a link out of the image folder")
    assert read.bad["far/outside.png"].detail == "in a folder that is a link out of the image folder"
    with pytest.raises(InputError, match=r"file name 'out\.png': expected a file inside, got a link out of the image"):
        ImageRoot(root).locate("out.png")


def test_a_root_that_is_a_link_itself_is_followed(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    assert list(read_image_files(root.parent / "link", ["a.png"], "reading").good) == ["a.png"]


def cut(path: Path) -> None:
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:-300])


def text(path: Path) -> None:
    path.write_text("no image")


def postscript(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "fault", "detail"),
    [
        (cut, "unreadable", "truncated"),
        (text, "unreadable", "no image of a known format"),
        (postscript, "unreadable", "no image of a known format"),  # Pillow would start Ghostscript
        (folder, "unreadable", "Is a directory"),
        (str, "missing", "no such file"),
    ],
)
def test_what_is_no_whole_image_is_named(root: Path, damage: object, fault: str, detail: str) -> None:
    assert callable(damage)
    damage(root / "x.png")
    bad = read_image_files(root, ["x.png", "a.png"], "reading").bad
    assert list(bad) == ["x.png"]
    assert bad["x.png"].fault == fault
    assert detail in bad["x.png"].detail


def test_an_oversized_image_is_told_by_its_header(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "LARGEST_PIXELS", 20)
    bad = read_image_files(root, ["a.png", "sub/b.jpg"], "reading").bad
    assert bad["a.png"] == BadImage("a.png", "oversized", "6x4 pixels, more than 20")
    assert list(bad) == ["a.png"]
    monkeypatch.setattr(image_files, "LARGEST_BYTES", 10)
    assert read_image_files(root, ["sub/b.jpg"], "reading").bad["sub/b.jpg"].fault == "oversized"


def test_a_decompression_bomb_is_oversized(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (20, 10):  # Pillow warns above its limit and raises above twice that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert read_image_files(root, ["a.png"], "reading").bad["a.png"].fault == "oversized"


def test_many_files_show_their_progress(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read_image_files(root, ["a.png"], "reading them")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(image_files, "_TOLD_FROM", 2)
    read_image_files(root, ["a.png", "none.png"], "reading them")
    assert "reading them: 0/2 images" in capsys.readouterr().err
