"""Prefix and tail: what a list's head finds and what its repeated tail would."""

from __future__ import annotations

import numpy as np
import pytest

from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.metrics.separability import in_prefix
from boxlist.metrics.summary import summarise
from boxlist.protocols import protocol_named
from boxlist.records import Record

PIXELS = protocol_named("pixel_xyxy")
BOXES = [(float(x), 0.0, x + 10.0, 10.0) for x in range(0, 60, 20)]


def test_prefix_of_each_image() -> None:
    prefix, counts = np.array([2, 0, 1]), np.array([3, 0, 2])
    assert in_prefix(prefix, counts).tolist() == [True, True, False, True, False]


def row(*order: int) -> dict[str, object]:
    """The row of an answer that lists three right boxes in this order."""
    truth = GroundTruth(1, ("a",) * 3, np.array(BOXES), (100, 100))
    text = PIXELS.write(Record("a", BOXES[index]) for index in order)
    return score_boxes([GivenAnswer(1, text)], [truth], PIXELS)[0]


@pytest.mark.parametrize(
    ("order", "prefix_tp", "n_tail", "tail_tp"),
    [
        ((0, 1, 2), 3, 0, 0),
        ((0, 1, 1, 1, 1), 2, 3, 1),  # a loop on a true positive: the first copy has the match
        ((0, 1, 1, 2), 2, 2, 2),  # the tail goes on to something new
        ((0, 0, 1, 2), 1, 3, 3),
    ],
)
def test_a_loop_does_not_take_the_match_from_the_prefix(
    order: tuple[int, ...], prefix_tp: int, n_tail: int, tail_tp: int
) -> None:
    scored = row(*order)
    assert (scored["prefix_tp@0.5"], scored["n_tail"], scored["tail_tp@0.5"]) == (prefix_tp, n_tail, tail_tp)


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_shares_are_pooled_over_images() -> None:
    figures = summarise([row(0, 1, 1, 2), row(0, 1, 2)], ["separability_prefix@0.5", "separability_tail_f1@0.5"])
    assert figures["separability_prefix@0.5"]["value"] == pytest.approx((2 + 3) / (3 + 3))
    # 2 of the tail's 2 are right, against the 6 truths of both images; only one image has a tail
    assert figures["separability_tail_f1@0.5"]["value"] == pytest.approx(2 * 2 / (2 + 6))
    assert (figures["separability_prefix@0.5"]["n"], figures["separability_tail_f1@0.5"]["n"]) == (2, 1)


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_without_a_tail_its_f1_is_undefined() -> None:
    figure = summarise([row(0, 1, 2)], ["separability_tail_f1@0.3"])["separability_tail_f1@0.3"]
    assert (figure["value"], figure["ci_low"], figure["n"]) == (None, None, 0)
