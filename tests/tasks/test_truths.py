from __future__ import annotations

import json
from typing import TYPE_CHECKING

from boxlist.protocols import PROTOCOLS
from boxlist.scanner import read_answer
from boxlist.tasks.truths import (
    box_list_text,
    ground_truth,
    in_reading_order,
    inventory_slots,
    inventory_text,
    spatial_count_text,
)

if TYPE_CHECKING:
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject


def shape(color: str, kind: str, *box: int) -> DocumentObject:
    return {"label": f"{color} {kind}", "box_xyxy_px": list(box), "color": color, "shape": kind, "size": "small"}


def a_document(*objects: DocumentObject) -> Document:
    return {
        "image_id": 7,
        "file": "/nowhere/7.png",
        "width": 200,
        "height": 100,
        "objects": list(objects),
        "question": {"counted": "star", "subject": "red star", "reference": "blue cross"},
        "answer": {"count": 1, "relation": "left"},
        "sha256": "",
        "pixels_sha256": "",
    }


LOW = shape("red", "star", 0, 80, 20, 100)
RIGHT = shape("blue", "cross", 100, 2, 120, 12)
LEFT = shape("pink", "circle", 10, 0, 40, 10)


def test_ground_truth_keeps_the_order_of_the_annotations() -> None:
    truth = ground_truth(a_document(LOW, RIGHT))
    assert (truth.image_id, truth.labels, truth.size_wh_px) == (7, ("red star", "blue cross"), (200, 100))
    assert truth.boxes_xyxy_px.tolist() == [[0, 80, 20, 100], [100, 2, 120, 12]]
    assert ground_truth(a_document()).boxes_xyxy_px.shape == (0, 4)


def test_reading_order() -> None:
    assert in_reading_order(a_document(LOW, RIGHT, LEFT)) == [LEFT, RIGHT, LOW]


def test_an_inventory_has_eight_slots() -> None:
    written = json.loads(inventory_text(a_document(LOW, LEFT)))
    none = {"color": "none", "shape": "none", "size": "none"}
    assert list(written) == [f"slot_{number}" for number in range(1, 9)]
    assert written["slot_1"] == {"color": "pink", "shape": "circle", "size": "small"}
    assert written["slot_2"] == {"color": "red", "shape": "star", "size": "small"}
    assert [written[f"slot_{number}"] for number in range(3, 9)] == [none] * 6


def test_the_ninth_object_has_no_slot() -> None:
    row = [shape("red", "star", 20 * place, 0, 20 * place + 10, 10) for place in range(8)]
    slots = inventory_slots(a_document(shape("cyan", "cross", 190, 0, 199, 10), *reversed(row)))
    assert slots == (("red", "star", "small"),) * 8


def test_the_right_answers_as_text() -> None:
    document = a_document(LOW, RIGHT)
    assert spatial_count_text(document) == '{"count": 1, "relation": "left"}'
    assert box_list_text(document, PROTOCOLS["norm1000_xyxy"]) == (
        '[{"bbox_2d": [500, 20, 600, 120], "label": "blue cross"}, '
        '{"bbox_2d": [0, 800, 100, 1000], "label": "red star"}]'
    )
    assert box_list_text(a_document(), PROTOCOLS["norm1000_xyxy"]) == "[]"


def test_a_box_list_in_pixels_of_a_resized_image() -> None:
    protocol = PROTOCOLS["resized_pixel_xyxy"]
    answer = read_answer(box_list_text(a_document(RIGHT), protocol, (400, 50)), protocol)
    assert answer.status == "valid"
    assert answer.records[0].coordinates == (200, 1, 240, 6)
