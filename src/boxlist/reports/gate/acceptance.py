"""Making a run the baseline: the only way a baseline changes, and only where like replaces like."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.metrics.paired import metric_value
from boxlist.reports.comparable import pair_task
from boxlist.reports.gate.baseline import read_baseline, write_baseline
from boxlist.reports.gate.verdicts import check_metric, other_terms_remedy, task_of

if TYPE_CHECKING:
    from boxlist.reports.gate.plan import GatePlan
    from boxlist.reports.saved_runs import SavedRun


class Accepted(NamedTuple):
    """One figure of the plan in the old baseline, None where there was none, and in the new."""

    task: str
    metric: str
    old: float | None
    new: float | None


def accept_run(plan: GatePlan, run: SavedRun) -> list[Accepted]:
    """Write the run's counts to the plan's baseline file; what that changed.

    `InputError`, with nothing written, when the old baseline is over other images or terms: then a gate would compare
    other things from now on, and the user must take the old file away first.
    """
    if plan.baseline is None:
        raise InputError(
            str(plan.path), expected="a baseline to write", got="none", remedy="Add baseline: baseline.json."
        )
    old = read_baseline(plan.baseline) if plan.baseline.exists() else None
    changes = []
    for name, rules in plan.tasks.items():
        task = task_of(run, name)
        before = old.tasks.get(name) if old is not None else None
        if before is not None and old is not None:
            pair_task(f"{old.path} and {run.path}", before, task, remedy=other_terms_remedy(old))
        for metric in (*rules.margins, *rules.limits):
            check_metric(f"{run.path}: task {name}", metric, task.metrics)
            has_old = before is not None and metric in before.metrics
            before_value = metric_value(metric, before.columns) if before is not None and has_old else None
            changes.append(Accepted(name, metric, before_value, metric_value(metric, task.columns)))
    write_baseline(plan.baseline, run, plan.tasks)
    return changes
