"""Folders in exactly the form in which COCO 2017 and InsPLAD-det are given out, with small drawn images in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH, HEIGHT = 64, 48

# ids and names as in COCO 2017, which has gaps
COCO_CATEGORIES = [
    *((1, "person", "person"), (3, "vehicle", "car"), (9, "vehicle", "boat"), (10, "outdoor", "traffic light")),
    *((16, "animal", "bird"), (31, "accessory", "handbag"), (44, "kitchen", "bottle"), (47, "kitchen", "cup")),
    *((51, "kitchen", "bowl"), (62, "furniture", "chair"), (67, "furniture", "dining table"), (84, "indoor", "book")),
    *((85, "indoor", "clock"), (90, "indoor", "toothbrush")),
]
# as in the README of InsPLAD, and the one that only the train file has
INSPLAD_CLASSES = [
    *("damper - spiral", "damper - stockbridge", "glass insulator", "glass insulator big shackle"),
    *("glass insulator small shackle", "glass insulator tower shackle", "lightning rod shackle"),
    *("lightning rod suspension", "plate", "polymer insulator", "polymer insulator lower shackle"),
    *("polymer insulator tower shackle", "polymer insulator upper shackle", "spacer", "sphere", "vari-grip", "yoke"),
    "yoke suspension",
]


class Writer:
    """Writes one COCO detection file and its images; equal calls write equal bytes."""

    def __init__(self, root: Path, subset: str, annotations: str, seed: int) -> None:
        self._folder = root / subset
        self._folder.mkdir(parents=True)
        self._file = root / "annotations" / annotations
        self._file.parent.mkdir(exist_ok=True)
        self._rng = np.random.default_rng(seed)
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, image_id: int, name: str, category_ids: Sequence[int], crowd_of: int | None = None) -> None:
        """An image with a box for each category, and a crowd region of one; a file that is there is not drawn anew."""
        if not (self._folder / name).exists():
            pixels = self._rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            drawn = Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST)
            drawn.save(self._folder / name, quality=90)
        self.images.append(
            {
                "license": 3,
                "file_name": name,
                "coco_url": f"http://images.cocodataset.org/val2017/{name}",
                "height": HEIGHT,
                "width": WIDTH,
                "date_captured": "2013-11-14 16:28:13",
                "flickr_url": "http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg",
                "id": image_id,
            }
        )
        for category_id in category_ids:
            x, y = (round(float(place), 2) for place in self._rng.uniform(0, 30, 2))
            width, height = (round(float(side), 2) for side in self._rng.uniform(4, 15, 2))
            outline = [x, y, x + width, y, x + width, y + height, x, y + height]
            self._annotate(image_id, category_id, [x, y, width, height], [outline], crowd=0)
        if crowd_of is not None:
            runs = {"counts": [272, 2, 4, 4, WIDTH * HEIGHT - 282], "size": [HEIGHT, WIDTH]}
            self._annotate(image_id, crowd_of, [1, 1, 50, 30], runs, crowd=1)

    def box(self, image_id: int, category_id: int, bbox: Sequence[float]) -> None:
        """One more box."""
        self._annotate(image_id, category_id, bbox, [[0, 0, 1, 0, 1, 1]], crowd=0)

    def write(self, categories: Sequence[dict[str, Any]]) -> None:
        content = {
            "info": {"description": "COCO 2017 Dataset", "url": "http://cocodataset.org", "version": "1.0"},
            "licenses": [{"url": "http://creativecommons.org/licenses/by-nc-sa/2.0/", "id": 3, "name": "Attribution"}],
            "images": self.images,
            "annotations": self.annotations,
            "categories": list(categories),
        }
        self._file.write_text(json.dumps(content))

    def _annotate(self, image_id: int, category_id: int, bbox: Sequence[float], outline: Any, crowd: int) -> None:
        self.annotations.append(
            {
                "segmentation": outline,
                "area": round(bbox[2] * bbox[3] * 0.7, 4),
                "iscrowd": crowd,
                "image_id": image_id,
                "bbox": list(bbox),
                "category_id": category_id,
                "id": 900100000000 + len(self.annotations) if crowd else 1768 + len(self.annotations),
            }
        )


def write_coco(root: Path) -> Path:
    """40 images of val2017 form. By number: 30 may be drawn; the others have a person alone, a crowd of books, one
    object, seven objects, a box without extent."""
    writer = Writer(root, "val2017", "instances_val2017.json", seed=7)
    targets = [number for number, _, name in COCO_CATEGORIES if name not in {"person", "car", "clock", "toothbrush"}]
    for number in range(30):
        picked = [targets[(number + step) % len(targets)] for step in range(2 + number % 5)]
        writer.add(139 + 17 * number, f"{139 + 17 * number:012}.jpg", [*picked, 1, 3][: len(picked) + number % 3])
    for number, (ids, crowd) in enumerate([([1], None), ([84, 84, 84], 84), ([62], None), ([62] * 7, None)]):
        writer.add(1000 + number, f"{1000 + number:012}.jpg", ids, crowd)
    writer.add(1004, f"{1004:012}.jpg", [62])
    writer.box(1004, 62, [10, 10, 0, 5])
    writer.add(1005, f"{1005:012}.jpg", [])
    writer.write([{"supercategory": above, "id": number, "name": name} for number, above, name in COCO_CATEGORIES])
    return root


def write_insplad(root: Path) -> Path:
    """24 training records, of which two pairs share a file name, and 12 others; spheres in the train file alone."""
    categories = [
        {"id": number, "name": name, "supercategory": "none"} for number, name in enumerate(INSPLAD_CLASSES, start=1)
    ]
    sphere = INSPLAD_CLASSES.index("sphere") + 1
    others = [number for number in range(1, len(INSPLAD_CLASSES) + 1) if number != sphere]
    writer = Writer(root, "train", "instances_train.json", seed=8)
    for number in range(22):
        ids = [others[(number * 3 + step) % len(others)] for step in range(1 + number % 4)]
        writer.add(number, f"DJI_{number:04}_JPG.rf.jpg", [*ids, sphere] if number % 7 == 3 else ids)
    for number, name in ((22, "DJI_0004_JPG.rf.jpg"), (23, "DJI_0009_JPG.rf.jpg")):
        writer.add(number, name, [others[number % len(others)]])
    writer.write(categories)
    writer = Writer(root, "val", "instances_val.json", seed=9)
    for number in range(12):
        ids = [others[(number * 5 + step) % len(others)] for step in range(1 + number % 3)]
        writer.add(number, f"DJI_{500 + number:04}_JPG.rf.jpg", ids)
    writer.write(categories)
    return root


@pytest.fixture(scope="session")
def coco_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_coco(tmp_path_factory.mktemp("coco"))


@pytest.fixture(scope="session")
def insplad_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_insplad(tmp_path_factory.mktemp("insplad"))


@pytest.fixture
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for data sets, of this test alone."""
    place = tmp_path / "data"
    monkeypatch.setenv("BOXLIST_DATA", str(place))
    return place
