"""The figures of runs by the number of objects in the picture, for the terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.by_objects import CURVE_METRICS, count_bins, figures_by_objects
from boxlist.metrics.table import METRICS
from boxlist.reports.control_table import Column, TableBlock, TableRow, to_terminal
from boxlist.reports.leaderboard.entries import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.metrics.by_objects import CountBin
    from boxlist.reports.saved_runs import SavedRun

COLUMNS = tuple(
    Column(name, name, 0) if METRICS[name].over_images == "maximum" else Column(f"{name} [95%]", name, interval=True)
    for name in CURVE_METRICS
)


class ObjectCurve(NamedTuple):
    """One task of one run, bin by bin."""

    run: str
    task: str
    bins: list[CountBin]


def object_curves(runs: Sequence[SavedRun], starts: Sequence[int] | None = None) -> list[ObjectCurve]:
    """A curve for each box task of each run; those of one task share their bins, so that they compare.

    `starts` are the least numbers of objects of the bins. Raises `InputError` when no run has a box task.
    """
    tasks = [(run, task) for run in runs for task in run.tasks.values() if set(CURVE_METRICS) <= set(task.metrics)]
    if not tasks:
        raise InputError(
            ", ".join(str(run.path) for run in runs)[:200],
            expected=f"a task with {', '.join(CURVE_METRICS)}",
            got="none",
            remedy="Give runs of a box probe.",
        )
    found = []
    for run, task in tasks:
        chosen = starts
        if chosen is None:
            chosen = count_bins(np.concatenate([t.columns["n_gt"] for _, t in tasks if t.name == task.name]))
        found.append(ObjectCurve(run.name, task.name, figures_by_objects(task.columns, starts=chosen, seed=task.seed)))
    return found


def curves_text(curves: Sequence[ObjectCurve]) -> str:
    """One table a curve, a row a bin."""
    blocks = []
    for curve in curves:
        rows = [TableRow(_row_name(each), each.figures, CURVE_METRICS[0]) for each in curve.bins]
        blocks.append(TableBlock(f"{shown(curve.run)}: {shown(curve.task)}", rows))
    return to_terminal(blocks, COLUMNS)


def curves_json(curves: Sequence[ObjectCurve]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [{"run": curve.run, "task": curve.task, "bins": [each._asdict() for each in curve.bins]} for curve in curves]


def _row_name(each: CountBin) -> str:
    span = str(each.low) if each.low == each.high else f"{each.low} to {each.high}"
    return f"{span} object{'s' * (span != '1')}, {each.n_images} image{'s' * (each.n_images != 1)}"
