"""FiftyOne's labels.json, as its `FiftyOneImageDetectionDataset` importer reads it: one detection field a file.

    dataset = fiftyone.Dataset.from_dir(
        dataset_type=fiftyone.types.FiftyOneImageDetectionDataset, data_path=IMAGES, labels_path="predictions.json")

Boxes are [left, top, width, height] as shares of the image. There is no confidence: a list of boxes has none.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.metrics.iou import is_possible
from boxlist.reports.exports.predictions import predictions

if TYPE_CHECKING:
    from boxlist.reports.exports.source import Source


def fiftyone_labels(source: Source) -> tuple[dict[str, Any], list[str]]:
    """The labels by image (its file's name without the ending), with `order` the record's place in its list."""
    labels: dict[str, list[dict[str, Any]]] = {}
    impossible = 0
    folders = set()
    for image in predictions(source):
        width, height = image.document["width"], image.document["height"]
        file = Path(image.document["file"])
        folders.add(str(file.parent))
        possible = is_possible(image.boxes_xyxy_px)
        impossible += int((~possible).sum())
        labels[file.stem] = [
            {
                "label": label,
                "bounding_box": [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height],
                "attributes": {"order": order},
            }
            for order, (label, (x1, y1, x2, y2)) in enumerate(
                zip(image.labels, image.boxes_xyxy_px.tolist(), strict=True)
            )
            if possible[order]
        ]
    notes = [f"images for data_path: {', '.join(sorted(folders))}"]
    if impossible:
        notes.append(f"{impossible} boxes left out, whose right or lower side is not beyond the other")
    return {"labels": labels}, notes
