"""Paired differences: worked by hand, against scipy, and what must hold for any two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from boxlist.errors import InputError
from boxlist.metrics.paired import (
    DETECTABLE_SE,
    Difference,
    _swaps,
    detectable_difference,
    holm,
    is_beyond_chance,
    metric_pair,
    metric_value,
    paired_differences,
    permutation_p,
    permuted_differences,
    resampled_differences,
    standard_error,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxlist.metrics.columns import Columns

METRICS = ("f1@0.3", "duplicate_rate", "count_mae", "max_repeat")
NAN = float("nan")


def columns(
    tp: list[float], n_pred: list[float], n_gt: list[float], duplicates: list[float] | None = None, **more: list[float]
) -> Columns:
    rows = {"tp@0.3": tp, "n_pred": n_pred, "n_gt": n_gt, "duplicate_rate": duplicates or [0.0] * len(tp), **more}
    return {name: np.array(values, dtype=np.float64) for name, values in rows.items()}


def drawn(n: int, seed: int, hit: float = 0.7) -> Columns:
    """A run of n images, a few of which loop; images are the same for all seeds."""
    truths = np.random.default_rng(0).integers(3, 12, n)
    rng = np.random.default_rng(seed)
    tp = rng.binomial(truths, hit)
    copies = np.where(rng.random(n) < 0.1, 20, 0)
    found = columns(tp.tolist(), (tp + rng.poisson(1.0, n) + copies).tolist(), truths.tolist())
    found["duplicate_rate"] = copies / np.maximum(found["n_pred"], 1)
    found["count_error"] = np.where(rng.random(n) < 0.2, np.nan, rng.integers(0, 3, n))
    found["max_repeat"] = copies + 1.0
    return found


def test_worked_by_hand() -> None:
    a = columns([1, 2], [2, 4], [2, 2], [0.5, 0.0], count_error=[1, NAN], max_repeat=[2, 1])
    b = columns([2, 2], [2, 2], [2, 2], [0.0, 0.0], count_error=[0, 4], max_repeat=[1, 5])
    found = paired_differences(a, b, METRICS, resamples=200, permutations=200)
    assert (found["f1@0.3"]["a"], found["f1@0.3"]["b"]) == (2 * 3 / (6 + 4), 2 * 4 / (4 + 4))
    assert found["f1@0.3"]["difference"] == pytest.approx(0.4)
    assert (found["duplicate_rate"]["difference"], found["duplicate_rate"]["n"]) == (-0.25, 2)
    assert (found["count_mae"]["a"], found["count_mae"]["b"], found["count_mae"]["n"]) == (1.0, 2.0, 2)
    assert found["max_repeat"] == Difference(
        a=2.0, b=5.0, difference=3.0, ci_low=None, ci_high=None, p=None, detectable=None, n=2
    )


def test_all_four_swaps_of_two_images() -> None:
    a, b = columns([1, 2], [2, 4], [2, 2]), columns([2, 2], [2, 2], [2, 2])
    permuted = permuted_differences([metric_pair("f1@0.3", a, b)], 400)[:, 0]
    # none, the first, the second, both
    possible = [8 / 8 - 6 / 10, 6 / 8 - 8 / 10, 8 / 10 - 6 / 8, 6 / 10 - 8 / 8]
    values, counts = np.unique(permuted.round(12), return_counts=True)
    assert values.tolist() == pytest.approx(sorted(possible))
    assert counts.min() > 60


def pooled_f1(a: Columns, b: Columns) -> Any:
    """A statistic for scipy of two arrays of places in the images of a and then b."""
    tp, n = (np.concatenate([a[name] + a.get(other, 0), b[name] + b.get(other, 0)]) for name, other in _F1)

    def difference(x: NDArray[np.int64], y: NDArray[np.int64], axis: int = -1) -> NDArray[np.float64]:
        values: NDArray[np.float64] = 2 * tp[y].sum(axis) / n[y].sum(axis) - 2 * tp[x].sum(axis) / n[x].sum(axis)
        return values

    return difference


_F1 = (("tp@0.3", ""), ("n_pred", "n_gt"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_permutation_against_scipys_exact_one(seed: int) -> None:
    a, b = drawn(9, seed), drawn(9, seed + 10, hit=0.4)
    places = np.arange(9)
    theirs = stats.permutation_test(
        (places, places + 9), pooled_f1(a, b), permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    ours = paired_differences(a, b, ["f1@0.3"], permutations=20_000)["f1@0.3"]
    assert ours["difference"] == pytest.approx(theirs.statistic)
    assert ours["p"] == pytest.approx(theirs.pvalue, abs=0.015)


def test_interval_against_scipys_paired_bootstrap() -> None:
    a, b = drawn(60, 1), drawn(60, 2, hit=0.6)
    places = np.arange(60)
    theirs = stats.bootstrap(
        (places, places + 60),
        pooled_f1(a, b),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=8000,
        rng=np.random.default_rng(0),
    )
    ours = paired_differences(a, b, ["f1@0.3"], resamples=8000, permutations=10)["f1@0.3"]
    assert (ours["ci_low"], ours["ci_high"]) == pytest.approx(tuple(theirs.confidence_interval), abs=0.006)
    assert ours["detectable"] == pytest.approx(2.80 * theirs.standard_error, rel=0.05)


def test_a_mean_against_scipys_paired_test() -> None:
    a, b = drawn(400, 1), drawn(400, 2)
    b["duplicate_rate"] = np.clip(b["duplicate_rate"] + np.random.default_rng(5).normal(0.03, 0.2, 400), 0, 1)
    found = paired_differences(a, b, ["duplicate_rate"])["duplicate_rate"]
    assert found["p"] == pytest.approx(stats.ttest_rel(a["duplicate_rate"], b["duplicate_rate"]).pvalue, abs=0.01)


def test_b_against_a_is_the_negative() -> None:
    a, b = drawn(50, 1), drawn(50, 2, hit=0.6)
    forth, back = (paired_differences(*runs, METRICS, permutations=500) for runs in ((a, b), (b, a)))
    for name in METRICS:
        one, other = forth[name], back[name]
        assert one["difference"] == -(other["difference"] or 0.0)
        assert (one["p"], one["n"]) == (other["p"], other["n"])
        assert one["detectable"] == pytest.approx(other["detectable"])
        if one["ci_low"] is not None and other["ci_high"] is not None:
            assert one["ci_low"] == pytest.approx(-other["ci_high"])


@given(seed=st.integers(0, 10_000), n=st.integers(1, 40))
def test_a_run_against_itself_is_no_difference(seed: int, n: int) -> None:
    a = drawn(n, seed)
    for name, found in paired_differences(a, a, METRICS, resamples=20, permutations=20).items():
        assert found["difference"] in {0.0, None}
        assert found["p"] in {1.0, None}
        assert found["detectable"] is None, name
        assert found["a"] == found["b"] == metric_value(name, a)


def test_order_of_images_does_not_matter_to_the_figures() -> None:
    a, b = drawn(40, 1), drawn(40, 2)
    order = np.random.default_rng(3).permutation(40)
    moved_a, moved_b = ({name: column[order] for name, column in run.items()} for run in (a, b))
    moved = paired_differences(moved_a, moved_b, METRICS, permutations=10)
    for name, found in paired_differences(a, b, METRICS, permutations=10).items():
        assert moved[name]["difference"] == pytest.approx(found["difference"])


def test_undefined_is_null() -> None:
    a, b = columns([0], [0], [0]), columns([1], [1], [1])
    found = paired_differences(a, b, ["f1@0.3"], resamples=20, permutations=20)["f1@0.3"]
    assert found == Difference(a=None, b=1.0, difference=None, ci_low=None, ci_high=None, p=None, detectable=None, n=1)


def test_permutations_that_are_undefined_count_as_extreme() -> None:
    assert permutation_p(0.5, np.array([0.0, 0.0, np.nan])) == 2 / 4
    assert permutation_p(0.5, np.array([0.5, -0.5, 0.1])) == 3 / 4
    assert permutation_p(0.5, np.array([0.5, -0.5, 0.1]), "greater") == 2 / 4
    assert permutation_p(0.5, np.array([0.5, -0.5, 0.1]), "less") == 4 / 4
    assert permutation_p(0.1 + 0.2, np.array([0.3])) == 1.0  # the same figure, added up in another order


def test_resamples_draw_the_same_images_for_both() -> None:
    a = drawn(30, 1)
    b = {**a, "n_gt": a["n_gt"] + 1}
    pair = metric_pair("f1@0.3", a, b)
    assert (resampled_differences([pair], 200)[:, 0] < 0).all()


def test_standard_error_and_what_is_detectable() -> None:
    samples = np.array([0.0, 0.1, 0.2, np.nan])
    assert standard_error(samples) == pytest.approx(0.1)
    assert detectable_difference(samples) == pytest.approx(0.2802, abs=1e-4)
    assert pytest.approx(1.959964 + 0.841621, abs=1e-6) == DETECTABLE_SE
    assert standard_error(np.zeros(9)) is standard_error(np.array([np.nan])) is None


def test_beyond_chance_needs_both() -> None:
    found = Difference(a=0.0, b=0.1, difference=0.1, ci_low=0.01, ci_high=0.2, p=0.04, detectable=0.1, n=80)
    assert is_beyond_chance(found)
    assert not is_beyond_chance({**found, "ci_low": 0.0})
    assert not is_beyond_chance({**found, "p": 0.06})
    assert not is_beyond_chance({**found, "p": None})
    assert is_beyond_chance({**found, "ci_low": -0.2, "ci_high": -0.01})


def test_one_hit_beside_fewer_records_is_not_beyond_chance() -> None:
    n = 40
    a = columns([0.0] * n, [7.0] * n, [7.0] * n)
    b = columns([1.0] + [0.0] * (n - 1), [4.0] * n, [7.0] * n)
    found = paired_differences(a, b, ["f1@0.3"])["f1@0.3"]
    assert found["p"] is not None
    assert found["p"] < 0.001
    assert not is_beyond_chance(found)


def holm_by_definition(p_values: list[float]) -> list[float]:
    """Of each the largest, over those no larger, of p times the number not smaller (ties: as sorted)."""
    order = np.argsort(p_values, kind="stable")
    steps = [min(1.0, p_values[place] * (len(order) - rank)) for rank, place in enumerate(order)]
    return [max(steps[: list(order).index(place) + 1]) for place in range(len(p_values))]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert adjusted == pytest.approx(holm_by_definition(p_values))
    assert all(new is not None and old <= new <= 1 for old, new in zip(p_values, adjusted, strict=True))


def test_holm_leaves_none_out() -> None:
    assert holm([None, 0.02, 0.04]) == [None, 0.04, 0.04]
    assert holm([]) == []


def test_swaps_of_many_images_come_in_chunks() -> None:
    chunks = [(len(chunk), float(chunk.mean())) for chunk in _swaps(100_000, 25, 10, 0)]
    assert [rows for rows, _ in chunks] == [10, 10, 5]
    assert [half for _, half in chunks] == pytest.approx([0.5] * 3, abs=0.01)


def test_runs_over_other_numbers_of_images_are_refused() -> None:
    with pytest.raises(InputError, match=r"f1@0.3 of two runs: expected the same images, got 3 and 4\."):
        metric_pair("f1@0.3", drawn(3, 1), drawn(4, 1))
