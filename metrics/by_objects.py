"""Box figures against the number of objects: the curve that says how long a list a model can write.

Images are put into bins by their number of ground truths, `n_gt`, and each bin is summarised by itself, from the same
per-image columns as the figures of the whole task: any data set has this curve.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import summarise_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.summary import MetricValue

CURVE_METRICS = ("f1@0.3", "f1@0.5", "duplicate_rate", "max_repeat", "parse_valid")
MOST_BINS = 16


class CountBin(NamedTuple):
    """The images of `low` to `high` objects, both inclusive, `mean` on average, and their figures."""

    low: int
    high: int
    mean: float
    n_images: int
    figures: dict[str, MetricValue]


def figures_by_objects(
    columns: Columns,
    metrics: Sequence[str] = CURVE_METRICS,
    starts: Sequence[int] | None = None,
    *,
    seed: int = 0,
) -> list[CountBin]:
    """The figures of each bin that has images, in ascending order.

    `starts` are the bins' least numbers of objects, `count_bins` by default; what lies below the first is left out.
    Each figure's `few_images` says whether its bin is too small for its interval to be trusted.
    """
    counts = columns["n_gt"].astype(np.int64)
    edges = list(starts) if starts is not None else count_bins(counts)
    if edges != sorted(set(edges)) or any(edge < 0 for edge in edges):
        got = " ".join(map(str, edges))[:60]
        raise InputError("bins", expected="ascending numbers from 0", got=got, remedy="Sort them.")
    bins = []
    for place, start in enumerate(edges):
        inside = counts >= start
        if place + 1 < len(edges):
            inside &= counts < edges[place + 1]
        if not inside.any():
            continue
        chosen = {name: column[inside] for name, column in columns.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewImagesWarning)  # `few_images` says it, bin by bin
            figures = summarise_columns(chosen, int(inside.sum()), metrics, seed)
        own = counts[inside]
        bins.append(CountBin(int(own.min()), int(own.max()), float(own.mean()), len(own), figures))
    return bins


def count_bins(counts: NDArray[np.int64], most: int = MOST_BINS) -> list[int]:
    """The least numbers of objects of at most `most` bins: each number its own where there are few, else about equally
    many images a bin; images of one number are never parted.

    >>> count_bins(np.array([5, 1, 1, 3]))
    [1, 3, 5]
    """
    distinct, n_images = np.unique(counts, return_counts=True)
    if len(distinct) <= most:
        return [int(number) for number in distinct]
    before = np.cumsum(n_images) - n_images
    number_of_bin = before * most // n_images.sum()
    first = np.flatnonzero(np.diff(number_of_bin, prepend=-1))
    return [int(number) for number in distinct[first]]
