"""COCO-spatial of the redundancy paper, its referring expressions with and without a hint, from the COCO 2017 files.

The train split is from train2017, the test split from val2017.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.tasks.datasets.coco_file import read_coco_file
from boxlist.tasks.datasets.dataset import Dataset, Needs, Order
from boxlist.tasks.datasets.spatial_filters import PLACE_OPTIONS, Thing, eligible, places
from boxlist.tasks.datasets.spatial_split import TRAIN_OPTION, WORD_OPTIONS, Asked, SplitPlan, wanted, write_places

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

VERSION = 1
LICENCE = "CC BY 4.0 (annotations); each image under its own terms on Flickr"
SOURCE = "COCO 2017 (arXiv 1405.0312), filtered as the redundancy paper describes"
PAPER_SIZES = {"train": 69_348, "test": 2_862}
_FILES = {"train": "train2017", "test": "val2017"}


def build(order: Order) -> None:
    """Write both splits."""
    write_places(order, {split: _plan(order, split) for split in order.dataset.splits if wanted(order, split)})


def _plan(order: Order, split: str) -> SplitPlan:
    path = order.source_folder / "annotations" / f"instances_{_FILES[split]}.json"
    if not path.is_file():
        remedy = "Give the COCO 2017 folder: --from DIR; without its training images add --option train=false."
        raise InputError(f"{path}", expected="a COCO file", got="no such file", remedy=remedy)
    return SplitPlan(list(questions(path, _FILES[split], order.options)), (), [path], PAPER_SIZES[split])


def questions(path: Path, images: str, options: Mapping[str, object]) -> Iterator[Asked]:
    """The questions that a COCO file gives, by image id, then as `places` orders them; `images` is the images' folder.

    Raises `InputError` for anything but a COCO file.
    """
    file = read_coco_file(path)
    things: dict[int, list[Thing]] = {image.id: [] for image in file.images}
    for found in file.boxes:
        x, y, width, height = found.bbox
        if width > 0 and height > 0:
            box = (x, y, x + width, y + height)
            things[found.image_id].append(Thing(file.labels[found.category_id], box, bool(found.iscrowd)))
    for image in sorted(file.images, key=lambda image: image.id):
        size = image.width, image.height
        for place in places(eligible(things[image.id], size, options), size, options):
            yield Asked(f"{images}/{image.file_name}", place)


DATASET = Dataset(
    "coco_spatial",
    VERSION,
    LICENCE,
    SOURCE,
    build,
    size=f"{PAPER_SIZES['test']:,} in the paper",
    shares_pictures=True,
    needs=Needs(
        "the COCO 2017 folder, with annotations/instances_*2017.json, train2017/ and val2017/",
        "https://cocodataset.org/#download",
    ),
    options=(*PLACE_OPTIONS, *WORD_OPTIONS, TRAIN_OPTION),
)
