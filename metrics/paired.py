"""Two runs over the same images: how far apart they are, and whether that could be chance.

Images are resampled and swapped in pairs, for both runs at once: what makes an image hard or easy drops out of the
difference. Where several questions are about one picture, that one is resampled and swapped with all its questions
(`pictures`). The interval is the percentile bootstrap's (as in `intervals`), the p-value a swap permutation's (Good
2005, section 3.7): were there no difference, an image's two outcomes could change places. Pooled metrics are divided
anew for every resample and every permutation.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.intervals import RESAMPLES, Interval, percentile_intervals
from boxlist.metrics.pictures import pictures_of
from boxlist.metrics.spread import resampled_spreads
from boxlist.metrics.summary import (
    Parts,
    by_picture,
    distinct_columns,
    figure_of,
    metric_parts,
    resampled_values,
    spreads_of,
    values_of_sums,
)
from boxlist.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.columns import Columns

PERMUTATIONS = 10_000
SIGNIFICANCE, POWER = 0.05, 0.80
DETECTABLE_SE = NormalDist().inv_cdf(1 - SIGNIFICANCE / 2) + NormalDist().inv_cdf(POWER)
"""2.80 standard errors: a true difference of that size is seen, two-sided at 5%, four times in five."""

_CHUNK_SWAPS = 1 << 22
# differences this close are the same figure, added up in another order
_ROUNDING = 1e-12


class Difference(TypedDict):
    """One metric of two runs a and b; everything that is undefined is null.

    `difference` is b - a, with its 95% interval; `p` is two-sided; `detectable` is the smallest true difference that
    so many images would have shown four times in five. `n` counts the images that the metric of either run is about;
    where several questions are about one picture, the questions.
    """

    a: float | None
    b: float | None
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    detectable: float | None
    n: int


class Pair(NamedTuple):
    """One metric's parts in two runs over the same images in the same order."""

    a: Parts
    b: Parts


def paired_differences(
    a: Columns,
    b: Columns,
    metrics: Sequence[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
) -> dict[str, Difference]:
    """Each metric's difference b - a; columns hold one value an image, the same images in the same order.

    A column `picture` of either says which of them are about one picture.

    A maximum (`max_repeat`) has values and a difference only: it hangs on one image, and swapping that one merely turns
    the sign, so neither an interval nor a permutation can say anything. A median or a standard deviation has an
    interval and no p: each of 10,000 permutations would have to be sorted anew. The same seed gives the same figures,
    and b against a gives the negative of a against b.
    """
    pairs = {name: metric_pair(name, a, b) for name in metrics}
    pictures = pictures_of({**b, **a})
    ratios = [name for name in metrics if METRICS[name].over_images == "ratio"]
    differences = _ratio_differences([pairs[name] for name in ratios], pictures, seed, resamples, permutations)
    found = dict(zip(ratios, differences, strict=True))
    others = {name: pairs[name] for name in metrics if name not in found}
    found |= _spread_differences(others, pictures, seed, resamples)
    return {name: found[name] for name in metrics}


def is_beyond_chance(found: Difference) -> bool:
    """Whether p is at most 5% and the interval leaves 0 out.

    Both are asked, because a swap permutation of a pooled metric asks whether the two runs could change places at
    all: one hit more beside many records fewer gives a tiny p for F1, though F1 rests on that one hit.
    """
    p, low, high = found["p"], found["ci_low"], found["ci_high"]
    return p is not None and p <= SIGNIFICANCE and low is not None and high is not None and (low > 0 or high < 0)


def metric_pair(name: str, a: Columns, b: Columns) -> Pair:
    """A metric's parts in both runs; `InputError` when they are not over as many images."""
    pair = Pair(metric_parts(METRICS[name], a), metric_parts(METRICS[name], b))
    if len(pair.a.counts) != len(pair.b.counts):
        raise InputError(
            f"{name} of two runs",
            expected="the same images",
            got=f"{len(pair.a.counts)} and {len(pair.b.counts)}",
            remedy="Match the images first.",
        )
    return pair


def pair_by_picture(pair: Pair, pictures: NDArray[np.int64] | None) -> Pair:
    """Both runs' parts added up by picture, for what resamples and swaps; as they are where no images share one."""
    return Pair(by_picture(pair.a, pictures), by_picture(pair.b, pictures))


def metric_value(name: str, columns: Columns) -> float | None:
    """A metric's figure over all images; None where it is undefined."""
    return figure_of(METRICS[name], metric_parts(METRICS[name], columns))


def ratio_value(parts: Parts) -> float | None:
    """The same from the parts of a metric that is a ratio."""
    return float(parts.numerator.sum() / parts.denominator.sum()) if parts.counts.any() else None


def resampled_differences(pairs: Sequence[Pair], resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """b - a over each resample of the images, `(resamples, len(pairs))`, NaN where either is undefined."""
    values = resampled_values([parts for pair in pairs for parts in pair], resamples, seed)
    return values[:, 1::2] - values[:, ::2]


def permuted_differences(pairs: Sequence[Pair], permutations: int = PERMUTATIONS, seed: int = 0) -> NDArray[np.float64]:
    """b - a after each image's two outcomes changed places or not, `(permutations, len(pairs))`.

    The same swaps for all pairs. NaN where either is undefined. Memory is bounded whatever the number of images.
    """
    columns, places = distinct_columns(
        np.subtract(after, before, dtype=np.float64)
        for pair in pairs
        for before, after in zip(pair.a, pair.b, strict=True)
    )
    gains = _narrowest(columns[columns.any(axis=1)])
    sums_a, sums_b = (
        np.array([[part.sum(dtype=np.float64) for part in parts] for parts in run]) for run in zip(*pairs, strict=True)
    )
    differences = []
    rows = max(1, _CHUNK_SWAPS // max(1, len(gains), len(places)))
    for swaps in _swaps(len(gains), permutations, rows, seed):
        moved = (swaps.astype(gains.dtype) @ gains)[:, places].reshape(len(swaps), len(pairs), 3)
        differences.append(values_of_sums(sums_b - moved) - values_of_sums(sums_a + moved))
    return np.concatenate(differences)


def permutation_p(
    observed: float,
    permuted: NDArray[np.float64],
    alternative: Literal["two-sided", "less", "greater"] = "two-sided",
) -> float:
    """The share of permutations at least as extreme, the data as they are being one of them.

    So it is never 0 (Phipson and Smyth 2010). Permutations where the metric is undefined count as extreme, which can
    only raise it.
    """
    slack = _ROUNDING * max(1.0, abs(observed))
    undefined = np.isnan(permuted)
    if alternative == "two-sided":
        extreme = np.abs(permuted) >= abs(observed) - slack
    else:
        sign = 1 if alternative == "greater" else -1
        extreme = sign * permuted >= sign * observed - slack
    return float(1 + np.count_nonzero(extreme | undefined)) / (1 + len(permuted))


def standard_error(samples: NDArray[np.float64]) -> float | None:
    """The standard deviation of resampled differences, undefined ones (NaN) left out; None when it is 0 or unknown."""
    known = samples[~np.isnan(samples)]
    spread = float(known.std(ddof=1)) if len(known) > 1 else 0.0
    return spread if spread > _ROUNDING else None


def detectable_difference(samples: NDArray[np.float64]) -> float | None:
    """The smallest true difference that is seen, two-sided at 5%, four times in five: 2.80 standard errors.

    `samples` are one metric's resampled differences. None where no resample differs from another: such images cannot
    say how much chance there is.
    """
    error = standard_error(samples)
    return None if error is None else DETECTABLE_SE * error


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p-values in the given order (Holm 1979): all of them together err at the level of one.

    None stays None and does not count as a comparison.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[place] = largest
    return adjusted


def _ratio_differences(
    pairs: Sequence[Pair], pictures: NDArray[np.int64] | None, seed: int, resamples: int, permutations: int
) -> list[Difference]:
    if not pairs:
        return []
    drawn = [pair_by_picture(pair, pictures) for pair in pairs]
    samples = resampled_differences(drawn, resamples, seed)
    permuted = permuted_differences(drawn, permutations, seed)
    intervals = percentile_intervals(samples)
    return [
        _ratio_difference(pair, sampled, swapped, interval)
        for pair, sampled, swapped, interval in zip(pairs, samples.T, permuted.T, intervals, strict=True)
    ]


def _ratio_difference(
    pair: Pair, samples: NDArray[np.float64], permuted: NDArray[np.float64], interval: Interval | None
) -> Difference:
    a, b = ratio_value(pair.a), ratio_value(pair.b)
    if a is None or b is None:
        return _without_interval(a, b, pair)
    return Difference(
        a=a,
        b=b,
        difference=b - a,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
        p=permutation_p(b - a, permuted),
        detectable=detectable_difference(samples) if interval else None,
        n=images_in(pair),
    )


def _spread_differences(
    pairs: dict[str, Pair], pictures: NDArray[np.int64] | None, seed: int, resamples: int
) -> dict[str, Difference]:
    """The differences of metrics that are no ratios: of medians and standard deviations with their intervals."""
    found = {
        name: _without_interval(figure_of(METRICS[name], pair.a), figure_of(METRICS[name], pair.b), pair)
        for name, pair in pairs.items()
    }
    a, b = (spreads_of((METRICS[name], pair[run]) for name, pair in pairs.items()) for run in (0, 1))
    if not a:
        return found
    n_images = len(next(iter(pairs.values())).a.counts)
    sampled = [resampled_spreads(list(run.values()), n_images, resamples, seed, pictures) for run in (a, b)]
    for name, interval in zip(a, percentile_intervals(sampled[1] - sampled[0]), strict=True):
        if interval is not None and found[name]["difference"] is not None:
            found[name] |= {"ci_low": interval.low, "ci_high": interval.high}
    return found


def _without_interval(a: float | None, b: float | None, pair: Pair) -> Difference:
    difference = b - a if a is not None and b is not None else None
    return Difference(
        a=a, b=b, difference=difference, ci_low=None, ci_high=None, p=None, detectable=None, n=images_in(pair)
    )


def images_in(pair: Pair) -> int:
    """How many images the metric of either run is about."""
    return int(np.count_nonzero(pair.a.counts | pair.b.counts))


def _narrowest(gains: NDArray[np.float64]) -> NDArray[np.floating[Any]]:
    """As float32, which is added up twice as fast, where that is exact: whole numbers whose sums stay under 2^24."""
    exact = not (gains % 1).any() and np.abs(gains).sum(axis=0).max(initial=0) < 1 << 24
    return gains.astype(np.float32) if exact else gains


def _swaps(n_images: int, permutations: int, rows: int, seed: int) -> Iterator[NDArray[np.uint8]]:
    """Which images change places: 0 or 1, `(at most rows, n_images)`, until there were `permutations` of them."""
    rng = np.random.default_rng((seed, 1))  # not the stream that draws the resamples
    for start in range(0, permutations, rows):
        size = min(rows, permutations - start)
        bits = np.frombuffer(rng.bytes(-(-size * n_images // 8)), dtype=np.uint8)
        yield np.unpackbits(bits, count=size * n_images).reshape(size, n_images)
