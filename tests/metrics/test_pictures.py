"""Questions that share a picture: worked by hand, against a bootstrap of whole pictures, unchanged where none do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from boxlist.metrics.intervals import FewImagesWarning, resample_weights, wilson_interval
from boxlist.metrics.non_inferiority import judge, weigh
from boxlist.metrics.paired import metric_pair, pair_by_picture, paired_differences, permuted_differences
from boxlist.metrics.pictures import PICTURE, count_pictures, number_pictures, picture_column, pictures_of
from boxlist.metrics.spread import Spreading, resampled_spreads
from boxlist.metrics.summary import Parts, by_picture, resampled_values, summarise, task_scores
from boxlist.metrics.table import METRICS

if TYPE_CHECKING:
    from boxlist.metrics.columns import Columns

few = pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
# 60 questions about 35 pictures, one to four each, in no order; right or wrong mostly by picture
RNG = np.random.default_rng(3)
OWNERS = RNG.permutation(np.concatenate([np.arange(35), RNG.integers(0, 12, 25)]))
HARD = RNG.random(35) < 0.4


def columns(seed: int, right: float = 0.8) -> Columns:
    rng = np.random.default_rng(seed)
    found = np.where(HARD[OWNERS], rng.random(60) < right - 0.5, rng.random(60) < right).astype(np.float64)
    return {
        "choice_correct": found,
        "point_distance": rng.exponential(10, 60),
        PICTURE: OWNERS.astype(np.float64),
    }


def rows(values: list[float], pictures: list[str] | None = None) -> list[dict[str, Any]]:
    named = [{PICTURE: name} for name in pictures] if pictures else [{}] * len(values)
    return [
        {"image_id": place, "choice_correct": value, **name}
        for place, (value, name) in enumerate(zip(values, named, strict=True))
    ]


def test_numbers_do_not_depend_on_the_order_and_have_no_gap() -> None:
    assert number_pictures(["b", "a", "b"]).tolist() == [1, 0, 1]
    assert number_pictures(["a", "b", "b"]).tolist() == [0, 1, 1]
    found = pictures_of({PICTURE: np.array([7.0, 3.0, 7.0, 9.0])})
    assert found is not None
    assert found.tolist() == [1, 0, 1, 2]
    assert count_pictures(found, np.array([True, False, True, False])) == 1
    assert count_pictures(None, np.array([True, False, True])) == 2


def test_no_pictures_where_each_row_has_its_own_or_one_does_not_say() -> None:
    assert pictures_of({}) is None
    assert pictures_of({PICTURE: np.array([2.0, 0.0, 1.0])}) is None
    assert picture_column([{PICTURE: "a"}, {}]) == picture_column([]) == {}


def test_two_questions_about_one_picture_move_together() -> None:
    parts = Parts(np.array([1.0, 0.0, 1.0]), np.ones(3), np.ones(3, dtype=np.bool_))
    pictures = np.array([0, 0, 1])
    drawn = by_picture(parts, pictures)
    assert [part.tolist() for part in drawn] == [[1, 1], [2, 1], [True, True]]
    # two of the first, one of each, two of the second: never 0, which three questions by themselves may give
    values, counts = np.unique(resampled_values([drawn], 400, 0), return_counts=True)
    assert values.tolist() == pytest.approx([1 / 2, 2 / 3, 1])
    assert counts.tolist() == pytest.approx([100, 200, 100], abs=35)
    assert resampled_values([parts], 400, 0).min() == 0


@few
def test_all_swaps_of_whole_pictures() -> None:
    a = {"choice_correct": np.array([1.0, 0.0, 0.0]), PICTURE: np.array([0.0, 0.0, 1.0])}
    b = {**a, "choice_correct": np.array([1.0, 1.0, 1.0])}
    pair = pair_by_picture(metric_pair("choice_accuracy", a, b), np.array([0, 0, 1]))
    values, counts = np.unique(permuted_differences([pair], 400).round(12), return_counts=True)
    # one question each is gained: neither, the first or the second, and both pictures change places
    assert values.tolist() == pytest.approx([-2 / 3, 0, 2 / 3])
    assert counts.tolist() == pytest.approx([100, 200, 100], abs=35)


def test_intervals_against_a_bootstrap_of_whole_pictures() -> None:
    """Oracle: draw pictures, write down every question about each as often as it was drawn, and take the mean."""
    a, b = columns(1), columns(2, right=0.6)
    weights = np.concatenate([chunk.copy() for chunk in resample_weights(35, 1000, seed=4)]).astype(int)
    means = []
    for row in weights:
        asked = np.concatenate([np.repeat(np.flatnonzero(owner == OWNERS), row[owner]) for owner in range(35)])
        means.append([run["choice_correct"][asked].mean() for run in (a, b)])
    own, other = np.array(means).T
    listed = [
        {"choice_correct": value, PICTURE: f"p{owner:02}"}
        for value, owner in zip(a["choice_correct"], OWNERS, strict=True)
    ]
    figure = summarise(listed, ["choice_accuracy"], seed=4)["choice_accuracy"]
    assert figure["value"] == a["choice_correct"].mean()
    assert (figure["n"], figure["few_images"]) == (60, False)
    assert (figure["ci_low"], figure["ci_high"]) == pytest.approx(tuple(np.percentile(own, [2.5, 97.5])))
    found = paired_differences(a, b, ["choice_accuracy"], seed=4, permutations=50)["choice_accuracy"]
    assert (found["n"], found["a"]) == (60, figure["value"])
    assert (found["ci_low"], found["ci_high"]) == pytest.approx(tuple(np.percentile(other - own, [2.5, 97.5])))


def test_medians_and_deviations_of_whole_pictures() -> None:
    values = columns(1)["point_distance"]
    every = np.ones(60, dtype=np.bool_)
    asked = [Spreading("median", values, every), Spreading("deviation", values, every)]
    found = resampled_spreads(asked, 60, 40, 4, OWNERS)
    weights = np.concatenate([chunk.copy() for chunk in resample_weights(35, 40, seed=4)]).astype(int)
    for row, (median, deviation) in zip(weights, found, strict=True):
        drawn = np.repeat(values, row[OWNERS])
        assert (median, deviation) == pytest.approx((np.median(drawn), np.std(drawn)))


def test_answers_that_fail_together_have_wider_intervals() -> None:
    values = [float(place % 2) for place in range(40) for _ in range(5)]
    names = [f"p{place}" for place in range(40) for _ in range(5)]
    shared, alone = (summarise(rows(values, given), ["choice_accuracy"])["choice_accuracy"] for given in (names, None))
    widths = [(each["ci_high"] or 0) - (each["ci_low"] or 0) for each in (shared, alone)]
    assert widths[0] / widths[1] == pytest.approx(5**0.5, rel=0.15)
    assert shared["value"] == alone["value"]


def test_few_pictures_warn_and_wilsons_interval_is_over_pictures() -> None:
    listed = rows([1.0] * 60, [f"p{place % 20}" for place in range(60)])
    with pytest.warns(FewImagesWarning, match="20 images are fewer than 30"):
        scores = task_scores(listed, ["choice_accuracy"])
    figure = scores["metrics"]["choice_accuracy"]
    assert (scores["n"], scores["pictures"], figure["n"], figure["few_images"]) == (60, 20, 60, True)
    assert (figure["ci_low"], figure["ci_high"]) == wilson_interval(1.0, 20)


def test_rows_with_a_picture_each_are_as_rows_without() -> None:
    values = RNG.random(40).round(1).tolist()
    named = task_scores(rows(values, [f"p{place}" for place in range(40)]), ["choice_accuracy"])
    plain = task_scores(rows(values), ["choice_accuracy"])
    assert named["metrics"] == plain["metrics"]
    assert "pictures" not in named
    assert list(plain) == ["n", "seed", "resamples", "metrics", "per_image"]


def test_a_gate_counts_pictures() -> None:
    """Three questions a picture, all right before and after: what no picture of 40 showed, not no question of 120."""
    right = {"choice_correct": np.ones(120), PICTURE: np.arange(120.0) % 40}
    pair, pictures = metric_pair("choice_accuracy", right, right), pictures_of(right)
    (evidence,) = weigh([pair], [METRICS["choice_accuracy"]], permutations=50, pictures=pictures)
    assert (evidence.n, evidence.pictures, evidence.n_pictures) == (120, 40, 40)
    assert evidence.bound == pytest.approx(1 - 0.05 ** (1 / 40))
    assert judge([evidence], [0.1])[0].verdict == "pass"
    (few_pictures,) = weigh([pair], [METRICS["choice_accuracy"]], permutations=50, pictures=np.arange(120) % 20)
    assert judge([few_pictures], [0.2])[0].reason == "under 30 images nothing passes"
    (plain,) = weigh([pair], [METRICS["choice_accuracy"]], permutations=50)
    assert (plain.pictures, plain.n_pictures) == (None, 120)
