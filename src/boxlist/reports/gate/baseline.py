"""The baseline of a gate: the counts of an accepted run in one small file that is committed, or a saved run itself.

The file holds the per-image columns of the gate's tasks, a line a column, and the terms under which they were made, so
that a gate needs neither the accepted run nor its answers.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import msgspec
import numpy as np

import boxlist
from boxlist.errors import InputError, unknown_name
from boxlist.metrics.table import METRICS
from boxlist.reports.saved_runs import SavedRun, SavedTask, Terms, read_saved_run
from boxlist.whole_files import write_text

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

SCHEMA, KIND = 1, "boxlist gate baseline"
LARGEST_BYTES = 256 << 20
_AGAIN = "Restore it from version control, or delete it and accept a run again."


class _Terms(msgspec.Struct, frozen=True):
    images: str | None
    prompt: str | None
    protocol: str | None
    definitions: str | None


class _Task(msgspec.Struct, frozen=True):
    terms: _Terms
    metrics: list[str]
    image_ids: list[int | str]
    columns: dict[str, list[float | None]]


class _Baseline(msgspec.Struct, frozen=True):
    kind: str
    schema: int
    run: str
    tasks: dict[str, _Task]


def read_baseline(path: Path) -> SavedRun:
    """A baseline file, a run folder or a scores file; `InputError` for anything else."""
    if path.is_dir():
        return read_saved_run(path)
    if not path.is_file():
        raise InputError(
            str(path),
            expected="a baseline",
            got="no such file",
            remedy="Write it from a run that is good: boxlist gate GATE.yaml --run RUN --accept.",
        )
    return _decode(path) if is_baseline(path) else read_saved_run(path)


def is_baseline(path: Path) -> bool:
    """Whether a file begins as baselines do."""
    with path.open("rb") as file:
        return KIND.encode() in file.read(200)


def write_baseline(path: Path, run: SavedRun, tasks: Collection[str]) -> None:
    """Write the tasks' counts of a run, whole or not at all. Raises `InputError` where `path` holds anything else."""
    if path.is_dir() or (path.exists() and not is_baseline(path)):
        raise InputError(
            str(path),
            expected="a baseline file, which --accept may replace",
            got="a run or something else",
            remedy="Name a file of its own under baseline:.",
        )
    if not path.parent.is_dir():
        raise InputError(
            str(path), expected="a file in a folder that exists", got="no such folder", remedy="Make the folder."
        )
    for name in tasks:
        if name not in run.tasks:
            raise unknown_name(f"{run.path}: task", name, run.tasks)
    write_text(path, _encode(run, tasks))


def _encode(run: SavedRun, tasks: Collection[str]) -> str:
    """JSON with a line a column, so that version control shows what changed."""
    head = {"kind": KIND, "schema": SCHEMA, "boxlist": boxlist.__version__, "run": run.name}
    texts = []
    for name in tasks:
        task = run.tasks[name]
        columns = ",\n    ".join(
            f"{json.dumps(column)}: {json.dumps(_plain(values))}" for column, values in task.columns.items()
        )
        texts.append(
            f' {json.dumps(name)}: {{\n   "terms": {json.dumps(asdict(task.terms))},\n'
            f'   "metrics": {json.dumps(task.metrics)},\n   "image_ids": {json.dumps(task.image_ids)},\n'
            f'   "columns": {{\n    {columns}}}}}'
        )
    return json.dumps(head)[:-1] + ',\n "tasks": {\n' + ",\n".join(texts) + "}}\n"


def _plain(column: NDArray[np.float64]) -> list[float | int | None]:
    """Whole numbers without a point, undefined ones as null."""
    return [None if np.isnan(value) else int(value) if value.is_integer() else value for value in column.tolist()]


def _decode(path: Path) -> SavedRun:
    if path.stat().st_size > LARGEST_BYTES:
        raise InputError(str(path), expected=f"at most {LARGEST_BYTES >> 20} MB", got="more", remedy=_AGAIN)
    try:
        baseline = msgspec.json.decode(path.read_bytes(), type=_Baseline)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(str(path), expected="a baseline", got=str(error)[:200].rstrip("."), remedy=_AGAIN) from None
    if (baseline.kind, baseline.schema) != (KIND, SCHEMA):
        raise InputError(
            str(path), expected=f"schema {SCHEMA}", got=f"{baseline.schema}", remedy="Use the boxlist that wrote it."
        )
    tasks = {name: _task(f"{path}: task {name}", name, task) for name, task in baseline.tasks.items()}
    return SavedRun(baseline.run, path, {}, tasks)


def _task(where: str, name: str, task: _Task) -> SavedTask:
    n_images = len(set(task.image_ids))
    metrics = tuple(metric for metric in task.metrics if metric in METRICS)
    needed = {column for metric in metrics for column in METRICS[metric].columns}
    lengths = {len(values) for values in task.columns.values()} | {len(task.image_ids)}
    if lengths != {n_images} or not n_images or not needed <= task.columns.keys():
        raise InputError(where, expected="a value an image in every column", got="other lengths", remedy=_AGAIN)
    return SavedTask(
        name=name,
        image_ids=tuple(task.image_ids),
        metrics=metrics,
        columns={column: np.array(values, dtype=np.float64) for column, values in task.columns.items()},
        seed=0,
        terms=Terms(**msgspec.structs.asdict(task.terms)),
    )
