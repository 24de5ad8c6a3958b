"""Medians and standard deviations over images, against the values repeated as often as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.metrics.intervals import resample_weights
from boxlist.metrics.paired import is_beyond_chance, metric_value, paired_differences
from boxlist.metrics.spread import Spreading, resampled_spreads
from boxlist.metrics.summary import summarise

MEDIAN, DEVIATION = "point_distance_median", "point_distance_std"


@given(
    st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=20).filter(lambda v: any(x is not None for x in v)),
    st.integers(0, 5),
)
def test_resamples_are_those_of_the_repeated_values(values: list[float | None], seed: int) -> None:
    column = np.array([0.0 if value is None else value for value in values])
    defined = np.array([value is not None for value in values])
    asked = [Spreading("median", column, defined), Spreading("deviation", column, defined)]
    found = resampled_spreads(asked, len(values), 50, seed)
    weights = np.concatenate([chunk.copy() for chunk in resample_weights(len(values), 50, seed)])
    assert found.shape == (50, 2)
    for row, (median, deviation) in zip(weights.astype(int), found, strict=True):
        drawn = np.repeat(column[defined], row[defined])
        if not len(drawn):
            assert np.isnan([median, deviation]).all()
            continue
        assert median == pytest.approx(np.median(drawn), rel=1e-12, abs=1e-9)
        assert deviation == pytest.approx(np.std(drawn), rel=1e-6, abs=1e-6 * np.abs(column).max())


def test_nothing_to_resample() -> None:
    nothing = Spreading("median", np.empty(0), np.empty(0, dtype=bool))
    assert np.isnan(resampled_spreads([nothing], 0, 5, 0)).all()
    unknown = Spreading("deviation", np.zeros(3), np.zeros(3, dtype=bool))
    assert np.isnan(resampled_spreads([unknown, unknown._replace(kind="median")], 3, 5, 0)).all()


def rows(*distances: float | None) -> list[dict[str, object]]:
    return [{"distance": distance} for distance in distances]


def test_figures_by_hand() -> None:
    values = [1.0, 2.0, 4.0, 9.0] * 10
    found = summarise(rows(*values, None, None), [MEDIAN, DEVIATION])
    assert found[MEDIAN]["value"] == 3.0
    # the mean is 4, the squares are 9, 4, 0 and 25
    assert found[DEVIATION]["value"] == pytest.approx(9.5**0.5)
    for figure in found.values():
        assert (figure["n"], figure["interval"]) == (40, "percentile")
        assert figure["ci_low"] is not None
        assert figure["ci_high"] is not None
        assert figure["value"] is not None
        assert figure["ci_low"] < figure["value"] < figure["ci_high"]


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_undefined_is_null() -> None:
    for figure in summarise(rows(None, None), [MEDIAN, DEVIATION]).values():
        assert (figure["value"], figure["ci_low"], figure["n"]) == (None, None, 0)
    assert summarise([], [MEDIAN])[MEDIAN]["value"] is None


def test_other_metrics_are_untouched_by_medians_beside_them() -> None:
    values = np.random.default_rng(3).uniform(0, 9, 50).tolist()
    alone = summarise(rows(*values), ["point_distance_mean"], seed=4)
    beside = summarise(rows(*values), [MEDIAN, "point_distance_mean", DEVIATION], seed=4)
    assert beside["point_distance_mean"] == alone["point_distance_mean"]


def test_two_runs_have_an_interval_and_no_p() -> None:
    rng = np.random.default_rng(0)
    a = {"distance": rng.uniform(10, 20, 200)}
    b = {"distance": a["distance"] - 5}
    found = paired_differences(a, b, [MEDIAN, DEVIATION, "point_distance_mean"], resamples=200, permutations=200)
    assert list(found) == [MEDIAN, DEVIATION, "point_distance_mean"]
    median = found[MEDIAN]
    assert median["a"] == metric_value(MEDIAN, a) == np.median(a["distance"])
    # every value is lower by 5, and so is every median of the same images
    assert [median[end] for end in ("difference", "ci_low", "ci_high")] == pytest.approx([-5.0] * 3)
    assert found[DEVIATION]["difference"] == pytest.approx(0.0, abs=1e-9)
    assert (median["p"], is_beyond_chance(median)) == (None, False)
    assert found["point_distance_mean"]["p"] is not None
