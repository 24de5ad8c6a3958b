"""A row from the answers of another: what controls on the list would have made of a greedy run, without a model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from boxlist.controls.list_watch import replay as watch_again
from boxlist.controls.table import CONTROLS, Controls
from boxlist.errors import InputError
from boxlist.models.generation import read_generation_kwargs
from boxlist.protocols import protocol_named
from boxlist.runs.changes import refuse_changes
from boxlist.runs.engine import RunResult
from boxlist.runs.folder import ANSWERS_FILE, RUN_FILE, RunFolder, read_run
from boxlist.runs.inputs import RunInputs, plan_task, sha256_file
from boxlist.runs.scoring import score_answers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boxlist.protocols import Protocol
    from boxlist.runs.answers_file import StoredAnswer
    from boxlist.runs.inputs import TaskPlan

# Rows of run.json that a replayed run does not have from its source.
_NEW = frozenset({"schema", "name", "status", "controls", "tasks", "sessions", "answers", "tokens", "wall_seconds"})


def replay(source: Path, added: Controls, name: str, out: Path) -> RunResult:
    """Write the run folder `out/name` with the answers of `source` as the `added` controls would have ended them.

    Exact, because a greedy answer that a control on the list ends is a prefix of the one that it does not. Raises
    `InputError` where that does not hold: an unfinished source, sampling or beams, a source that is cut already, or any
    other control. Replaying the same again writes the same; a folder that holds anything else is refused.
    """
    run = read_run(source)
    controls = _refuse_inexact(source, run, added)
    _refuse_other(out / name, source)
    with RunFolder.open(source) as made_from, RunFolder.open(out / name) as folder:
        plans = _plans(made_from, run)
        keys = [question.key for plan in plans.values() for question in plan.questions]
        lost = len(set(keys) - made_from.answers.keys())
        if lost:
            raise _inexact(source, f"{len(keys)} answers", f"{len(keys) - lost}", "Repeat its command to ask again.")
        folder.discard()
        row = {
            **{key: value for key, value in run.items() if key not in _NEW},
            "name": name,
            "controls": controls.to_kwargs(),
            "tasks": _tasks_row(run, controls),
            "replayed_from": {"path": str(source), "answers_sha256": sha256_file(source / ANSWERS_FILE)},
        }
        folder.write_run({**row, "status": "running"})
        protocol = protocol_named(run["protocol"])
        for answer in made_from.answers.read(keys):
            folder.answers.append(_watched(answer, protocol, added.on_list))
        scores = score_answers(folder, plans, protocol, int(run["seed"]))
        folder.write_scores(scores)
        row |= {"status": "complete", "answers": len(keys), "tokens": None, "wall_seconds": None}
        folder.write_run(row)
    return RunResult(out / name, row, scores, 0)


def _refuse_inexact(source: Path, run: Mapping[str, Any], added: Controls) -> Controls:
    """The controls of the replayed run; `InputError` where the source's answers do not determine it."""
    given = Controls.from_kwargs(run["controls"])
    if run.get("status") != "complete":
        raise _inexact(source, "a finished run", f"status {run.get('status')}", "Let its command finish first.")
    if given.on_list != Controls():
        raise _inexact(source, "answers that nothing cut", f"a run with {given.on_list.name}", "Replay a run without.")
    other = [name for name, value in added.to_kwargs().items() if value != given.to_kwargs().get(name)]
    other = [name for name in other if CONTROLS[name].make_rule is None]
    if other or added.on_list == Controls():
        raise InputError(
            f"controls {added.name}",
            expected=f"controls on the list on top of {given.name}",
            got=f"{', '.join(other)}, which changes what is generated" if other else "nothing to replay",
            remedy="Use boxlist run for it." if other else "Pass --controls repeat_stop.",
        )
    for task, row in run["tasks"].items():
        options = read_generation_kwargs(row["generation_kwargs"])
        if options.likelihood:
            raise _inexact(source, "answers that were generated", f"likelihoods in {task}", "Replay other tasks.")
        if options.do_sample or options.num_beams > 1:
            raise _inexact(source, "greedy answers", f"sampling or beams in {task}", "Use boxlist run for it.")
    return replace(given, **added.on_list.to_kwargs())  # type: ignore[arg-type]  # each field gets its own kind back


def _plans(folder: RunFolder, run: Mapping[str, Any]) -> dict[str, TaskPlan]:
    """The source's tasks as they are today; `InputError` when data or prompts are no longer the source's."""
    controls = Controls.from_kwargs(run["controls"])
    plans = {
        task: plan_task(
            task,
            protocol=protocol_named(run["protocol"]),
            controls=controls,
            overrides=row["generation_kwargs"],
            limit=row["n"],
        )
        for task, row in run["tasks"].items()
    }
    rows = {**run, "tasks": {task: plan.to_json() for task, plan in plans.items()}}
    refuse_changes(folder, RunInputs(rows=rows, plans=plans, versions={}))
    return plans


def _refuse_other(path: Path, source: Path) -> None:
    """Only a replay of the same run may be written over."""
    if not (path / RUN_FILE).exists():
        return
    origin = (read_run(path).get("replayed_from") or {}).get("path")
    if origin != str(source):
        raise InputError(
            str(path),
            expected=f"a new name, or an earlier replay of {source}",
            got=f"a replay of {origin}" if origin else "a run of its own",
            remedy="Take another --name.",
        )


def _watched(answer: StoredAnswer, protocol: Protocol, controls: Controls) -> StoredAnswer:
    stopped = watch_again(answer.text, protocol, controls)
    if not stopped.triggered:
        return answer._replace(text=stopped.text)
    return answer._replace(text=stopped.text, tokens=None, finish=str(stopped.by), triggered=True)


def _tasks_row(run: Mapping[str, Any], controls: Controls) -> dict[str, Any]:
    """The source's tasks, asked under the new controls."""
    return {
        task: {**row, "generation_kwargs": {**row["generation_kwargs"], **controls.to_kwargs()}}
        for task, row in run["tasks"].items()
    }


def _inexact(source: Path, expected: str, got: str, remedy: str) -> InputError:
    return InputError(str(source), expected=expected, got=got, remedy=remedy)
