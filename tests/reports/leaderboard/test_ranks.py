"""Ranks: values worked by hand, an oracle that ranks resample by resample, and Holm over permutations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from boxlist.metrics.intervals import resample_weights
from boxlist.metrics.paired import PERMUTATIONS, paired_differences
from boxlist.metrics.summary import Parts
from boxlist.metrics.table import METRICS
from boxlist.reports.leaderboard import ranks
from boxlist.reports.leaderboard.ranks import Standing, permutations_for, standings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

F1, DUPLICATES = METRICS["f1@0.3"], METRICS["duplicate_rate"]


def mean_parts(values: NDArray[np.float64]) -> Parts:
    return Parts(values, np.ones(len(values)), np.ones(len(values), dtype=bool))


def values_of(parts: Sequence[Parts]) -> list[float | None]:
    return [float(part.numerator.sum() / part.denominator.sum()) if part.counts.any() else None for part in parts]


@pytest.fixture(scope="module")
def parts() -> list[Parts]:
    """Five runs over 60 images: two alike, one a copy of the first, one far behind, one in between."""
    rng = np.random.default_rng(3)
    ease = rng.uniform(0, 0.3, 60)
    first = ease + rng.uniform(0.4, 0.7, 60)
    return [
        mean_parts(np.clip(column, 0, 1))
        for column in (first, first + rng.normal(0, 0.05, 60), first.copy(), ease, ease + rng.uniform(0.3, 0.6, 60))
    ]


def test_rank_is_one_more_than_the_runs_that_are_better(parts: list[Parts]) -> None:
    found = [standing.rank for standing in standings(F1, [0.5, 0.7, 0.5, None, 0.1], parts)]
    assert found == [2, 1, 2, None, 4]
    # duplicate_rate is better when lower
    assert [standing.rank for standing in standings(DUPLICATES, [0.5, 0.7, 0.5, None, 0.1], parts)] == [
        2,
        4,
        2,
        None,
        1,
    ]


def test_intervals_are_percentiles_of_ranks_in_shared_resamples(parts: list[Parts]) -> None:
    found = standings(F1, values_of(parts), parts, seed=5)
    columns = np.stack([part.numerator for part in parts], axis=1)
    ranks = []
    for chunk in resample_weights(60, seed=5):
        for weights in chunk.copy():
            means = (weights @ columns / 60).round(9)
            ranks.append([1 + int(np.count_nonzero(means > mean)) for mean in means])
    in_order = np.sort(ranks, axis=0)
    # the 2.5th and 97.5th percentile of 1,000 ranks are the 25th and the 975th
    assert [(s.rank_low, s.rank_high) for s in found] == list(zip(in_order[24], in_order[974], strict=True))
    assert found[3] == Standing(5, 5, 5, found[3].p, apart=True)


def test_copies_share_their_rank_in_every_resample(parts: list[Parts]) -> None:
    found = standings(F1, values_of(parts[:1] * 3), parts[:1] * 3)
    assert [standing[:3] for standing in found] == [(1, 1, 1)] * 3
    assert [standing.p for standing in found] == [None, 1.0, 1.0]


def test_p_is_holm_over_each_run_against_the_best(parts: list[Parts]) -> None:
    chosen = [parts[0], parts[3], parts[4]]
    found = standings(F1, values_of(chosen), chosen, seed=2)
    columns = [{"parse_valid": part.numerator} for part in chosen]
    raw = [paired_differences(columns[0], other, ["parse_valid"], seed=2)["parse_valid"]["p"] for other in columns[1:]]
    assert all(p is not None for p in raw)
    low, high = sorted(p for p in raw if p is not None)
    expected = {low: 2 * low, high: max(2 * low, high)}
    assert found[0].p is None
    assert [standing.p for standing in found[1:]] == pytest.approx([expected[p] for p in raw if p is not None])
    assert found[1].is_different
    assert found[0].is_different is None


def test_many_pairs_are_worked_off_in_blocks(parts: list[Parts], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = standings(F1, values_of(parts), parts)
    monkeypatch.setattr(ranks, "_PAIRS_AT_ONCE", 1)
    # other swaps: the same within the noise of 10,000 permutations
    for found, expected in zip(standings(F1, values_of(parts), parts), whole, strict=True):
        assert found[:3] == expected[:3]
        assert (found.p or 0.0) == pytest.approx(expected.p or 0.0, abs=0.05)


def test_runs_that_differ_by_noise_are_not_told_apart() -> None:
    rng = np.random.default_rng(0)
    alike = [mean_parts(rng.uniform(0, 1, 80)) for _ in range(12)]
    found = standings(F1, values_of(alike), alike)
    assert not any(standing.is_different for standing in found)
    assert all((s.rank_low or 0) <= (s.rank or 0) <= (s.rank_high or 0) for s in found)


def test_a_maximum_has_ranks_only_and_what_has_no_better_end_not_even_those(parts: list[Parts]) -> None:
    assert standings(METRICS["max_repeat"], [3.0, 1.0, None], parts[:3]) == [Standing(2), Standing(1), Standing()]
    assert standings(METRICS["trigger_rate"], [0.3, 0.1], parts[:2]) == [Standing()] * 2


def test_a_run_that_is_hardly_ever_defined_has_no_interval(parts: list[Parts]) -> None:
    rare = np.zeros(60, dtype=bool)
    rare[0] = True  # 36% of resamples miss one image
    once = Parts(np.where(rare, 0.9, 0.0), rare.astype(np.float64), rare)
    found = standings(F1, [0.9, *values_of(parts[:2])], [once, *parts[:2]])
    assert found[0][:3] == (1, None, None)
    assert found[1].rank_low is not None


def test_there_are_enough_permutations_for_holm() -> None:
    assert permutations_for(17) == PERMUTATIONS
    for comparisons in (1, 500, 1000, 5000):
        assert comparisons / (permutations_for(comparisons) + 1) < 0.05


def test_one_hit_beside_fewer_records_is_not_called_worse() -> None:
    """Swapping asks whether two runs could change places at all: p is tiny here, though all F1 rests on one image."""
    hit = np.zeros(60)
    hit[7] = 2.0
    counted = np.ones(60, dtype=bool)
    short, long = Parts(hit, np.full(60, 12.0), counted), Parts(hit, np.full(60, 24.0), counted)
    best, other = standings(F1, values_of([short, long]), [short, long])
    assert (best.rank, other.rank) == (1, 2)
    assert other.p is not None
    assert other.p < 0.01
    assert (other.apart, other.is_different) == (False, False)
