from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets import trees as trees_module
from boxlist.tasks.datasets.catalog import build_dataset, dataset_sha256, describe_dataset, documents
from boxlist.tasks.datasets.manifest import read_manifest
from boxlist.tasks.datasets.trees import PHOTOGRAPHS, WHEEL, build, cut
from boxlist.tasks.datasets.voc import VocObject

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = {
    "train": "e3938ba411df12a864869e6488819539c8a210e3bf221d36f4e49bb36efb4533",
    "test": "4957ba39b9081474803cb85d76c881ee773d9fcddfb9b78ccc880c334448ac7a",
}


def tree(x1: float, y1: float, x2: float, y2: float) -> VocObject:
    return VocObject("Tree", (x1, y1, x2, y2))


def test_an_even_grid_without_gap_or_overlap() -> None:
    tiles = cut((1249, 1035), ())
    assert len(tiles) == 6 * 5
    covered = np.zeros((1035, 1249), dtype=int)
    for tile in tiles:
        x1, y1, x2, y2 = tile.place_xyxy_px
        covered[y1:y2, x1:x2] += 1
        assert abs(x2 - x1 - 208) <= 1
        assert y2 - y1 == 207
    assert (covered == 1).all()


def test_a_small_photograph_is_one_tile() -> None:
    assert [tile.place_xyxy_px for tile in cut((100, 90), ())] == [(0, 0, 100, 90)]


def test_a_box_goes_to_the_tile_of_its_centre_and_is_clipped() -> None:
    # two tiles side by side, cut at x = 200; the centre of the second box lies on the cut
    left, right = cut((400, 200), (tree(150, 10, 230, 50), tree(180, 60, 220, 100)), tile_px=200)
    assert left.objects == ({"label": "tree", "box_xyxy_px": [150, 10, 200, 50], "name": "Tree", "visible": 0.625},)
    assert right.objects == ({"label": "tree", "box_xyxy_px": [0, 60, 20, 100], "name": "Tree", "visible": 0.5},)


def test_a_box_centred_outside_goes_nowhere() -> None:
    assert cut((100, 100), (tree(90, 0, 120, 10),), tile_px=100)[0].objects == ()


@pytest.mark.usefixtures("trees")
class TestTheBuiltSet:
    def test_boxes_lie_on_their_tiles(self) -> None:
        for split in ("train", "test"):
            for document in documents("trees", split):
                with Image.open(document["file"]) as image:
                    assert image.size == (document["width"], document["height"])
                for item in document["objects"]:
                    x1, y1, x2, y2 = item["box_xyxy_px"]
                    assert 0 <= x1 < x2 <= document["width"]
                    assert 0 <= y1 < y2 <= document["height"]
                    assert item["label"] == "tree"
                    assert 0.25 <= item["visible"] <= 1

    def test_tile_and_box_counts(self, trees: Path) -> None:
        assert {split: len(documents("trees", split)) for split in ("train", "test")} == {"train": 110, "test": 38}
        photographs = [photo for s in ("train", "test") for photo in read_manifest(trees / s)["counts"]["photographs"]]
        assert [(photo["boxes_in"], photo["boxes_kept"], photo["boxes_dropped"]) for photo in photographs] == [
            (574, 574, 0),
            (279, 279, 0),
            (61, 61, 0),
            (37, 37, 0),
        ]
        for split, boxes in (("train", 574), ("test", 377)):
            assert sum(len(document["objects"]) for document in documents("trees", split)) == boxes

    def test_boxes_in_and_dropped_are_reported(self) -> None:
        assert describe_dataset("trees") == [
            "trees train: 110 images, 574 boxes",
            f"  {PHOTOGRAPHS['train'][0]}: 110 tiles, 574 boxes in, 574 kept, 0 dropped, 47 shown below 60%",
            "trees test: 38 images, 377 boxes",
            "  2019_YELL_2_541000_4977000_image_crop: 30 tiles, 279 boxes in, 279 kept, 0 dropped, 17 shown below 60%",
            "  OSBS_029: 4 tiles, 61 boxes in, 61 kept, 0 dropped, 1 shown below 60%",
            "  SOAP_061: 4 tiles, 37 boxes in, 37 kept, 0 dropped, 2 shown below 60%",
        ]

    def test_names_are_those_of_the_files(self) -> None:
        names = Counter(item["name"] for document in documents("trees", "test") for item in document["objects"])
        assert names == {"Tree": 340, "Dead": 28, "Alive": 9}

    def test_the_benchmark_has_not_changed(self) -> None:
        assert {split: dataset_sha256("trees", split) for split in CONTENT} == CONTENT

    def test_the_splits_show_different_ground(self) -> None:
        """No 12 pixels in a row of a test tile stand anywhere in the training photograph."""
        train = b"".join(Image.open(document["file"]).tobytes() for document in documents("trees", "train"))
        rng = np.random.default_rng(0)
        for document in documents("trees", "test"):
            pixels = np.asarray(Image.open(document["file"]))
            y, x = rng.integers(pixels.shape[0]), rng.integers(pixels.shape[1] - 12)
            assert pixels[y, x : x + 12].tobytes() not in train
        own = np.asarray(Image.open(documents("trees", "train")[55]["file"]))
        assert own[100, 40:52].tobytes() in train  # the search does find what is there

    def test_the_licence_lies_with_the_data(self, trees: Path) -> None:
        for split in ("train", "test"):
            text = (trees / split / "LICENSE-deepforest.txt").read_text(encoding="utf-8")
            assert text.startswith("MIT License")
            assert "Copyright (c) 2019, Ben Weinstein" in text
            assert read_manifest(trees / split)["licence"] == "MIT"


def fake_wheel(path: Path, size_wh_px: tuple[int, int]) -> bytes:
    """A wheel with the members of the real one, each photograph 300x200 with one tree, and `size_wh_px` in the XML."""
    png = io.BytesIO()
    rng = np.random.default_rng(0)
    corners = "<xmin>10</xmin><ymin>10</ymin><xmax>50</xmax><ymax>60</ymax>"
    size = f"<size><width>{size_wh_px[0]}</width><height>{size_wh_px[1]}</height></size>"
    xml = f"<annotation>{size}<object><name>Tree</name><bndbox>{corners}</bndbox></object></annotation>"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("deepforest-2.1.0.dist-info/licenses/LICENSE", "MIT License")
        for name in [name for names in PHOTOGRAPHS.values() for name in names]:
            png = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (200, 300, 3), dtype=np.uint8)).save(png, format="PNG")
            archive.writestr(f"deepforest/data/{name}.png", png.getvalue())
            archive.writestr(f"deepforest/data/{name}.xml", xml)
    return path.read_bytes()


def pin(monkeypatch: pytest.MonkeyPatch, path: Path, content: bytes) -> None:
    monkeypatch.setenv(WHEEL.variable, str(path))
    monkeypatch.setattr(trees_module, "WHEEL", WHEEL._replace(sha256=hashlib.sha256(content).hexdigest()))


def test_two_builds_are_equal_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, tmp_path / "w.whl", fake_wheel(tmp_path / "w.whl", (300, 200)))
    for folder in ("a", "b"):
        build(tmp_path / folder)
    for split in ("train", "test"):
        first, again = ((tmp_path / folder / split / "manifest.json").read_bytes() for folder in ("a", "b"))
        assert first == again


def test_a_photograph_of_another_size_than_its_annotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin(monkeypatch, tmp_path / "w.whl", fake_wheel(tmp_path / "w.whl", (301, 200)))
    with pytest.raises(InputError, match="expected 301x200 pixels, as its annotation says, got 300x200"):
        build(tmp_path / "data")


def test_another_wheel_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = fake_wheel(tmp_path / "w.whl", (300, 200))
    monkeypatch.setenv(WHEEL.variable, str(tmp_path / "w.whl"))
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    with pytest.raises(InputError) as caught:
        build_dataset("trees")
    assert str(caught.value) == (
        f"{tmp_path / 'w.whl'}: expected sha256 8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54, got "
        f"{hashlib.sha256(content).hexdigest()}. Set BOXLIST_DEEPFOREST_WHEEL to an unchanged deepforest==2.1.0 wheel, "
        "or unset it to download one."
    )
    assert list((tmp_path / "data").iterdir()) == []
