"""The pointing data over shapes: for each test scene one question an object whose label occurs once in it.

The scenes are those of the `shapes` test split, drawn again; their pixels are equal.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.tasks.datasets import shapes_split
from boxlist.tasks.datasets.dataset import Dataset
from boxlist.tasks.datasets.image_files import read_image_files
from boxlist.tasks.datasets.manifest import IMAGES
from boxlist.tasks.datasets.split_folder import read_split
from boxlist.tasks.datasets.split_writing import Entry, write_drawn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boxlist.tasks.datasets.dataset import Order
    from boxlist.tasks.datasets.image_files import ImageFile
    from boxlist.tasks.datasets.split_folder import Document

SPLIT = "test"


def build(order: Order) -> None:
    """Write the test split."""
    scratch, folder = order.folder / ".shapes", order.folder / SPLIT
    shapes_split.build(scratch)
    scenes = read_split(scratch / SPLIT, "shapes", SPLIT)
    folder.mkdir()
    (scratch / SPLIT / IMAGES).rename(folder / IMAGES)
    shutil.rmtree(scratch)
    names = [_name(scene) for scene in scenes]
    files = read_image_files(folder / IMAGES, names, f"{order.dataset.name} {SPLIT}").good
    write_drawn(folder, order.heading(SPLIT, shapes_split.LABELS), _questions(scenes, files))


def _questions(scenes: Sequence[Document], files: dict[str, ImageFile]) -> Iterator[Entry]:
    """One question an object whose label occurs once in its scene; its centre is the right point."""
    number = 0
    for scene in scenes:
        labels = [item["label"] for item in scene["objects"]]
        for item in scene["objects"]:
            if labels.count(item["label"]) > 1:
                continue
            number += 1
            x1, y1, x2, y2 = item["box_xyxy_px"]
            answer = {"points_xy_px": [[(x1 + x2) / 2, (y1 + y2) / 2]]}
            notes = {"question": {"label": item["label"]}, "answer": answer}
            yield Entry(number, files[_name(scene)], [item], notes)


def _name(scene: Document) -> str:
    """The file's name; the path is the one before it was moved."""
    return Path(scene["file"]).name


DATASET = Dataset(
    "shapes_pointing",
    1,
    shapes_split.LICENCE,
    shapes_split.SOURCE,
    build,
    (SPLIT,),
    size="481 questions",
    shares_pictures=True,
)
