"""Points against right points: rows worked by hand, matching against scipy, and what counts as what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer, PointTruth
from boxlist.metrics.points import NEAR, REACH_COLUMNS, farthest, match_points, score_pointing
from boxlist.metrics.rows.points import POINTING_METRICS
from boxlist.metrics.summary import summarise
from boxlist.protocols import PROTOCOLS
from boxlist.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENT = PROTOCOLS["percent_xy"]
SIZE = (300, 400)  # diagonal 500, so that near is under 25 pixels


def truth(*points: tuple[float, float], image_id: int = 1) -> PointTruth:
    return PointTruth(image_id, np.array(points, dtype=np.float64).reshape(-1, 2), SIZE)


def row(text: str, *points: tuple[float, float], protocol: str = "percent_xy") -> dict[str, Any]:
    (found,) = score_pointing([GivenAnswer(1, text)], [truth(*points)], PROTOCOLS[protocol])
    return found


def test_one_point_by_hand() -> None:
    # 10% of 300 and 20% of 400: (30, 80), off by 3 and -4 from (27, 84)
    found = row('<point x="10.0" y="20.0">cat</point>', (27, 84))
    expected = {
        "status": "valid", "parse_valid": True, "valid_prediction": 1.0, "n_pred": 1, "n_gt": 1, "out_of_range": 0,
        "distance": 5.0, "distance_share": 0.01, "squared_x": 9.0, "squared_y": 16.0, "absolute_x": 3.0,
        "absolute_y": 4.0, "near": 1.0, "near_tp": 1, "near_tp_strict": 1, "duplicates": 0, "max_repeat": 1,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert all(found[f"{name}_all"] == found[name] for name in REACH_COLUMNS)


def test_several_points_by_hand() -> None:
    """Each right point goes to its nearest prediction, which may be the same; F1 pairs them off."""
    found = row('<points x1="10.0" y1="20.0" x2="90.0" y2="90.0"/>', (30, 80), (30, 90), (30, 380))
    # 0 and 10 to (30, 80); (30, 380) is 300 from it and nearer to (270, 360): 240 and 20, 240.83 away
    assert found["distance"] == pytest.approx((0 + 10 + (240**2 + 20**2) ** 0.5) / 3)
    assert found["absolute_x"] == pytest.approx(240 / 3)
    assert found["absolute_y"] == pytest.approx((0 + 10 + 20) / 3)
    assert found["near"] == pytest.approx(2 / 3)
    assert (found["near_tp"], found["n_pred"], found["n_gt"]) == (1, 2, 3)


def test_near_is_less_than_five_percent_of_the_diagonal() -> None:
    assert NEAR * 500 == 25
    assert row('<point x="50" y="50"/>', (150, 225))["near"] == 0.0  # 25 pixels
    assert row('<point x="50" y="50"/>', (150, 224.9))["near"] == 1.0


@pytest.mark.parametrize(
    ("text", "status", "outside"),
    [
        ("", "empty", 0),
        ("I do not know.", "malformed", 0),
        ('<point x="150.0" y="225.0">cat</point>', "valid", 1),  # pixels where percent are asked for
        ('<point x="10.0" y="100.1">cat</point>', "valid", 1),
        ('<point x="-0.1" y="10"/>', "valid", 1),
        ('<point x="1e308" y="10"/>', "valid", 1),
    ],
)
def test_no_point_in_the_image_is_as_far_off_as_it_allows(text: str, status: str, outside: int) -> None:
    found = row(text, (150, 225))
    assert (found["status"], found["out_of_range"], found["n_pred"]) == (status, outside, outside)
    assert found["valid_prediction"] == 0.0
    assert [found[name] for name in REACH_COLUMNS] == [None] * len(REACH_COLUMNS)
    assert found["distance_all"] == 500
    assert (found["squared_x_all"], found["squared_y_all"]) == (300**2, 400**2)
    assert (found["absolute_x_all"], found["absolute_y_all"], found["near_all"]) == (300, 400, 0)
    assert farthest(SIZE).columns(500)["distance_share"] == found["distance_share_all"] == 1


def test_a_cut_list_counts_over_all_questions_and_not_among_the_valid() -> None:
    found = row('<points x1="10.0" y1="20.0" x2="9', (30, 80))
    assert (found["status"], found["valid_prediction"], found["distance"]) == ("truncated", 0.0, None)
    assert (found["distance_all"], found["near_all"]) == (0.0, 1.0)
    assert (found["near_tp"], found["near_tp_strict"], found["n_pred"], found["n_pred_strict"]) == (1, 0, 1, 0)


def test_a_question_without_right_points() -> None:
    found = row('<point x="1" y="1"/>')
    assert (found["n_gt"], found["n_pred"], found["near_tp"], found["valid_prediction"]) == (0, 1, 0, None)
    assert all(found[name] is None and found[f"{name}_all"] is None for name in REACH_COLUMNS)


def test_repeats_are_counted() -> None:
    found = row('<points x1="1" y1="2" x2="1.0" y2="2" x3="3" y3="2"/>', (3, 8))
    assert (found["duplicates"], found["duplicate_rate"], found["max_repeat"]) == (1, pytest.approx(1 / 3), 2)


@pytest.mark.parametrize("protocol", ["percent_xy", "norm1000_xy", "norm1000_yx"])
def test_points_in_any_protocol(protocol: str) -> None:
    numbers = PROTOCOLS[protocol].from_xy_px([[30, 80]], SIZE)[0]
    text = PROTOCOLS[protocol].write([Record("cat", tuple(numbers.tolist()))])
    assert row(text, (30, 80), protocol=protocol)["distance"] == pytest.approx(0, abs=1e-9)


def test_resized_pixels_need_their_frame() -> None:
    text = '[{"point_2d": [60, 40], "label": "cat"}]'
    answer = GivenAnswer(1, text, frame_wh_px=(600, 200))
    (found,) = score_pointing([answer], [truth((30, 80))], PROTOCOLS["resized_pixel_xy"])
    assert found["distance"] == 0
    with pytest.raises(InputError, match="expected the size of the resized image"):
        score_pointing([answer._replace(frame_wh_px=None)], [truth((30, 80))], PROTOCOLS["resized_pixel_xy"])


def test_what_is_refused() -> None:
    with pytest.raises(InputError, match=r"protocol norm1000_xyxy: expected one that writes points"):
        score_pointing([], [], PROTOCOLS["norm1000_xyxy"])
    message = "right points of 1: expected x from 0 to 300 and y from 0 to 400, in pixels, got [[10.0, 401.0]]"
    with pytest.raises(InputError, match=re.escape(message)):
        row("", (10, 401))


POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8).map(
    lambda points: np.array(points, dtype=np.float64).reshape(-1, 2)
)


def plain_greedy(points: NDArray[np.float64], truths: NDArray[np.float64], near: float) -> int:
    pairs = sorted(
        (float(np.hypot(*(p - t))), i, j)
        for i, t in enumerate(truths)
        for j, p in enumerate(points)
        if np.hypot(*(p - t)) < near
    )
    used_truths: set[int] = set()
    used_points: set[int] = set()
    for _, i, j in pairs:
        if i not in used_truths and j not in used_points:
            used_truths.add(i)
            used_points.add(j)
    return len(used_truths)


@given(POINTS, POINTS.filter(len), st.floats(0.5, 8))
def test_matching_is_greedy_and_never_far_from_the_best(
    points: NDArray[np.float64], truths: NDArray[np.float64], near: float
) -> None:
    found = match_points(points, truths, near)
    assert found == plain_greedy(points, truths, near)
    close = np.hypot(*np.moveaxis(points[:, None] - truths[None], -1, 0)) < near
    places = linear_sum_assignment(close, maximize=True)
    best = int(close[places].sum())
    assert best / 2 <= found <= best
    if (close.sum(axis=0) <= 1).all() and (close.sum(axis=1) <= 1).all():
        assert found == best


def test_many_predictions_take_bounded_memory() -> None:
    points = np.random.default_rng(0).uniform(0, 300, (20_000, 2))
    assert match_points(points, points[:50], 100.0) == 50
    qwen = PROTOCOLS["norm1000_xy"]
    text = qwen.write([Record("", tuple(point)) for point in qwen.from_xy_px(points, SIZE).tolist()])
    assert row(text, *map(tuple, points[:50].tolist()), protocol="norm1000_xy")["near"] == 1.0


def test_figures_over_questions() -> None:
    near, far = '<point x="10" y="20"/>', '<point x="10" y="95"/>'  # 0 and 300 pixels off
    answers = [GivenAnswer(n, text) for n, text in enumerate([near] * 30 + [far] * 8 + ["?"] * 2)]
    rows = score_pointing(answers, [truth((30, 80), image_id=n) for n in range(40)], PERCENT)
    found = summarise(rows, POINTING_METRICS)
    values = {name: found[name]["value"] for name in POINTING_METRICS}
    assert values["valid_predictions"] == values["parse_valid"] == pytest.approx(38 / 40)
    assert values["point_distance_mean"] == pytest.approx(8 * 300 / 38)
    assert values["point_distance_mean_all"] == pytest.approx((8 * 300 + 2 * 500) / 40)
    assert values["point_distance_median"] == values["point_distance_median_all"] == 0
    assert values["point_distance_normalized"] == pytest.approx(8 * 0.6 / 38)
    assert values["point_mse_y"] == pytest.approx(8 * 300**2 / 38)
    assert values["point_mae_x"] == 0
    assert values["point_success@0.05"] == pytest.approx(30 / 38)
    assert values["point_success@0.05_all"] == pytest.approx(30 / 40)
    assert values["point_f1@0.05"] == pytest.approx(60 / 78)
    assert (found["point_distance_mean"]["n"], found["point_distance_mean_all"]["n"]) == (38, 40)
    assert found["point_distance_std"]["ci_low"] is not None


def test_an_answer_stands_by_its_question() -> None:
    answers = [GivenAnswer(2, '<point x="10" y="20"/>', triggered=True, tokens=7)]
    first, second = score_pointing(answers, [truth((1, 1)), truth((30, 80), image_id=2)], PERCENT)
    assert (first["image_id"], first["status"], first["tokens"]) == (1, "empty", None)
    assert (second["distance"], second["triggered"], second["tokens"]) == (0.0, True, 7)
