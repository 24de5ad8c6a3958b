"""The inventory probe: shape, repeats over filled slots, and the floor of the truth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.rows.structure import INVENTORY_METRICS
from boxlist.metrics.structure import SLOT_KEYS, InventoryTruth, Slot, is_inventory, score_inventory
from boxlist.metrics.summary import summarise

WORDS = {"color": ("red", "blue"), "shape": ("circle", "star"), "size": ("small", "large")}
NONE = {"color": "none", "shape": "none", "size": "none"}
RED = {"color": "red", "shape": "circle", "size": "small"}
BLUE = {"color": "blue", "shape": "star", "size": "large"}


def inventory(*slots: dict[str, Any]) -> dict[str, Any]:
    return dict(zip(SLOT_KEYS, [*slots, *[NONE] * 8], strict=False))


def row(text: str, *truth: Slot) -> dict[str, Any]:
    return score_inventory([GivenAnswer(1, text, tokens=5)], [InventoryTruth(1, truth)], WORDS)[0]


def test_a_row_worked_by_hand() -> None:
    red = ("red", "circle", "small")
    assert row(json.dumps(inventory(RED, BLUE, RED, RED)), red, red, ("blue", "star", "large")) == {
        "image_id": 1,
        "status": "valid",
        "tokens": 5,
        "target_shape_valid": True,
        "n_slots": 4,
        "duplicates": 2,
        "duplicate_rate": 0.5,
        "max_repeat": 3,
        "n_truth_slots": 3,
        "ground_truth_duplicates": 1,
        "ground_truth_duplicate_rate": pytest.approx(1 / 3),
        "triggered": False,
    }


def test_empty_slots_are_no_repeats() -> None:
    scored = row(json.dumps(inventory()))
    assert (scored["target_shape_valid"], scored["n_slots"], scored["duplicates"]) == (True, 0, 0)
    assert (scored["duplicate_rate"], scored["max_repeat"], scored["ground_truth_duplicate_rate"]) == (0.0, 0, 0.0)


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (inventory(RED), True),
        (dict(reversed(inventory(RED).items())), True),  # order is no part of the shape
        (inventory(*[RED] * 8), True),
        ({**inventory(RED), "slot_9": NONE}, False),
        (dict.fromkeys(SLOT_KEYS[:7], NONE), False),
        (inventory({**RED, "note": "x"}), False),
        (inventory({"color": "red", "shape": "circle"}), False),
        (inventory({**RED, "color": "green"}), False),  # not a word of the vocabulary
        (inventory({**RED, "color": "Red"}), False),
        (inventory({**RED, "size": "none"}), False),  # half empty
        (inventory({**RED, "color": ["red"]}), False),
        (inventory({**RED, "color": None}), False),
        ({**inventory(), "slot_1": "none"}, False),
        ([inventory()], False),
        (None, False),
    ],
)
def test_the_shape_is_exact(value: object, valid: bool) -> None:
    assert is_inventory(json.dumps(value), WORDS) is valid


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("```json\n" + json.dumps(inventory(RED, RED)) + "\n```", "valid"),
        (json.dumps(inventory(RED, RED)) + " done", "malformed"),
        (json.dumps(inventory(RED, RED))[:-150], "malformed"),
        (json.dumps(inventory(RED, {**RED, "size": " Small "})), "malformed"),
    ],
)
def test_repeats_are_seen_in_every_answer(text: str, status: str) -> None:
    scored = row(text)
    assert (scored["status"], scored["target_shape_valid"]) == (status, status == "valid")
    assert (scored["n_slots"], scored["duplicates"], scored["max_repeat"]) == (2, 1, 2)


def test_a_loop_beyond_eight_slots_is_seen() -> None:
    text = "{" + ", ".join(f'"slot_{n}": {json.dumps(RED)}' for n in range(1, 24)) + ', "slot_24": {"col'
    scored = row(text)
    assert (scored["target_shape_valid"], scored["n_slots"], scored["max_repeat"]) == (False, 23, 23)


@pytest.mark.parametrize("text", ["", " \n", "{" * 10**6, '{"' * 10**6, "[" * 10**6, '{"a": NaN}', "\ud800{}"])
def test_nothing_to_read(text: str) -> None:
    scored = row(text)
    assert (scored["target_shape_valid"], scored["n_slots"]) == (False, 0)
    assert scored["status"] == ("malformed" if text.strip() else "empty")


def test_a_missing_answer_counts_as_empty_and_a_stray_one_is_refused() -> None:
    assert score_inventory([], [InventoryTruth(1, ())], WORDS)[0]["status"] == "empty"
    with pytest.raises(InputError, match="answer to image 2: expected an image that has a ground truth"):
        score_inventory([GivenAnswer(2, "")], [InventoryTruth(1, ())], WORDS)


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_figures() -> None:
    truths = [InventoryTruth(1, ()), InventoryTruth(2, (("red", "star", "small"),) * 2)]
    answers = [GivenAnswer(1, json.dumps(inventory(RED, RED))), GivenAnswer(2, "no")]
    figures = summarise(score_inventory(answers, truths, WORDS), INVENTORY_METRICS)
    assert {name: value["value"] for name, value in figures.items()} == {
        "target_shape_valid": 0.5,
        "duplicate_rate": 0.25,
        "ground_truth_duplicate_rate": 0.25,
        "max_repeat": 2.0,
    }
