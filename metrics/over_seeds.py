"""One figure of several runs over the same images, a training seed each, and how far apart two such figures are.

The figure is the mean of the runs' own; of a maximum, the largest. Its interval has both sources of chance in it: each
resample draws seeds with replacement and draws images, the same images for all seeds (the pigeonhole bootstrap: Owen
2007, Annals of Applied Statistics 1(2)). A difference is taken within every resample, so that images and seeds are
paired. With one seed all of it is what `summary` and `paired` give.

Few seeds understate themselves: where they differ more than images do, an interval reaches no further than from the
lowest seed's figure to the highest's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.intervals import RESAMPLES, percentile_intervals
from boxlist.metrics.pictures import pictures_of
from boxlist.metrics.summary import MetricValue, figure_of, figure_with_interval, metric_parts, resampled_figures
from boxlist.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.metric import Metric
    from boxlist.metrics.summary import Parts

# figures this close are the same one, added up in another order
_ROUNDING = 1e-12


class SeedDifference(NamedTuple):
    """b - a with its 95% interval; null where it is undefined, the interval also for a maximum."""

    difference: float | None
    ci_low: float | None
    ci_high: float | None

    @property
    def leaves_zero_out(self) -> bool:
        low, high = self.ci_low, self.ci_high
        return low is not None and high is not None and (low > _ROUNDING or high < -_ROUNDING)


def figures_over_seeds(
    runs: Sequence[Columns], metrics: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, MetricValue]:
    """Each metric over `runs`, whose columns hold the same images in the same order; null where any run's is.

    `n` counts the images that the metric of any run is about. A rate of exactly 0 or 1 in all runs gets a Wilson
    interval over images.
    """
    parts = _parts(runs, metrics)
    intervals = percentile_intervals(_resampled(runs, parts, metrics, seed, resamples))
    pictures = pictures_of(runs[0])
    return {
        name: figure_with_interval(
            METRICS[name],
            _over_runs(METRICS[name], [run[place] for run in parts]),
            np.any([run[place].counts for run in parts], axis=0),
            intervals[place],
            pictures,
        )
        for place, name in enumerate(metrics)
    }


def differences_over_seeds(
    a: Sequence[Columns],
    b: Sequence[Columns],
    metrics: Sequence[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, SeedDifference]:
    """Each metric of `b` less that of `a`; their runs are paired by place, or those of one with the one of the other.

    Raises `InputError` where they are of other numbers of seeds.
    """
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise InputError(
            "difference over seeds",
            expected="runs of the same seeds",
            got=f"{len(a)} and {len(b)} runs",
            remedy="Train both once a seed.",
        )
    parts = _parts(a, metrics), _parts(b, metrics)
    before, after = (
        _resampled(runs, found, metrics, seed, resamples) for runs, found in zip((a, b), parts, strict=True)
    )
    intervals = percentile_intervals(after - before)
    found = {}
    for place, name in enumerate(metrics):
        low, high = (_over_runs(METRICS[name], [run[place] for run in side]) for side in parts)
        if low is None or high is None:
            found[name] = SeedDifference(None, None, None)
        else:
            found[name] = SeedDifference(high - low, *(intervals[place] or (None, None)))
    return found


def _parts(runs: Sequence[Columns], metrics: Sequence[str]) -> list[list[Parts]]:
    """A list a run, a `Parts` a metric."""
    return [[metric_parts(METRICS[name], run) for name in metrics] for run in runs]


def _over_runs(metric: Metric, parts: Sequence[Parts]) -> float | None:
    figures = [figure_of(metric, run) for run in parts]
    known = [figure for figure in figures if figure is not None]
    if len(known) < len(figures):
        return None
    return max(known) if metric.over_images == "maximum" else sum(known) / len(known)


def _resampled(
    runs: Sequence[Columns], parts: Sequence[Sequence[Parts]], metrics: Sequence[str], seed: int, resamples: int
) -> NDArray[np.float64]:
    """Each metric over each resample of images and seeds, `(resamples, len(metrics))`, NaN as `resampled_figures`."""
    asked = [(METRICS[name], found) for run in parts for name, found in zip(metrics, run, strict=True)]
    figures = resampled_figures(asked, pictures_of(runs[0]), seed, resamples).reshape(resamples, len(runs), -1)
    rng = np.random.default_rng((seed, 2))  # not the streams that draw images and swaps
    drawn = rng.integers(0, len(runs), (resamples, len(runs)))
    found: NDArray[np.float64] = np.take_along_axis(figures, drawn[:, :, None], axis=1).mean(axis=1)
    return found
