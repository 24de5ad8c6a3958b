"""What is wrong with the documents of a built set: sizes, boxes, and copies, whatever its files' hashes say."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PIL import Image

from boxlist.tasks.datasets.own.faults import Tally
from boxlist.tasks.datasets.own.selection import ROUNDING_PX
from boxlist.tasks.datasets.pictures import FORMATS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.tasks.datasets.split_folder import Document


def document_faults(documents: Sequence[Document], where: str) -> list[str]:
    """Each kind of fault in one line, with a few examples; files are opened for their headers alone.

    They are those of `FAULTS` that a finished set can have: wrong sizes, boxes without extent, boxes that reach
    outside, and boxes that occur twice in one document.
    """
    tally = Tally()
    sizes: dict[str, tuple[int, int]] = {}
    for document in documents:
        size = sizes.get(document["file"])
        if size is None:
            with Image.open(document["file"], formats=FORMATS) as image:
                size = sizes[document["file"]] = image.size
        name = f"document {document['image_id']}"
        if size != (document["width"], document["height"]):
            tally.add("wrong_size", f"{name}: {document['width']}x{document['height']}, is {size[0]}x{size[1]}")
        _count_boxes(document, name, tally)
    return [
        f"{where}: {line}" for line in tally.lines("Build it anew, from corrected annotations or with other options")
    ]


def _count_boxes(document: Document, name: str, tally: Tally) -> None:
    seen: set[tuple[str, tuple[float, ...]]] = set()
    for item in document["objects"]:
        x1, y1, x2, y2 = box = tuple(item["box_xyxy_px"])
        shown = f"{name}: {item['label']} at {', '.join(f'{number:g}' for number in box)}"
        beyond = max(-x1, -y1, x2 - document["width"], y2 - document["height"])
        if not all(map(math.isfinite, box)) or x2 <= x1 or y2 <= y1:
            tally.add("no_extent", shown)
        elif beyond > ROUNDING_PX:
            tally.add("outside_image", shown)
        if (item["label"], box) in seen:
            tally.add("same_box", shown)
        seen.add((item["label"], box))
