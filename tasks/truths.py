"""What is right for a document: its boxes, its inventory, its count and relation, and the text that says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from boxlist.metrics.inputs import GroundTruth
from boxlist.metrics.structure import EMPTY, N_SLOTS, SLOT_KEYS, Slot
from boxlist.records import Record
from boxlist.tasks.reading_order import reading_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject, SpatialAnswer


def ground_truth(document: Document) -> GroundTruth:
    """The boxes of a document, in the order of its objects."""
    boxes = np.array([item["box_xyxy_px"] for item in document["objects"]], dtype=np.float64).reshape(-1, 4)
    labels = tuple(item["label"] for item in document["objects"])
    return GroundTruth(document["image_id"], labels, boxes, (document["width"], document["height"]))


def in_reading_order(document: Document) -> list[DocumentObject]:
    """The objects of a document in reading order."""
    order = reading_order(
        [item["box_xyxy_px"] for item in document["objects"]], (document["width"], document["height"])
    )
    return [document["objects"][place] for place in order]


def inventory_slots(document: Document) -> tuple[Slot, ...]:
    """The first eight objects in reading order, one a slot; the filled slots only."""
    return tuple(Slot(item["color"], item["shape"], item["size"]) for item in in_reading_order(document)[:N_SLOTS])


def spatial_count_truth(document: Document) -> SpatialAnswer:
    """The right answer to the document's question."""
    return document["answer"]


def box_list_text(
    document: Document,
    protocol: Protocol,
    frame_wh_px: tuple[int, int] | None = None,
    objects: Sequence[DocumentObject] | None = None,
) -> str:
    """The document's boxes as `protocol` writes and rounds them, in reading order unless `objects` gives another.

    `[]` where there is none. Some protocols need the resized image's size.
    """
    chosen = in_reading_order(document) if objects is None else objects
    boxes = np.array([item["box_xyxy_px"] for item in chosen], dtype=np.float64).reshape(-1, 4)
    size = (document["width"], document["height"])
    numbers = protocol.round(protocol.from_xyxy_px(boxes, size, frame_wh_px)).tolist()
    return protocol.write(Record(item["label"], tuple(row)) for item, row in zip(chosen, numbers, strict=True))


def inventory_text(document: Document) -> str:
    """The inventory as JSON, all eight slots; those that stay empty say none three times."""
    slots = inventory_slots(document)
    slots += (Slot(EMPTY, EMPTY, EMPTY),) * (N_SLOTS - len(slots))
    return json.dumps({key: slot._asdict() for key, slot in zip(SLOT_KEYS, slots, strict=True)})


def spatial_count_text(document: Document) -> str:
    """The answer to the question as JSON."""
    return json.dumps(spatial_count_truth(document))
