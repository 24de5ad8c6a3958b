from __future__ import annotations

import json

import numpy as np
import pytest

from boxlist.metrics.absent import AbsentTruth, score_absent
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.metrics.rows.absent import ABSENT_METRICS
from boxlist.metrics.summary import summarise
from boxlist.protocols import protocol_named

PIXEL = protocol_named("pixel_xyxy")
BOX = [10, 10, 50, 50]


def truth(image_id: int, labels: tuple[str, ...], *asked: str) -> AbsentTruth:
    boxes = np.array([BOX] * len(labels), dtype=np.float64).reshape(-1, 4)
    return AbsentTruth(GroundTruth(image_id, labels, boxes, (100, 100)), asked)


def records(*labels: str) -> str:
    return json.dumps([{"bbox": BOX, "label": label} for label in labels])


CASES = [
    # truth, answer, and what its row says
    (truth(1, (), "cat", "dog"), "[]", {"right_empty_list": True, "absent_named": 0, "absent_asked": 2}),
    (truth(2, (), "cat", "dog"), records("Cat", "cat"), {"right_empty_list": False, "absent_named": 1, "off_list": 0}),
    (truth(3, (), "cat"), "", {"right_empty_list": False, "empty_lists": False}),  # no answer is no empty list
    (truth(4, (), "cat"), "[", {"right_empty_list": False, "empty_lists": False}),
    (truth(5, ()), records("bus"), {"false_boxes_on_empty": 1, "absent_asked": 0, "n_of_asked": 0, "off_list": 0}),
    (truth(6, ("cat",), "cat", "dog"), records("cat", "dog", "bus"), {"false_boxes": 2, "off_list": 1}),
    (truth(7, ("cat",), "cat", "dog"), "[]", {"right_empty_list": None, "empty_lists": True, "absent_named": 0}),
]


@pytest.mark.parametrize(("case", "text", "said"), CASES)
def test_rows_by_hand(case: AbsentTruth, text: str, said: dict[str, object]) -> None:
    (row,) = score_absent([GivenAnswer(case.truth.image_id, text)], [case], PIXEL)
    assert {name: row[name] for name in said} == said


def test_figures_by_hand() -> None:
    answers = [GivenAnswer(case.truth.image_id, text) for case, text, _ in CASES]
    rows = score_absent(reversed(answers), [case for case, _, _ in CASES], PIXEL)
    with pytest.warns(UserWarning, match="7 images"):
        figures = summarise(rows, ABSENT_METRICS)
    values = {name: found["value"] for name, found in figures.items()}
    assert values["right_empty_list"] == 1 / 5
    assert values["empty_list_precision"] == 1 / 2  # the other stands for a picture with a cat
    assert values["false_boxes_per_image"] == (2 + 1 + 2) / 7
    assert values["false_boxes_per_empty_image"] == (2 + 1) / 5
    assert values["hallucinated_class_rate"] == 2 / 8  # a cat and a dog, of 2 + 2 + 1 + 1 + 0 + 1 + 1
    assert values["off_list_rate"] == 1 / 5
    assert values["precision@0.3"] == 1 / 6
