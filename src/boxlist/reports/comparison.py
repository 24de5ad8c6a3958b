"""Two runs over the same images, metric by metric, and the images that changed most: the facts of `boxlist compare`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.errors import unknown_name
from boxlist.metrics.intervals import FEW_IMAGES
from boxlist.metrics.paired import metric_pair, paired_differences
from boxlist.metrics.pictures import pictures_of
from boxlist.metrics.table import METRICS
from boxlist.reports.comparable import pair_tasks
from boxlist.runs.changes import changes

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import ImageId
    from boxlist.metrics.paired import Difference, Pair
    from boxlist.reports.comparable import TaskPair
    from boxlist.reports.saved_runs import SavedRun

CHANGED_IMAGES = 10

# what an image's columns say to a person: column, words, and the column that it is out of
_TOLD = (
    ("tp@0.3", "found at IoU 0.3", "n_gt"),
    ("tp@0.5", "found at IoU 0.5", "n_gt"),
    ("n_pred", "records", None),
    ("max_repeat", "copies of one record", None),
    ("parse_valid", "whole list", None),
    ("triggered", "repeat-stop", None),
    ("target_shape_valid", "right shape", None),
    ("count_error", "count off by", None),
    ("count_exact", "right count", None),
    ("spatial_correct", "right relation", None),
    ("choice_correct", "right choice", None),
    ("referring_iou", "IoU", None),
)


class ChangedImage(NamedTuple):
    """An image that moved a difference, by how much (the difference less what it is without the image), and why."""

    image_id: ImageId
    effect: float
    why: list[str]


class TaskComparison(NamedTuple):
    """One task: every metric's difference, and the images that moved `by` most, of `n_changed` that changed.

    `pictures` counts them where several of the n questions are about one.
    """

    name: str
    n: int
    metrics: dict[str, Difference]
    by: str
    n_changed: int
    changed_most: list[ChangedImage]
    pictures: int | None

    @property
    def n_pictures(self) -> int:
        return self.n if self.pictures is None else self.pictures

    @property
    def few_images(self) -> bool:
        return self.n_pictures < FEW_IMAGES


class Comparison(NamedTuple):
    """Two runs: what differs between them in `run.json`, and their tasks. Differences are b - a."""

    a: SavedRun
    b: SavedRun
    differs: list[str]
    seed: int
    tasks: list[TaskComparison]


def compare_runs(
    a: SavedRun,
    b: SavedRun,
    tasks: Sequence[str] = (),
    *,
    mixed: Collection[str] = (),
    by: str | None = None,
    seed: int = 0,
    n_images: int = CHANGED_IMAGES,
) -> Comparison:
    """Compare two runs task by task; `InputError` when they are not comparable, and for an unknown metric `by`."""
    if by is not None and by not in METRICS:
        raise unknown_name("metric", by, METRICS)
    pairs = pair_tasks(a, b, tasks, mixed)
    return Comparison(a, b, _differing(a, b), seed, [_compare_task(pair, by, seed, n_images) for pair in pairs])


def _differing(a: SavedRun, b: SavedRun) -> list[str]:
    """What `run.json` says of the two that is not the same; sources, rows of other tasks and repetitions aside."""
    if not a.run or not b.run:
        return []
    return changes(*({**run.run, "code": None, "tasks": _asked(run, other)} for run, other in ((a, b), (b, a))))


def _asked(run: SavedRun, other: SavedRun) -> dict[str, Any]:
    """The rows of the tasks of both; controls stand in a row of their own, and are not repeated for each task."""
    controls = {**(run.run.get("controls") or {}), **(other.run.get("controls") or {})}
    rows = {
        name: row for name, row in (run.run.get("tasks") or {}).items() if name in run.tasks and name in other.tasks
    }
    return {
        name: {
            **row,
            "generation_kwargs": {
                key: value for key, value in (row.get("generation_kwargs") or {}).items() if key not in controls
            },
        }
        for name, row in rows.items()
    }


def _compare_task(pair: TaskPair, by: str | None, seed: int, n_images: int) -> TaskComparison:
    main = by or _main_metric(pair.metrics)
    if main not in pair.metrics:
        raise unknown_name(f"task {pair.name}: metric", main, pair.metrics)
    changed = _changed_images(pair)
    pictures = pictures_of(pair.a)
    return TaskComparison(
        name=pair.name,
        n=len(pair.image_ids),
        metrics=paired_differences(pair.a, pair.b, pair.metrics, seed),
        by=main,
        n_changed=len(changed),
        changed_most=_most_changed(pair, main, changed, n_images),
        pictures=None if pictures is None else int(pictures.max()) + 1,
    )


def _main_metric(metrics: Sequence[str]) -> str:
    """The first that has a better end and is no maximum: the one that the probe is about."""
    ratios = [name for name in metrics if METRICS[name].over_images == "ratio"]
    return next((name for name in ratios if METRICS[name].higher_is_better is not None), (*ratios, *metrics)[0])


def _changed_images(pair: TaskPair) -> NDArray[np.int64]:
    """The places of images with another value in any column."""
    different = [
        ~((before == pair.b[name]) | (np.isnan(before) & np.isnan(pair.b[name]))) for name, before in pair.a.items()
    ]
    return np.flatnonzero(np.any(different, axis=0))


def _most_changed(pair: TaskPair, by: str, changed: NDArray[np.int64], n_images: int) -> list[ChangedImage]:
    """The images with the largest effect on the difference, first those; ties in the order of the images."""
    effects = _effects(metric_pair(by, pair.a, pair.b), ratio=METRICS[by].over_images == "ratio")
    order = changed[np.argsort(-np.abs(effects[changed]), kind="stable")][:n_images]
    return [ChangedImage(pair.image_ids[place], float(effects[place]), _why(pair, place)) for place in order.tolist()]


def _effects(pair: Pair, *, ratio: bool) -> NDArray[np.float64]:
    """What B's figure owes to each image's change: less B's figure with that image as in A. 0 where it is undefined."""
    if not ratio:
        return pair.b.numerator - pair.a.numerator
    before, after = pair
    numerator = after.numerator.sum() - after.numerator + before.numerator
    denominator = after.denominator.sum() - after.denominator + before.denominator
    with np.errstate(divide="ignore", invalid="ignore"):
        effects = after.numerator.sum() / after.denominator.sum() - numerator / denominator
    found: NDArray[np.float64] = np.nan_to_num(effects, nan=0.0, posinf=0.0, neginf=0.0)
    return found


def _why(pair: TaskPair, place: int) -> list[str]:
    """What changed in an image, in words: `found at IoU 0.3: 5 -> 2 of 7`."""
    told = []
    for column, words, whole in _TOLD:
        if column not in pair.a:
            continue
        before, after = float(pair.a[column][place]), float(pair.b[column][place])
        if before == after or (math.isnan(before) and math.isnan(after)):
            continue
        out_of = f" of {pair.a[whole][place]:.0f}" if whole is not None and whole in pair.a else ""
        told.append(f"{words}: {_number(before)} -> {_number(after)}{out_of}")
    return told or ["only finer columns"]


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.0f}"
