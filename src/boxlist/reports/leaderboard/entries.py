"""What a leaderboard is made of: one run on one task, as its files tell it, cleaned for showing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.pictures import pictures_of
from boxlist.metrics.summary import Parts, figure_of, metric_parts
from boxlist.metrics.table import METRICS
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import ImageId
    from boxlist.metrics.summary import MetricValue
    from boxlist.reports.saved_runs import SavedRun, SavedTask, Terms

DEFAULT_SORTS = ("f1@0.3", "target_shape_valid", "choice_accuracy", "referring_iou")
SAVED_ANSWERS = "saved answers"
LONGEST_TEXT = 120
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Entry:
    """One run on one task. Texts are of one printable line; empty where the run does not say.

    `base_key` is equal for the same base weights wherever they lay. `sort` is the metric that it is ranked by, and
    `parts` are that metric's, over the images in the order of `image_ids`. `pictures` says which of them are about one
    picture (`pictures.pictures_of`).
    """

    name: str
    path: str
    base: str
    base_key: str
    adapter: str
    controls: str
    task: str
    task_name: str
    terms: Terms
    image_ids: tuple[ImageId, ...]
    figures: Mapping[str, MetricValue]
    sort: str
    parts: Parts
    pictures: NDArray[np.int64] | None

    @property
    def value(self) -> float | None:
        """The figure that it is ranked by."""
        return self.figures[self.sort]["value"]


class Read(NamedTuple):
    """The entries of all runs that could be read, a line for each that could not, and the tasks that there were."""

    entries: list[Entry]
    problems: list[str]
    tasks: set[str]


def read_entries(paths: Iterable[Path], sort: str | None = None, tasks: Collection[str] = ()) -> Read:
    """Read every run, with `tasks` only those; `sort` is what they are ranked by where they have it."""
    entries: list[Entry] = []
    problems: list[str] = []
    seen: set[str] = set()
    for path in paths:
        try:
            run = read_saved_run(path, (*([sort] if sort else []), *DEFAULT_SORTS))
            seen |= run.tasks.keys()
            entries += _entries(run, sort, tasks)
        except InputError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(shown(f"{path}: {error.strerror}"))
    return Read(entries, problems, seen)


def shown(text: object, longest: int = LONGEST_TEXT) -> str:
    """Any text on one line that a terminal can be given, its end left out if need be.

    >>> shown("a\\x1b[31m\\nb"), shown("abcdef", longest=4)
    ('a [31m b', 'abc…')
    """
    line = "".join(char if char.isprintable() else " " for char in str(text)[: longest + 1])
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _entries(run: SavedRun, sort: str | None, tasks: Collection[str]) -> Iterator[Entry]:
    base = _mapping(run.run.get("base"))
    adapter = _mapping(run.run.get("adapter"))
    identity = {name: value for name, value in base.items() if name != "path"}
    for task in run.tasks.values():
        if tasks and task.name not in tasks:
            continue
        metric, parts, image_ids = _ranked_by(run, task, sort)
        pictures = pictures_of(task.columns)
        yield Entry(
            name=shown(run.name),
            path=shown(run.path, longest=1000),
            base=shown(base.get("path") or ""),
            base_key=json.dumps(identity or base, sort_keys=True),
            adapter=shown(adapter.get("path") or ""),
            controls=_controls(run),
            task=SAVED_ANSWERS if not run.run and len(run.tasks) == 1 else shown(task.name),
            task_name=shown(task.name),
            terms=task.terms,
            image_ids=image_ids,
            figures=task.figures,
            sort=metric,
            parts=parts,
            pictures=None if pictures is None else pictures[_own_order(task.image_ids)[1]],
        )


def _controls(run: SavedRun) -> str:
    """As `--controls` takes them: `raw` for none; empty where the run does not say."""
    if "controls" not in run.run:
        return ""
    given = _mapping(run.run["controls"])
    return shown(",".join(name if value is True else f"{name}={value}" for name, value in given.items()) or "raw")


def _ranked_by(run: SavedRun, task: SavedTask, sort: str | None) -> tuple[str, Parts, tuple[ImageId, ...]]:
    """The metric, its parts in the images' own order, and that order. `InputError` where figure and images disagree."""
    metric = next((name for name in (sort, *DEFAULT_SORTS) if name in task.figures), None)
    where = f"{run.path}: task {task.name}"
    if metric is None:
        raise InputError(
            where,
            expected=f"one of the metrics {', '.join(dict.fromkeys((*([sort] if sort else []), *DEFAULT_SORTS)))}",
            got=", ".join(task.figures) or "none that boxlist knows",
            remedy="Choose one of its own with --sort.",
        )
    image_ids, order = _own_order(task.image_ids)
    as_saved = metric_parts(METRICS[metric], task.columns)
    parts = Parts(as_saved.numerator[order], as_saved.denominator[order], as_saved.counts[order])
    value, found = task.figures[metric]["value"], figure_of(METRICS[metric], parts)
    agree = value is None if found is None else value is not None and abs(value - found) <= _ROUNDING * max(1.0, found)
    if not agree:
        raise InputError(
            where,
            expected=f"the {metric} of its images, {'null' if found is None else f'{found:.6g}'}",
            got="null" if value is None else f"{value:.6g}",
            remedy="Score the answers again.",
        )
    return metric, parts, image_ids


@lru_cache(maxsize=64)
def _own_order(image_ids: tuple[ImageId, ...]) -> tuple[tuple[ImageId, ...], NDArray[np.int64]]:
    """The ids in an order of their own, whatever order a file has them in, and where each stood."""
    places = sorted(range(len(image_ids)), key=lambda place: (isinstance(image_ids[place], str), image_ids[place]))
    return tuple(image_ids[place] for place in places), np.array(places)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
