"""From per-image columns to figures with their intervals: the `metrics` of scores.json."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NotRequired, TypedDict

import numpy as np

from boxlist.errors import unknown_name
from boxlist.metrics.columns import Columns, to_columns
from boxlist.metrics.intervals import (
    FEW_IMAGES,
    RESAMPLES,
    FewImagesWarning,
    Interval,
    percentile_intervals,
    resampled_sums,
    wilson_interval,
)
from boxlist.metrics.pictures import count_pictures, picture_column, pictures_of
from boxlist.metrics.spread import Spreading, resampled_spreads, spread
from boxlist.metrics.table import METRICS, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import ImageRow


class MetricValue(TypedDict):
    """A figure, null where it is undefined, and its 95% interval, null where there is none.

    `n` counts the images that the figure is about: those where its denominator is not 0, or its value defined. Where
    several questions are about one picture, it counts questions, and the value is one of questions too; but pictures
    are resampled, each with all its questions, and a Wilson interval is over pictures. `few_images` says that the
    pictures are fewer than 30, which makes intervals too narrow.
    """

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    interval: Literal["percentile", "wilson"] | None
    few_images: bool


class TaskScores(TypedDict):
    """One task of scores.json; `pictures` counts them where rows share some."""

    n: int
    pictures: NotRequired[int]
    seed: int
    resamples: int
    metrics: dict[str, MetricValue]
    per_image: list[ImageRow]


class Parts(NamedTuple):
    """What a metric divides by what, image by image, `(n_images,)` each; `counts` says which images count into n."""

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]
    counts: NDArray[np.bool_]


def task_scores(
    rows: Sequence[ImageRow], metrics: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> TaskScores:
    """A task's entry in scores.json."""
    summary = summarise(rows, metrics, seed, resamples)
    scores = TaskScores(n=len(rows), seed=seed, resamples=resamples, metrics=summary, per_image=list(rows))
    pictures = pictures_of(picture_column(rows))
    return scores if pictures is None else {"n": len(rows), "pictures": int(pictures.max()) + 1, **scores}


def summarise(
    rows: Sequence[ImageRow], metrics: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, MetricValue]:
    """Each metric's figure over the rows.

    Warns `FewImagesWarning` for fewer than 30 pictures. Raises `InputError` for an unknown metric, and for rows that
    lack a metric's columns. No rows give null everywhere.
    """
    chosen = _named(metrics)
    needed = dict.fromkeys(column for metric in chosen for column in metric.columns)
    columns = to_columns(rows, needed) | picture_column(rows)
    return summarise_columns(columns, len(rows), metrics, seed, resamples)


def summarise_columns(
    columns: Columns, n_images: int, metrics: Sequence[str], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, MetricValue]:
    """The same, from columns of `n_images` values; a column `picture` says which of them are about one picture."""
    chosen = _named(metrics)
    pictures = pictures_of(columns)
    n_pictures = count_pictures(pictures, np.ones(n_images, dtype=np.bool_))
    if n_pictures < FEW_IMAGES:
        warnings.warn(
            f"{n_pictures} images are fewer than {FEW_IMAGES}: the intervals are narrower than they should be",
            FewImagesWarning,
            stacklevel=2,
        )
    parts = {metric.name: metric_parts(metric, columns) for metric in chosen}
    samples = resampled_figures([(metric, parts[metric.name]) for metric in chosen], pictures, seed, resamples)
    return {
        name: figure_with_interval(metric, figure_of(metric, parts[name]), parts[name].counts, interval, pictures)
        for metric, name, interval in zip(chosen, metrics, percentile_intervals(samples), strict=True)
    }


def metric_parts(metric: Metric, columns: Columns) -> Parts:
    """The metric's numerator and denominator; an image where a mean is undefined has 0 for both."""
    numerator = _added(columns, metric.numerator)
    if metric.denominator:
        denominator = _added(columns, metric.denominator)
        counted = _added(columns, metric.needs) if metric.needs else denominator
        return Parts(numerator, denominator, counted > 0)
    defined = ~np.isnan(numerator)
    return Parts(np.where(defined, numerator, 0.0), defined.astype(np.float64), defined)


def by_picture(parts: Parts, pictures: NDArray[np.int64] | None) -> Parts:
    """The parts added up by picture, `(n_pictures,)` each, for what resamples; as they are where no rows share one."""
    if pictures is None:
        return parts
    numerator, denominator, counts = (np.bincount(pictures, part).astype(np.float64) for part in parts)
    return Parts(numerator, denominator, counts > 0)


def _named(metrics: Iterable[str]) -> list[Metric]:
    for name in metrics:
        if name not in METRICS:
            raise unknown_name("metric", name, METRICS)
    return [METRICS[name] for name in metrics]


def _added(columns: Columns, names: Sequence[str]) -> NDArray[np.float64]:
    total = columns[names[0]].astype(np.float64)
    for name in names[1:]:
        total = total + columns[name]
    return total


def resampled_values(parts: Sequence[Parts], resamples: int, seed: int) -> NDArray[np.float64]:
    """The metric of each `Parts` over each resample of the images, `(resamples, len(parts))`, NaN where undefined.

    All of them over the same resamples.
    """
    columns, places = distinct_columns([part for each in parts for part in each])
    sums = resampled_sums(columns, resamples, seed)
    return values_of_sums(sums[:, places].reshape(resamples, len(parts), 3))


def distinct_columns(columns: Iterable[NDArray[Any]]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The columns without repetition, `(n_images, D)`, and the place of each in them: metrics share most of theirs."""
    places: dict[bytes, int] = {}
    distinct: list[NDArray[np.float64]] = []
    found = []
    for given in columns:
        column = np.asarray(given, dtype=np.float64)
        place = places.setdefault(column.tobytes(), len(distinct))
        if place == len(distinct):
            distinct.append(column)
        found.append(place)
    return np.stack(distinct, axis=1), np.array(found)


def values_of_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metrics from the sums of their parts, `(..., 3)` to `(...)`; NaN where nothing counts."""
    numerators, denominators, counts = np.moveaxis(sums, -1, 0)
    # where nothing counts the metric is undefined, though the division would give something; counts are whole
    values: NDArray[np.float64] = np.where(counts > 0.5, numerators / np.maximum(denominators, 1.0), np.nan)
    return values


def resampled_figures(
    asked: Sequence[tuple[Metric, Parts]], pictures: NDArray[np.int64] | None, seed: int, resamples: int
) -> NDArray[np.float64]:
    """Each metric over each resample of the pictures, `(resamples, len(asked))`, NaN where undefined or a maximum.

    Ratios in one product, so that no other asks for more; all metrics over the same resamples.
    """
    found = np.full((resamples, len(asked)), np.nan)
    ratios = [place for place, (metric, _) in enumerate(asked) if metric.over_images == "ratio"]
    if ratios:
        found[:, ratios] = resampled_values(
            [by_picture(asked[place][1], pictures) for place in ratios], resamples, seed
        )
    spreads = {
        place: Spreading(metric.over_images, parts.numerator, parts.counts)
        for place, (metric, parts) in enumerate(asked)
        if metric.over_images in {"median", "deviation"}
    }
    if spreads:
        n_images = len(asked[0][1].counts)
        found[:, list(spreads)] = resampled_spreads(list(spreads.values()), n_images, resamples, seed, pictures)
    return found


def spreads_of(metrics: Iterable[tuple[Metric, Parts]]) -> dict[str, Spreading]:
    """The medians and standard deviations among metrics, by name."""
    return {
        metric.name: Spreading(metric.over_images, parts.numerator, parts.counts)
        for metric, parts in metrics
        if metric.over_images in {"median", "deviation"}
    }


def figure_of(metric: Metric, parts: Parts) -> float | None:
    """A metric's figure over all images; None where it is undefined."""
    if not parts.counts.any():
        return None
    if metric.over_images == "ratio":
        return float(parts.numerator.sum() / parts.denominator.sum())
    if metric.over_images == "maximum":
        return float(parts.numerator.max())
    return spread(metric.over_images, parts.numerator[parts.counts])


def figure_with_interval(
    metric: Metric,
    value: float | None,
    counts: NDArray[np.bool_],
    interval: Interval | None,
    pictures: NDArray[np.int64] | None,
) -> MetricValue:
    """A figure as scores.json has it; `counts` says of each image whether it counts into n."""
    n_pictures = count_pictures(pictures, counts)
    kind: Literal["percentile", "wilson"] | None = "percentile" if interval else None
    if metric.is_rate and value is not None and value in (0.0, 1.0):
        interval, kind = wilson_interval(value, n_pictures), "wilson"
    return MetricValue(
        value=value,
        ci_low=interval.low if interval else None,
        ci_high=interval.high if interval else None,
        n=int(np.count_nonzero(counts)),
        interval=kind,
        few_images=n_pictures < FEW_IMAGES,
    )
