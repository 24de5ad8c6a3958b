"""The inventory of a photograph with boxes: for each object its class, where it is, and how large.

The paper (arXiv 2606.14507, section 8) asks for "a fixed eight-slot inventory with fixed keys" and does not say which;
colours and shapes, as in the drawn scenes, are not annotated here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.metrics.structure import N_SLOTS
from boxlist.tasks.truths import in_reading_order, slots_text

if TYPE_CHECKING:
    from boxlist.metrics.structure import Slot, Vocabulary
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject

FIELDS = ("class", "place", "size")
_PLACES = (
    ("top left", "top", "top right"),
    ("left", "center", "right"),
    ("bottom left", "bottom", "bottom right"),
)
_SIZES = (("small", 0.01), ("medium", 0.1), ("large", float("inf")))  # shares of the image's area, exclusive


def part_vocabulary(document: Document) -> Vocabulary:
    """The words that a slot may have: the classes that the document's prompt names, nine places, three sizes."""
    places = [place for row in _PLACES for place in row]
    sizes = [size for size, _ in _SIZES]
    return dict(zip(FIELDS, (document["question"]["classes"].split(", "), places, sizes), strict=True))


def part_slots(document: Document) -> tuple[Slot, ...]:
    """The first eight objects in reading order, one a slot; the filled slots only."""
    size_wh_px = document["width"], document["height"]
    return tuple(_slot(item, size_wh_px) for item in in_reading_order(document)[:N_SLOTS])


def part_inventory_text(document: Document) -> str:
    """The right inventory as JSON, all eight slots."""
    return slots_text(part_slots(document), FIELDS)


def _slot(item: DocumentObject, size_wh_px: tuple[int, int]) -> Slot:
    x1, y1, x2, y2 = item["box_xyxy_px"]
    width, height = size_wh_px
    column, row = (min(2, max(0, int(1.5 * ends / side))) for ends, side in ((x1 + x2, width), (y1 + y2, height)))
    share = (x2 - x1) * (y2 - y1) / (width * height)
    return item["label"], _PLACES[row][column], next(size for size, below in _SIZES if share < below)
