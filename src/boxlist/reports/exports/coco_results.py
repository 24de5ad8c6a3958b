"""COCO results: `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}]`, for `COCO.loadRes`.

A list of boxes has no confidences, so every score is 1.0; boxes stand in the order of the list, and COCO's tools sort
by score without changing the order of equals, so earlier records count first. Average precision of such a file is one
point of a curve: read it beside F1, never against a detector's.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.metrics.iou import is_possible
from boxlist.records import normalise_label
from boxlist.reports.exports.predictions import predictions
from boxlist.tasks.datasets.catalog import dataset_folder
from boxlist.tasks.datasets.manifest import ANNOTATIONS

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.reports.exports.source import Source

SCORE = 1.0
_SHOWN = 5


def coco_results(source: Source) -> tuple[list[dict[str, Any]], list[str]]:
    """The results, and a line about each thing that COCO has no place for: unknown labels and impossible boxes."""
    truth_file = dataset_folder(source.probe.dataset, "test") / ANNOTATIONS
    categories = _categories(truth_file)
    results: list[dict[str, Any]] = []
    unknown: Counter[str] = Counter()
    impossible = 0
    for image in predictions(source):
        image_id = image.document["image_id"]
        if not isinstance(image_id, int):
            raise InputError(
                f"image {image_id!r}", expected="a number as its id", got="text", remedy="COCO takes none."
            )
        possible = is_possible(image.boxes_xyxy_px)
        for label, box, fits in zip(image.labels, image.boxes_xyxy_px.tolist(), possible.tolist(), strict=True):
            category = categories.get(normalise_label(label))
            if category is None:
                unknown[label] += 1
            elif not fits:
                impossible += 1
            else:
                x1, y1, x2, y2 = box
                bbox = [x1, y1, x2 - x1, y2 - y1]
                results.append({"image_id": image_id, "category_id": category, "bbox": bbox, "score": SCORE})
    notes = [f"ground truth for COCO(...): {truth_file}"]
    if unknown:
        shown = ", ".join(f"{label[:40]!r} ({count})" for label, count in unknown.most_common(_SHOWN))
        more = f" and {len(unknown) - _SHOWN} more labels" if len(unknown) > _SHOWN else ""
        notes.append(f"{unknown.total()} boxes left out, whose labels are no category: {shown}{more}")
    if impossible:
        notes.append(f"{impossible} boxes left out, whose right or lower side is not beyond the other")
    return results, notes


def _categories(truth_file: Path) -> dict[str, int]:
    rows = json.loads(truth_file.read_text(encoding="utf-8"))["categories"]
    return {normalise_label(row["name"]): int(row["id"]) for row in rows}
