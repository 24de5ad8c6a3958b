"""The inventory of a photograph: slots worked out by hand, and the right answer in the probe's own shape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.structure import is_inventory
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.datasets.split_folder import make_object
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.part_slots import part_inventory_text, part_slots, part_vocabulary

if TYPE_CHECKING:
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject

PIXEL = PROTOCOLS["pixel_xyxy"]


def photograph(*objects: DocumentObject) -> Document:
    return {
        "image_id": 7,
        "file": "/nowhere/7.jpg",
        "width": 300,
        "height": 300,
        "objects": list(objects),
        "question": {"classes": "yoke, glass insulator"},
        "sha256": "",
        "pixels_sha256": "",
    }


YOKE = make_object("yoke", [0, 0, 20, 20])  # 400 of 90,000
INSULATOR = make_object("glass insulator", [100, 200, 250, 290])  # 15%


@pytest.mark.parametrize(
    ("box", "place", "size"),
    [
        ([0, 0, 20, 20], "top left", "small"),
        ([90, 0, 110, 20], "top", "small"),  # the center, at 100, is the middle third's first
        ([85, 0, 105, 20], "top left", "small"),
        ([290, 290, 300, 300], "bottom right", "small"),
        ([0, 120, 30, 150], "left", "medium"),  # exactly 1%
        ([100, 100, 200, 190], "center", "large"),  # exactly 10%
        ([300, 300, 300, 300], "bottom right", "small"),
    ],
)
def test_a_slot_says_class_place_and_size(box: list[float], place: str, size: str) -> None:
    assert part_slots(photograph(make_object("yoke", box))) == (("yoke", place, size),)


def test_the_right_answer_is_valid_and_in_reading_order() -> None:
    document = photograph(INSULATOR, YOKE)
    text = part_inventory_text(document)
    assert is_inventory(text, part_vocabulary(document))
    slots = json.loads(text)
    assert slots["slot_1"] == {"class": "yoke", "place": "top left", "size": "small"}
    assert slots["slot_2"] == {"class": "glass insulator", "place": "bottom", "size": "large"}
    assert slots["slot_8"] == {"class": "none", "place": "none", "size": "none"}
    assert KINDS["part_inventory"].target(document, PIXEL) == text


def test_nine_objects_fill_eight_slots() -> None:
    assert len(part_slots(photograph(*[YOKE] * 9))) == 8


def test_answers_are_scored_by_the_words_that_the_prompt_names() -> None:
    document = photograph(YOKE, YOKE)
    other = part_inventory_text(photograph(make_object("sphere", [0, 0, 20, 20])))
    rows = [
        KINDS["part_inventory"].score([GivenAnswer(7, text)], [document], PIXEL)[0]
        for text in (part_inventory_text(document), other)
    ]
    assert [row["target_shape_valid"] for row in rows] == [True, False]
    assert [row["max_repeat"] for row in rows] == [2, 1]
    assert rows[0]["ground_truth_duplicate_rate"] == 0.5
