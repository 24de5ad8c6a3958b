"""Finished runs as arrays, for everything that compares them: run folders, and the files of `boxlist score`.

Reads `run.json` and `scores.json` only: no torch, no lmms-eval, no images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.metrics.columns import to_columns
from boxlist.metrics.table import METRICS
from boxlist.runs.folder import RUN_FILE, SCORES_FILE, read_run, read_scores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.inputs import ImageId


@dataclass(frozen=True)
class Terms:
    """What must be equal before two runs' figures for a task may stand beside each other; None where not recorded."""

    images: str | None
    prompt: str | None
    protocol: str | None
    definitions: str | None


@dataclass(frozen=True)
class SavedTask:
    """One task of a run: a value an image in every column that its metrics need, in the order of `image_ids`.

    Columns are float64, NaN where undefined.
    """

    name: str
    image_ids: tuple[ImageId, ...]
    metrics: tuple[str, ...]
    columns: Columns
    seed: int
    terms: Terms


@dataclass(frozen=True)
class SavedRun:
    """A run that can be compared. `run` is its `run.json`, empty for a file of `boxlist score`."""

    name: str
    path: Path
    run: Mapping[str, Any]
    tasks: Mapping[str, SavedTask]


def read_saved_run(path: Path) -> SavedRun:
    """Read a run folder, or a scores file; `InputError` when it is neither, unfinished, or without images."""
    if path.is_file():
        run: dict[str, Any] = {}
        scores = read_scores(path.parent, path.name)
    else:
        run = read_run(path)
        if run.get("status") != "complete":
            raise InputError(
                str(path / RUN_FILE),
                expected="a finished run",
                got=f"status {str(run.get('status'))[:40]}",
                remedy="Repeat its command; it continues.",
            )
        scores = read_scores(path)
    where = str(path if path.is_file() else path / SCORES_FILE)
    tasks = {name: _task(name, task, run, scores, where) for name, task in _tasks(scores, where).items()}
    return SavedRun(str(run.get("name") or path.stem), path, run, tasks)


def _tasks(scores: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    tasks = scores.get("tasks")
    if not isinstance(tasks, dict) or not all(isinstance(task, dict) for task in tasks.values()):
        raise InputError(where, expected='scores with "tasks"', got="none", remedy="Score the answers again.")
    return tasks


def _task(
    name: str, task: Mapping[str, Any], run: Mapping[str, Any], scores: Mapping[str, Any], where: str
) -> SavedTask:
    rows, metrics = task.get("per_image"), task.get("metrics")
    if not isinstance(rows, list) or not isinstance(metrics, dict):
        raise InputError(
            f"{where}: task {name}",
            expected='"metrics" and "per_image"',
            got="neither or one",
            remedy="Score the answers again.",
        )
    known = tuple(metric for metric in metrics if metric in METRICS)
    needed = dict.fromkeys(column for metric in known for column in METRICS[metric].columns)
    asked = (run.get("tasks") or {}).get(name) or {}
    return SavedTask(
        name=name,
        image_ids=tuple(row["image_id"] for row in rows),
        metrics=known,
        columns=to_columns(rows, needed),
        seed=int(task.get("seed", 0)),
        terms=Terms(
            images=task.get("ground_truth_sha256") or (asked.get("dataset") or {}).get("sha256"),
            prompt=asked.get("prompt_sha256"),
            protocol=run.get("protocol") or scores.get("protocol"),
            definitions=scores.get("definitions_sha256"),
        ),
    )
