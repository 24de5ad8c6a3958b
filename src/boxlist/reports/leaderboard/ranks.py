"""Where each run stands among those over the same images, and how sure that is.

Rank intervals: the images are resampled, the same images for all runs, and all runs ranked anew in every resample
(Hall and Miller 2009); the interval is the middle 95% of a run's ranks. Which runs are really worse than the best: a
paired swap permutation of each against it, Holm-adjusted over all of them, so that the chance of calling any run worse
that is not stays under 5%; and, as in a comparison of two runs, the interval of the difference must leave 0 out. The
best was chosen by the same figures, which makes it look a little better than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.metrics.intervals import CONFIDENCE, RESAMPLES, percentile_intervals
from boxlist.metrics.paired import PERMUTATIONS, SIGNIFICANCE, Pair, holm, permutation_p, permuted_differences
from boxlist.metrics.paired import ratio_value as value_of
from boxlist.metrics.summary import resampled_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.summary import Parts
    from boxlist.metrics.table import Metric

# p is never under 1 / (permutations + 1): with so many a comparison, the smallest one stays under 5% after Holm
PERMUTATIONS_A_COMPARISON = 21
_PAIRS_AT_ONCE = 500  # so many keep their permutations in memory
_DECIMALS = 12


class Standing(NamedTuple):
    """A run's rank (1 + the runs that are better), its 95% interval, and p against the best, Holm-adjusted.

    `apart` says whether the 95% interval of the difference from the best leaves 0 out. None where there is none: the
    figure is undefined, the metric has no better end, or is a maximum; p of the best.
    """

    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    p: float | None = None
    apart: bool = False

    @property
    def is_different(self) -> bool | None:
        """Whether the run is worse than the best beyond chance (`paired.is_beyond_chance`); None where not asked."""
        return None if self.p is None else self.p < SIGNIFICANCE and self.apart


def standings(metric: Metric, values: Sequence[float | None], parts: Sequence[Parts], seed: int = 0) -> list[Standing]:
    """The standing of each run, in the given order; the best is the first of those with the best value."""
    if metric.higher_is_better is None:
        return [Standing()] * len(values)
    sign = 1 if metric.higher_is_better else -1
    scores = np.array([-np.inf if value is None else sign * value for value in values])
    ranks = [None if value is None else rank for value, rank in zip(values, _ranks(scores).tolist(), strict=True)]
    if metric.over_images != "ratio":
        return [Standing(rank) for rank in ranks]
    samples = sign * resampled_values(parts, RESAMPLES, seed)
    intervals = _rank_intervals(samples)
    p_values = p_against_best(scores, parts, seed)
    differences = percentile_intervals(samples - samples[:, [int(np.argmax(scores))]])
    apart = [interval is not None and (interval.low > 0 or interval.high < 0) for interval in differences]
    return [
        Standing() if rank is None else Standing(rank, *interval, p, is_apart)
        for rank, interval, p, is_apart in zip(ranks, intervals, p_values, apart, strict=True)
    ]


def p_against_best(scores: NDArray[np.float64], parts: Sequence[Parts], seed: int = 0) -> list[float | None]:
    """Holm-adjusted p of each run against the one with the highest score; None for itself and for undefined runs."""
    best = int(np.argmax(scores))
    others = [place for place in np.flatnonzero(np.isfinite(scores)).tolist() if place != best]
    found: list[float | None] = [None] * len(scores)
    raw: list[float] = []
    for start in range(0, len(others), _PAIRS_AT_ONCE):
        pairs = [Pair(parts[best], parts[place]) for place in others[start : start + _PAIRS_AT_ONCE]]
        permuted = permuted_differences(pairs, permutations_for(len(others)), seed).T.copy()
        top = value_of(parts[best]) or 0.0
        raw += [
            permutation_p((value_of(pair.b) or 0.0) - top, differences)
            for pair, differences in zip(pairs, permuted, strict=True)
        ]
    for place, p in zip(others, holm(raw), strict=True):
        found[place] = p
    return found


def permutations_for(comparisons: int) -> int:
    """As many as leave room for a p under 5% after Holm."""
    return max(PERMUTATIONS, PERMUTATIONS_A_COMPARISON * comparisons)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 + how many are higher; differences of rounding do not count."""
    rounded = scores.round(_DECIMALS)
    return 1 + len(scores) - np.searchsorted(np.sort(rounded), rounded, side="right")


def _rank_intervals(scores: NDArray[np.float64]) -> list[tuple[int | None, int | None]]:
    """The middle 95% of each run's ranks, from `(resamples, runs)`. Where a run is undefined (NaN), it comes last.

    None for a run that is undefined in more than 5% of the resamples.
    """
    known = np.isnan(scores).mean(axis=0) <= 1 - CONFIDENCE
    ranks = np.apply_along_axis(_ranks, 1, np.nan_to_num(scores, nan=-np.inf))
    edge = 100 * (1 - CONFIDENCE) / 2
    ends = np.percentile(ranks, [edge, 100 - edge], axis=0, method="inverted_cdf")
    return [
        (int(low), int(high)) if is_known else (None, None) for low, high, is_known in zip(*ends, known, strict=True)
    ]
