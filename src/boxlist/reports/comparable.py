"""Whether two saved runs may be compared, task by task, and their images brought into one order.

Refused, with what differs: other tasks, other images, another prompt, protocol, or definition of the metrics. The
caller may allow another prompt or protocol: comparing families is legitimate where images and definitions agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.pictures import PICTURE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.inputs import ImageId
    from boxlist.reports.saved_runs import SavedRun, SavedTask

MIXABLE = ("prompt", "protocol")
_REMEDIES = {
    "images": "Run or score both on the same images.",
    "prompt": "Run both with the same prompt, or pass --mix prompt.",
    "protocol": "Pass --mix protocol if the runs are of different families.",
    "definitions": "Score both with the same boxlist.",
}
_SHOWN_IDS, _SHOWN_TERM = 3, 40


@dataclass(frozen=True)
class TaskPair:
    """One task of two runs, a and b, over the same images in the same order.

    Where either says which images are about one picture, the columns of both do.
    """

    name: str
    image_ids: tuple[ImageId, ...]
    metrics: tuple[str, ...]
    a: Columns
    b: Columns


def pair_tasks(a: SavedRun, b: SavedRun, tasks: Sequence[str] = (), mixed: Collection[str] = ()) -> list[TaskPair]:
    """The tasks of two runs side by side, or `tasks` only; `InputError` that names what differs.

    Two files of `boxlist score` with a task each are paired whatever their tasks are called: by default that is the
    name of the answers file.
    """
    if not tasks and not a.run and not b.run and len(a.tasks) == len(b.tasks) == 1:
        (ours,), (theirs,) = a.tasks.values(), b.tasks.values()
        return [pair_task(_names(a, b), ours, theirs, mixed)]
    for run in (a, b):
        for name in tasks:
            if name not in run.tasks:
                raise unknown_name(f"{run.path}: task", name, run.tasks)
    if not tasks and set(a.tasks) != set(b.tasks):
        only = [
            f"{', '.join(sorted(set(run.tasks) - set(other.tasks)))} only in {run.path}"
            for run, other in ((a, b), (b, a))
            if set(run.tasks) - set(other.tasks)
        ]
        raise InputError(
            _names(a, b), expected="the same tasks", got="; ".join(only), remedy="Name those to compare with --tasks."
        )
    return [pair_task(_names(a, b), a.tasks[name], b.tasks[name], mixed) for name in tasks or a.tasks]


def pair_task(
    where: str, a: SavedTask, b: SavedTask, mixed: Collection[str] = (), remedy: str | None = None
) -> TaskPair:
    """One task of two runs; `InputError` for any difference in images or terms. The order of images is a's.

    `remedy` is what the error advises, if not what `boxlist compare` would.
    """
    where = f"{where}: task {a.name}"
    _check_terms(where, a, b, mixed, remedy)
    b = _in_order(where, b, a.image_ids, remedy)
    metrics = tuple(metric for metric in a.metrics if metric in b.metrics)
    known = a.columns.get(PICTURE, b.columns.get(PICTURE))
    pictures = {} if known is None else {PICTURE: known}
    return TaskPair(a.name, a.image_ids, metrics, {**a.columns, **pictures}, {**b.columns, **pictures})


def _check_terms(where: str, a: SavedTask, b: SavedTask, mixed: Collection[str], remedy: str | None) -> None:
    for term, usual in _REMEDIES.items():
        ours, theirs = getattr(a.terms, term), getattr(b.terms, term)
        if ours != theirs and term not in mixed:
            raise InputError(
                where, expected=f"the same {term}", got=f"{_shown(ours)} and {_shown(theirs)}", remedy=remedy or usual
            )


def _in_order(where: str, task: SavedTask, image_ids: tuple[ImageId, ...], remedy: str | None) -> SavedTask:
    if task.image_ids == image_ids:
        return task
    places = {image_id: place for place, image_id in enumerate(task.image_ids)}
    if places.keys() != set(image_ids):
        missing = [image_id for image_id in image_ids if image_id not in places]
        more = sorted(places.keys() - set(image_ids), key=str)
        raise InputError(
            where,
            expected="the same images",
            got="; ".join(
                f"{len(ids)} only in {which} ({_ids(ids)})"
                for ids, which in ((missing, "the first"), (more, "the second"))
                if ids
            ),
            remedy=remedy or _REMEDIES["images"],
        )
    order = np.array([places[image_id] for image_id in image_ids])
    return replace(task, image_ids=image_ids, columns={name: column[order] for name, column in task.columns.items()})


def _names(a: SavedRun, b: SavedRun) -> str:
    return f"{a.path} and {b.path}"


def _ids(ids: Sequence[ImageId]) -> str:
    more = ", ..." if len(ids) > _SHOWN_IDS else ""
    return ", ".join(str(image_id)[:_SHOWN_TERM] for image_id in ids[:_SHOWN_IDS]) + more


def _shown(term: str | None) -> str:
    """Hashes by their first digits."""
    if term is None:
        return "none recorded"
    return term[:8] if len(term) >= 64 else term[:_SHOWN_TERM]
