"""Fates worked by hand, on a picture of 100 x 100 pixels in pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.protocols import protocol_named
from boxlist.reports.page.fates import record_fates

PIXELS = protocol_named("pixel_xyxy")
TRUTH = GroundTruth(1, ("cat", "dog"), np.array([[0, 0, 10, 10], [20, 20, 40, 40]], dtype=float), (100, 100))


def answer(*records: tuple[str, list[float]]) -> GivenAnswer:
    return GivenAnswer(1, json.dumps([{"bbox_2d": box, "label": label} for label, box in records]))


def test_a_hit_a_false_box_and_a_repeat() -> None:
    given = answer(("cat", [0, 0, 10, 5]), ("dog", [0, 0, 10, 10]), ("Cat", [0, 0, 10, 5]), ("cat", [9, 0, 2, 5]))
    found = record_fates([given], [TRUTH], PIXELS)
    assert found.fates() == ["hit", "false", "repeat", "false"]
    assert found.iou[0] == pytest.approx(0.5)
    assert found.first.tolist() == [0, 1, 0, 3]
    assert found.found.tolist() == [True, False]
    assert found.place.tolist() == [0, 1, 2, 3]


def test_a_copy_that_finds_a_truth_of_its_own_is_a_hit() -> None:
    twins = GroundTruth(1, ("cat", "cat"), np.array([[0, 0, 10, 10]] * 2, dtype=float), (100, 100))
    found = record_fates([answer(("cat", [0, 0, 10, 10]), ("cat", [0, 0, 10, 10]))], [twins], PIXELS)
    assert found.fates() == ["hit", "hit"]


def test_an_empty_answer_has_no_records() -> None:
    found = record_fates([GivenAnswer(1, "no")], [TRUTH], PIXELS)
    assert found.fates() == []
    assert found.n_gt.tolist() == [2]


def test_hits_and_repeats_are_those_of_the_scores() -> None:
    rng = np.random.default_rng(0)
    truths, answers = [], []
    for image_id in range(40):
        corners = rng.integers(0, 60, (5, 2))
        boxes = np.hstack([corners, corners + 30]).astype(float)
        truths.append(GroundTruth(image_id, tuple(rng.choice(["a", "b"], 5)), boxes, (100, 100)))
        moved = [
            {"bbox_2d": [int(n) for n in boxes[i] + rng.integers(-9, 9)], "label": str(rng.choice(["a", "b"]))}
            for i in rng.integers(0, 5, 8)
        ]
        answers.append(GivenAnswer(image_id, json.dumps(moved + moved[:3])))
    rows = score_boxes(answers, truths, PIXELS)
    found = record_fates(answers, truths, PIXELS)
    for image_id, row in enumerate(rows):
        here = found.image == image_id
        assert (found.iou[here & found.hits] >= 0.5).sum() == row["tp@0.5"]
        assert (found.hits[here]).sum() == row["tp@0.3"]
        assert (found.first[here] != np.flatnonzero(here)).sum() == row["duplicates"]
