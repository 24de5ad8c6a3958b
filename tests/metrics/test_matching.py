"""Matching: cases worked by hand, the rule about ties, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics import matching
from boxlist.metrics.matching import Candidates, match_boxes, overlaps, take_greedily
from boxlist.metrics.separability import match_tail_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

# the counter-example of notes/metrics.md: greedy takes A-P (0.818), after which Q has nobody left
TRUTH_A, TRUTH_B = [0.0, 0, 10, 10], [3.0, 0, 13, 10]
GIVEN_P, GIVEN_Q = [1.0, 0, 11, 10], [-2.0, 0, 8, 10]


def pairs(
    predictions: Sequence[Sequence[float]], truths: Sequence[Sequence[float]], threshold: float
) -> set[tuple[int, int]]:
    """(truth, prediction) pairs where all have one label."""
    found = match_boxes(predictions, truths, [0] * len(predictions), [0] * len(truths), threshold)
    return set(zip(found.truth.tolist(), found.prediction.tolist(), strict=True))


@pytest.mark.parametrize(
    ("predictions", "threshold", "expected"),
    [
        ([GIVEN_P, GIVEN_Q], 0.5, {(0, 0)}),
        ([GIVEN_Q, GIVEN_P], 0.5, {(0, 1)}),
        # at 0.3 Q still has B, at IoU 1/3
        ([GIVEN_P, GIVEN_Q], 0.3, {(0, 0), (1, 1)}),
    ],
)
def test_greedy_is_not_optimal(
    predictions: list[list[float]], threshold: float, expected: set[tuple[int, int]]
) -> None:
    assert pairs(predictions, [TRUTH_A, TRUTH_B], threshold) == expected


def test_iou_is_reported_best_first() -> None:
    found = match_boxes([GIVEN_Q, TRUTH_B], [TRUTH_A, TRUTH_B], [0, 0], [0, 0], 0.3)
    assert found.iou.tolist() == [1.0, pytest.approx(80 / 120)]
    assert found.truth.tolist() == [1, 0]


def test_equal_iou_goes_to_the_earlier_truth_then_the_earlier_prediction() -> None:
    box = [0, 0, 10, 10]
    found = match_boxes([box] * 3, [box] * 2, [0] * 3, [0] * 2, 0.5)
    assert found.truth.tolist() == [0, 1]
    assert found.prediction.tolist() == [0, 1]
    # one prediction halfway between two truths: both at IoU 1/3
    assert pairs([[5, 0, 15, 10]], [[10, 0, 20, 10], [0, 0, 10, 10]], 0.3) == {(0, 0)}


def test_a_tie_is_settled_by_truth_before_prediction() -> None:
    # 0.5 everywhere: truth 0 with the wide prediction 1, and truth 1 with prediction 0, are no better than 0-0, 1-1
    truths = [[0, 0, 10, 10], [0, 0, 10, 10]]
    predictions = [[0, 0, 5, 10], [5, 0, 10, 10]]
    assert pairs(predictions, truths, 0.5) == {(0, 0), (1, 1)}


@pytest.mark.parametrize(
    ("prediction", "threshold", "matches"),
    [
        ([0, 0, 10, 3], 0.3, True),  # exactly 3/10
        ([0, 0, 10, 3], 0.3000000001, False),
        ([0, 0, 10, 5], 0.5, True),
        ([0, 0, 10, 10], 1.0, True),
        ([10, 0, 20, 10], 0.01, False),  # exclusive ends: touching boxes share nothing
        ([0, 0, 8, 8], 0.65, False),  # 0.64; with inclusive ends it would be 0.669
    ],
)
def test_threshold_is_inclusive_and_ends_are_exclusive(
    prediction: list[float], threshold: float, matches: bool
) -> None:
    assert (pairs([prediction], [[0, 0, 10, 10]], threshold) == {(0, 0)}) is matches


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 0, 10],  # no width
        [0, 0, 10, 0],
        [10, 0, 0, 10],  # inverted on one axis: COCO tools drop it, and it is no false positive there
        [10, 10, 0, 0],  # inverted on both: a positive area by the formula
        [0, 0, 1e-200, 1e-200],  # an area that underflows to 0
    ],
)
def test_impossible_boxes_match_nothing_not_even_themselves(box: list[float]) -> None:
    assert pairs([box], [box], 0.3) == set()
    assert pairs([box], [[0, 0, 10, 10]], 0.3) == set()


def test_only_equal_keys_match() -> None:
    box = [0, 0, 10, 10]
    found = match_boxes([box, box], [box, box], [7, 10**15], [10**15, -3], 0.5)
    assert (found.truth.tolist(), found.prediction.tolist()) == ([0], [1])


@pytest.mark.parametrize(("n_predictions", "n_truths"), [(0, 0), (0, 2), (2, 0)])
def test_nothing_matches_nothing(n_predictions: int, n_truths: int) -> None:
    box = [0.0, 0, 10, 10]
    assert pairs([box] * n_predictions, [box] * n_truths, 0.5) == set()


def test_nan_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        match_boxes([[0.0, 0, 1, 1], [float("nan"), 0, 1, 1]], [], [0, 0], [], 0.5)
    assert str(refused.value) == (
        "predictions, box 1: expected finite coordinates, got [nan, 0.0, 1.0, 1.0]. Leave the box out or correct it."
    )
    with pytest.raises(InputError, match=r"ground truths, box 0: expected finite coordinates, got \[0.0, 0.0, inf"):
        match_boxes([], [[0, 0, float("inf"), 1]], [], [0], 0.5)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"predictions: expected boxes of shape \(N, 4\), got \(1, 5\)"):
        match_boxes([[0, 0, 1, 1, 1]], [], [0], [], 0.5)
    with pytest.raises(InputError, match="ground truths: expected 1 keys, got 2"):
        match_boxes([], [[0, 0, 1, 1]], [], [0, 1], 0.5)


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, float("nan")])
def test_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match="threshold: expected an IoU above 0, at most 1"):
        match_boxes([], [], [], [], threshold)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30), st.sampled_from([0, 1, 2, 12]))
@settings(deadline=None)
def test_rounds_take_what_one_by_one_takes(edges: list[tuple[int, int]], rounds: int) -> None:
    """Whatever the order and however many rounds, the result is that of going through the list."""
    edges = list(dict.fromkeys(edges))
    truth, prediction = (np.array([edge[side] for edge in edges], dtype=np.int64) for side in (0, 1))
    candidates = Candidates(truth, prediction, np.linspace(1, 0.5, len(edges)))
    expected, seen = [], [set[int](), set[int]()]
    for edge in edges:
        if edge[0] not in seen[0] and edge[1] not in seen[1]:
            expected.append(edge)
            seen[0].add(edge[0])
            seen[1].add(edge[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "_PEELING_ROUNDS", rounds)
        taken = take_greedily(candidates)
    assert list(zip(taken.truth.tolist(), taken.prediction.tolist(), strict=True)) == expected


def test_a_chain_longer_than_the_rounds_is_settled() -> None:
    """Each match frees nothing but settles the next: the worst case for rounds."""
    n = 300
    truth = np.repeat(np.arange(n), 2)[:-1]
    prediction = np.repeat(np.arange(n + 1), 2)[1:-2]
    taken = take_greedily(Candidates(truth, prediction, np.linspace(1, 0.5, len(truth))))
    assert taken.truth.tolist() == list(range(n))
    assert taken.prediction.tolist() == list(range(n))


corners = st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(4, 6)] * 2)
keyed = st.tuples(st.integers(0, 1), corners)


@given(st.lists(st.tuples(keyed, st.booleans()), max_size=14), st.lists(keyed, max_size=4))
@settings(deadline=None, max_examples=200)
def test_candidates_that_are_left_out_change_no_match(
    predictions: list[tuple[tuple[int, tuple[int, ...]], bool]], truths: list[tuple[int, tuple[int, ...]]]
) -> None:
    """Neither those of all predictions nor those of a tail alone, and ties are settled alike."""
    boxes = np.array([box for (_, box), _ in predictions], dtype=np.float64).reshape(-1, 4)
    truth_boxes = np.array([box for _, box in truths], dtype=np.float64).reshape(-1, 4)
    keys = np.array([key for (key, _), _ in predictions], dtype=np.int64)
    truth_keys = np.array([key for key, _ in truths], dtype=np.int64)
    prefix = np.array([part for _, part in predictions], dtype=bool)
    found = []
    for few in (1000, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matching, "_FEW", few)
            candidates, best_iou = overlaps(boxes, truth_boxes, keys, truth_keys, prefix, 0.3)
        matches = (take_greedily(candidates), match_tail_alone(candidates, prefix))
        found.append([best_iou.tolist(), *([column.tolist() for column in match] for match in matches)])
        most = max(1, len(truths)) if few == 0 else len(predictions)
        assert len(candidates.iou) <= 2 * most * len(truths)
    assert found[0] == found[1]


def test_thousands_of_predictions_that_overlap_everything_leave_few_candidates() -> None:
    boxes = np.array([0.0, 0, 1000, 1000]) + np.random.default_rng(0).uniform(-30, 30, (3000, 4))
    keys = np.zeros(3000, dtype=np.int64)
    found = overlaps(boxes, boxes[:100], keys, keys[:100], keys > 0, 0.3)
    assert len(found.candidates.iou) == 100 * 100
    assert take_greedily(found.candidates).truth.tolist() == list(range(100))
