"""Medians and standard deviations over images, and what they are over each resample of them.

They are no ratios of sums, so `summary` cannot have them from its one matrix product. A median of a resample is that of
the values repeated as often as their images were drawn: the values are sorted once, and the drawn images counted
through. A standard deviation is the population's, from sums of the centred values. The resamples are the very ones of
`intervals.resampled_sums`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

from boxlist.metrics.intervals import resample_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Spread: TypeAlias = Literal["median", "deviation"]


class Spreading(NamedTuple):
    """What to work out: the kind, and of each image its value, and whether it has one, `(n_images,)` each."""

    kind: Spread
    values: NDArray[np.float64]
    defined: NDArray[np.bool_]


def spread(kind: Spread, values: NDArray[np.float64]) -> float:
    """The median, or the population's standard deviation, of one or more values."""
    return float(np.median(values) if kind == "median" else np.std(values))


def resampled_spreads(
    columns: Sequence[Spreading],
    n_images: int,
    resamples: int,
    seed: int,
    pictures: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Each of `columns` over each resample of the images, `(resamples, len(columns))`, NaN where none has a value.

    With `pictures` (`pictures.pictures_of`) these are drawn, each with all values that are about it.
    """
    if not n_images:
        return np.full((resamples, len(columns)), np.nan)
    drawn = np.arange(n_images) if pictures is None else pictures
    known = [(each.kind, drawn[each.defined], each.values[each.defined]) for each in columns]
    chunks = [
        np.stack([_OVER[kind](values, weights[:, places]) for kind, places, values in known], axis=1)
        for weights in resample_weights(int(drawn.max()) + 1, resamples, seed)
    ]
    return np.concatenate(chunks)


def _medians(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median of `values` `(n,)`, each as often as a row of `weights` `(rows, n)` says."""
    if not len(values):
        return np.full(len(weights), np.nan)
    order = np.argsort(values)
    in_order = values[order]
    drawn = np.cumsum(weights[:, order], axis=1)
    total = drawn[:, -1:]
    # of m drawn values, in order, the median lies halfway between the (m-1)//2-th and the m//2-th, counted from 0
    low = np.argmax(drawn > (total - 1) // 2, axis=1)
    high = np.argmax(drawn > total // 2, axis=1)
    middles: NDArray[np.float64] = np.where(total[:, 0] > 0, (in_order[low] + in_order[high]) / 2, np.nan)
    return middles


def _deviations(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same for the population's standard deviation."""
    if not len(values):
        return np.full(len(weights), np.nan)
    centred = values - values.mean()
    total = weights.sum(axis=1)
    once = np.maximum(total, 1.0)
    variance = weights @ centred**2 / once - (weights @ centred / once) ** 2
    found: NDArray[np.float64] = np.where(total > 0, np.sqrt(np.maximum(variance, 0.0)), np.nan)
    return found


_OVER = {"median": _medians, "deviation": _deviations}
