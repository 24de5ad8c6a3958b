"""A COCO set in a folder, as people have them: a JSON file and a folder of images."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.tasks.datasets.own.spec import OwnSpec

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class CocoSet:
    """`content` may be changed before `write`; `spec` writes first."""

    folder: Path
    content: dict[str, Any] = field(default_factory=lambda: {"images": [], "annotations": [], "categories": []})

    @property
    def file(self) -> Path:
        return self.folder / "instances.json"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def image(self, image_id: int | str, name: str, boxes: dict[int, list[list[float]]], seed: int = -1) -> None:
        """A noisy picture of 60x40, each of another noise, with boxes by category."""
        path = self.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(len(self.content["images"]) if seed < 0 else seed)
        Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(path)
        self.content["images"].append({"id": image_id, "file_name": name, "width": 60, "height": 40, "license": 1})
        for category, several in boxes.items():
            for box in several:
                self.box(image_id, category, box)

    def box(self, image_id: int | str, category: int, box: object, **more: Any) -> None:
        number = len(self.content["annotations"]) + 1
        entry = {"id": number, "image_id": image_id, "category_id": category, "bbox": box, "iscrowd": 0}
        self.content["annotations"].append({**entry, "segmentation": [[1, 1, 5, 5, 3, 9]], "area": 9.5, **more})

    def spec(self, **choices: Any) -> OwnSpec:
        self.file.write_text(json.dumps(self.content), encoding="utf-8")
        return OwnSpec("coco", str(self.file), str(self.images), **choices)


@pytest.fixture
def coco(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CocoSet:
    """Four images: two cats, a dog and a cat, nothing, one dog; and a class without a box."""
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    made = CocoSet(tmp_path / "set")
    made.content["categories"] = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}, {"id": 9, "name": "emu"}]
    made.image(11, "a.png", {3: [[1, 2, 10, 20], [30.5, 2, 10, 20.25]]})
    made.image(12, "deep/b.png", {7: [[0, 0, 60, 40]], 3: [[5, 5, 2, 2]]})
    made.image(14, "c.png", {})
    made.image(13, "d.png", {7: [[20, 10, 10, 10]]})
    return made
