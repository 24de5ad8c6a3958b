"""What is right for a document: its boxes, its inventory, its count and relation, and the text that says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from boxlist.metrics.choices import ChoiceTruth
from boxlist.metrics.inputs import GroundTruth, PointTruth
from boxlist.metrics.referring import ReferringTruth
from boxlist.metrics.structure import EMPTY, N_SLOTS, SLOT_KEYS
from boxlist.protocols import DEFAULT_POINT_PROTOCOL, PROTOCOLS, protocol_named
from boxlist.records import Record
from boxlist.tasks.datasets.split_folder import make_object
from boxlist.tasks.reading_order import reading_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.metrics.spatial_count import Relation
    from boxlist.metrics.structure import Slot
    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject


class SpatialCount(TypedDict):
    """The answer to a question about count and place."""

    count: int
    relation: Relation


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
    return tuple((item["color"], item["shape"], item["size"]) for item in in_reading_order(document)[:N_SLOTS])


def spatial_count_truth(document: Document) -> SpatialCount:
    """The right answer to the document's question."""
    answer = document["answer"]
    return {"count": answer["count"], "relation": answer["relation"]}


def choice_truth(document: Document) -> ChoiceTruth:
    """The options of the document's question, and the right one."""
    answer = document["answer"]
    groups = answer.get("pair"), answer.get("set")
    return ChoiceTruth(document["image_id"], tuple(answer["options"]), int(answer["right"]), *groups)


def right_option(document: Document) -> str:
    """The right one of the document's options, in words."""
    truth = choice_truth(document)
    return truth.options[truth.right]


def referring_truth(document: Document) -> ReferringTruth:
    """The one box that the document's expression means."""
    size = document["width"], document["height"]
    return ReferringTruth(document["image_id"], document["answer"]["box_xyxy_px"], size)


def referring_text(document: Document, protocol: Protocol) -> str:
    """That box as `protocol` writes it, a list of one; in pixels where it needs a size that only a model knows."""
    protocol = protocol_named("pixel_xyxy") if protocol.needs_frame else protocol
    label, box = document["answer"]["subject"], document["answer"]["box_xyxy_px"]
    return box_list_text(document, protocol, objects=[make_object(label, box)])


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
    return slots_text(inventory_slots(document), ("color", "shape", "size"))


def slots_text(slots: Sequence[Slot], fields: Sequence[str]) -> str:
    """Slots as the JSON of an inventory, under these fields."""
    full = [*slots, *[(EMPTY,) * len(fields)] * (N_SLOTS - len(slots))]
    return json.dumps({key: dict(zip(fields, slot, strict=True)) for key, slot in zip(SLOT_KEYS, full, strict=True)})


def spatial_count_text(document: Document) -> str:
    """The answer to the question as JSON."""
    return json.dumps(spatial_count_truth(document))


def point_truth(document: Document) -> PointTruth:
    """The points that the document's question asks for."""
    points = np.array(document["answer"]["points_xy_px"], dtype=np.float64).reshape(-1, 2)
    return PointTruth(document["image_id"], points, (document["width"], document["height"]))


def point_protocol(protocol: Protocol) -> Protocol:
    """The protocol that points are read and written in: the run's, or Molmo's percent where that writes boxes."""
    return protocol if protocol.writes_points else PROTOCOLS[DEFAULT_POINT_PROTOCOL]


def points_text(document: Document, protocol: Protocol, frame_wh_px: tuple[int, int] | None = None) -> str:
    """The document's points as the protocol writes and rounds them, from left to right, then from top to bottom."""
    truth, written_in = point_truth(document), point_protocol(protocol)
    points = truth.points_xy_px[np.lexsort(truth.points_xy_px.T[::-1])]
    numbers = written_in.round(written_in.from_xy_px(points, truth.size_wh_px, frame_wh_px)).tolist()
    return written_in.write(Record(document["question"]["label"], tuple(row)) for row in numbers)


def shape_question_text(document: Document) -> str:
    """The right answer to a question about shapes, as JSON."""
    return json.dumps({"answer": document["answer"]["reply"]})
