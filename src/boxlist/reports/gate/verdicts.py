"""The verdict of a gate on a run: a line for each margin and each limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.non_inferiority import judge, unchanged, weigh
from boxlist.metrics.paired import metric_pair, metric_value
from boxlist.metrics.pictures import count_pictures, pictures_of
from boxlist.metrics.summary import metric_parts
from boxlist.metrics.table import METRICS
from boxlist.reports.comparable import pair_task

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.non_inferiority import Evidence, Judgement, Verdict
    from boxlist.reports.comparable import TaskPair
    from boxlist.reports.gate.plan import GatePlan, Limit
    from boxlist.reports.saved_runs import SavedRun, SavedTask

PASSED, FAILED, CANNOT_TELL = 0, 1, 3


@dataclass(frozen=True)
class Line:
    """One rule and its verdict.

    `baseline`, `worse_by`, `bound`, `p`, `detectable` and `images_needed` are of margins only; `n` counts the images
    that the figure is about. Where several questions are about one picture, `n` counts questions, and `pictures` and
    `images_needed` their pictures; else `pictures` is None.
    """

    task: str
    metric: str
    rule: str
    verdict: Verdict
    reason: str
    run: float | None
    n: int
    baseline: float | None = None
    worse_by: float | None = None
    bound: float | None = None
    p: float | None = None
    detectable: float | None = None
    images_needed: int | None = None
    pictures: int | None = None

    @property
    def n_pictures(self) -> int:
        """What resamples draw from."""
        return self.n if self.pictures is None else self.pictures


class GateResult(NamedTuple):
    """A run judged by a plan. `baseline` is None where there are only limits."""

    plan: GatePlan
    baseline: SavedRun | None
    run: SavedRun
    lines: list[Line]

    def count(self, verdict: Verdict) -> int:
        return sum(line.verdict == verdict for line in self.lines)

    @property
    def exit_status(self) -> int:
        if self.count("fail"):
            return FAILED
        return CANNOT_TELL if self.count("cannot tell") else PASSED


class _Margin(NamedTuple):
    """A margin with what the images say about it."""

    task: str
    metric: str
    margin: float
    evidence: Evidence
    is_unchanged: bool


def judge_run(plan: GatePlan, baseline: SavedRun | None, run: SavedRun) -> GateResult:
    """Judge a run; `InputError` when it lacks a task or metric of the plan, or is not comparable with the baseline.

    All margins of all tasks are judged together, so that the gate as a whole keeps its error rate.
    """
    margins: list[_Margin] = []
    limits: list[Line] = []
    for name, rules in plan.tasks.items():
        task = task_of(run, name)
        if rules.margins and baseline is not None:
            where, remedy = f"{baseline.path} and {run.path}", other_terms_remedy(baseline)
            pair = pair_task(where, task_of(baseline, name), task, remedy=remedy)
            margins += _weighed(pair, rules.margins, plan.seed)
        for metric, limit in rules.limits.items():
            check_metric(f"{run.path}: task {name}", metric, task.metrics)
            limits.append(_limit_line(name, metric, limit, task.columns))
    return GateResult(plan, baseline, run, [*_margin_lines(margins), *limits])


def task_of(run: SavedRun, name: str) -> SavedTask:
    """A task that the plan names; `InputError` when the run does not have it."""
    if name not in run.tasks:
        is_scores = run.path.suffix == ".json" and len(run.tasks) == 1
        remedy = f"If it is the same task: boxlist score --task {name}." if is_scores else ""
        raise unknown_name(f"{run.path}: task", name, run.tasks, remedy)
    return run.tasks[name]


def other_terms_remedy(baseline: SavedRun) -> str:
    """What to do when a run is not comparable with the baseline, on purpose or not."""
    return f"If that is on purpose, delete {baseline.path} and accept again."


def check_metric(where: str, metric: str, known: Sequence[str]) -> None:
    """`InputError` for a metric that the task does not have."""
    if metric not in known:
        raise InputError(
            f"{where}: {metric}", expected="a metric that it has", got="none", remedy=f"Those are {', '.join(known)}."
        )


def _weighed(pair: TaskPair, margins: Mapping[str, float], seed: int) -> Iterator[_Margin]:
    for metric in margins:
        check_metric(f"task {pair.name}", metric, pair.metrics)
    evidence = weigh(
        [metric_pair(metric, pair.a, pair.b) for metric in margins],
        [METRICS[metric] for metric in margins],
        seed,
        pictures=pictures_of(pair.a),
    )
    same = all(
        name in pair.b and np.array_equal(column, pair.b[name], equal_nan=True) for name, column in pair.a.items()
    )
    for (metric, margin), each in zip(margins.items(), evidence, strict=True):
        yield _Margin(pair.name, metric, margin, each, same and each.worse_by is not None)


def _margin_lines(margins: Sequence[_Margin]) -> list[Line]:
    judged = judge([row.evidence for row in margins], [row.margin for row in margins])
    return [
        _margin_line(row, unchanged(judgement) if row.is_unchanged else judgement)
        for row, judgement in zip(margins, judged, strict=True)
    ]


def _margin_line(row: _Margin, judgement: Judgement) -> Line:
    evidence = row.evidence
    return Line(
        task=row.task,
        metric=row.metric,
        rule=f"at most {row.margin:g} worse",
        verdict=judgement.verdict,
        reason=judgement.reason,
        run=evidence.run,
        n=evidence.n,
        baseline=evidence.baseline,
        worse_by=evidence.worse_by,
        bound=evidence.bound,
        p=judgement.p,
        detectable=judgement.detectable,
        images_needed=judgement.images_needed,
        pictures=evidence.pictures,
    )


def _limit_line(task: str, metric: str, limit: Limit, columns: Columns) -> Line:
    """A limit is on the figure itself: what was measured either keeps to it or does not."""
    value = metric_value(metric, columns)
    counts = metric_parts(METRICS[metric], columns).counts
    n, shared = int(np.count_nonzero(counts)), pictures_of(columns)
    pictures = None if shared is None else count_pictures(shared, counts)
    verdict: Verdict = "cannot tell"
    reason = "undefined: no image that it is about"
    if value is not None:
        verdict, reason = ("pass", "within") if limit.holds(value) else ("fail", "outside")
    return Line(task, metric, str(limit), verdict, reason, value, n, pictures=pictures)
