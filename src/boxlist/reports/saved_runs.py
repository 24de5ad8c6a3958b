"""Finished runs as arrays, for everything that compares them: run folders, and the files of `boxlist score`.

Reads `run.json` and `scores.json` only: no torch, no lmms-eval, no images. Files may come from anywhere: their sizes
are bounded, and of the rows of `scores.json` only the columns that are asked for are decoded.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.pictures import PICTURE, number_pictures
from boxlist.metrics.summary import MetricValue
from boxlist.metrics.table import METRICS
from boxlist.models.identity import ADAPTER_CONFIG
from boxlist.runs.folder import RUN_FILE, SCHEMA, SCORES_FILE, read_run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.inputs import ImageId

LARGEST_RUN_BYTES = 16 << 20
LARGEST_SCORES_BYTES = 512 << 20  # 5,000 images take 3 MB
_AGAIN = "Score the answers again."
# columns have names such as tp@0.3, which no attribute can have
_ATTRIBUTES = {
    name: f"column_{place}"
    for place, name in enumerate(dict.fromkeys(column for metric in METRICS.values() for column in metric.columns))
}


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

    Columns are float64, NaN where undefined; one of them numbers the pictures, where rows name theirs. `figures` are
    the run's own, of the metrics that this boxlist knows.
    """

    name: str
    image_ids: tuple[ImageId, ...]
    metrics: tuple[str, ...]
    columns: Columns
    seed: int
    terms: Terms
    figures: Mapping[str, MetricValue] = field(default_factory=dict)


@dataclass(frozen=True)
class SavedRun:
    """A run that can be compared. `run` is its `run.json`, empty for a file of `boxlist score`."""

    name: str
    path: Path
    run: Mapping[str, Any]
    tasks: Mapping[str, SavedTask]


class _Figure(msgspec.Struct, frozen=True):
    value: float | None
    n: int = 0
    ci_low: float | None = None
    ci_high: float | None = None
    interval: Literal["percentile", "wilson"] | None = None
    few_images: bool = False


class _Task(msgspec.Struct, frozen=True):
    metrics: dict[str, _Figure]
    per_image: list[Any]
    seed: int = 0
    ground_truth_sha256: str | None = None


class _Scores(msgspec.Struct, frozen=True):
    tasks: dict[str, _Task]
    schema: int = SCHEMA
    protocol: str | None = None
    definitions_sha256: str | None = None


def find_runs(path: Path) -> list[Path]:
    """The runs that a path holds, by name: itself, or all run folders and scores files in or below a folder.

    A folder without `run.json` counts with the JSON files in it; adapters are passed over. Links to folders are not
    followed.
    """
    if not path.is_dir() or (path / RUN_FILE).exists():
        return [path]
    found = sorted(_runs_below(path))
    if not found:
        raise InputError(
            str(path),
            expected=f"a run folder, a scores file, or a folder that holds some (with {RUN_FILE} or {SCORES_FILE})",
            got="none of them",
            remedy="Give what boxlist run or boxlist score wrote.",
        )
    return found


def read_saved_run(path: Path, metrics: Collection[str] | None = None) -> SavedRun:
    """Read a run folder, or a scores file; `InputError` when it is neither, unfinished, or without images.

    With `metrics`, only the columns that these need are read.
    """
    if not path.exists():
        raise InputError(
            str(path), expected="a run folder, or a file of boxlist score", got="neither", remedy="Check the path."
        )
    run: dict[str, Any] = {}
    where = path
    if path.is_dir():
        run, where = _finished(path), path / SCORES_FILE
    scores = _decode_scores(where, METRICS if metrics is None else metrics)
    tasks = {
        name: _task(name, task, run, scores, f"{where}: task {name}", metrics) for name, task in scores.tasks.items()
    }
    own_name = path.resolve().parent.name if path.name == SCORES_FILE else path.stem
    return SavedRun(str(run.get("name") or own_name), path, run, tasks)


def _runs_below(path: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(path):
        if RUN_FILE in names:
            folders.clear()
            yield Path(root)
        elif ADAPTER_CONFIG in names:
            folders.clear()  # adapters lie beside their runs
        else:
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from (Path(root, name) for name in names if name.endswith(".json") and not name.startswith("."))


def _finished(path: Path) -> dict[str, Any]:
    _bound(path / RUN_FILE, LARGEST_RUN_BYTES)
    run = read_run(path)
    if run.get("status") != "complete":
        raise InputError(
            str(path / RUN_FILE),
            expected="a finished run",
            got=f"status {str(run.get('status'))[:40]}",
            remedy="Repeat its command; it continues.",
        )
    return run


def _bound(path: Path, largest: int) -> None:
    """Refuse what is no ordinary file, and what is too large to be read."""
    if not path.is_file():
        raise InputError(
            str(path),
            expected="a file",
            got="something else" if path.exists() else "none",
            remedy="Give a folder that boxlist run wrote, or a file of boxlist score.",
        )
    size = path.stat().st_size
    if size > largest:
        raise InputError(
            str(path), expected=f"at most {largest >> 20} MB", got=f"{size >> 20} MB", remedy="Score fewer images."
        )


def _decode_scores(path: Path, metrics: Collection[str]) -> _Scores:
    _bound(path, LARGEST_SCORES_BYTES)
    try:
        scores: _Scores = _decoder(_columns_of(metrics)).decode(path.read_bytes())
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(str(path), expected="the scores of boxlist", got=_said(error), remedy=_AGAIN) from None
    if scores.schema != SCHEMA:
        raise InputError(
            str(path),
            expected=f"schema {SCHEMA}",
            got=f"schema {scores.schema}",
            remedy="Use the boxlist that wrote it.",
        )
    if not scores.tasks:
        raise InputError(str(path), expected="at least one task", got="none", remedy=_AGAIN)
    return scores


def _task(
    name: str,
    task: _Task,
    run: Mapping[str, Any],
    scores: _Scores,
    where: str,
    metrics: Collection[str] | None,
) -> SavedTask:
    known = tuple(metric for metric in task.metrics if metric in METRICS)
    read = known if metrics is None else tuple(metric for metric in known if metric in metrics)
    image_ids, columns = _columns(task.per_image, _columns_of(read), where)
    asked = _mapping(_mapping(run.get("tasks")).get(name))
    return SavedTask(
        name=name,
        image_ids=image_ids,
        metrics=known,
        columns=columns,
        seed=task.seed,
        terms=Terms(
            images=task.ground_truth_sha256 or _text(_mapping(asked.get("dataset")).get("sha256")),
            prompt=_text(asked.get("prompt_sha256")),
            protocol=_text(run.get("protocol")) or scores.protocol,
            definitions=scores.definitions_sha256,
        ),
        figures={metric: _value(task.metrics[metric]) for metric in known},
    )


def _columns_of(metrics: Iterable[str]) -> tuple[str, ...]:
    """The columns that the metrics read."""
    known = (METRICS[metric] for metric in metrics if metric in METRICS)
    return tuple(dict.fromkeys(column for metric in known for column in metric.columns))


def _columns(rows: Sequence[Any], needed: Sequence[str], where: str) -> tuple[tuple[ImageId, ...], Columns]:
    """The images' ids and the needed columns. Raises `InputError` for no images, one twice, or a missing column."""
    image_ids = tuple(map(attrgetter("image_id"), rows))
    if not image_ids or len(set(image_ids)) != len(image_ids):
        raise InputError(
            f"{where}, per_image",
            expected="a row for each image",
            got="an image twice" if image_ids else "no rows",
            remedy=_AGAIN,
        )
    columns = {}
    for name in needed:
        values = list(map(attrgetter(_ATTRIBUTES[name]), rows))
        try:
            columns[name] = np.array(values, dtype=np.float64)
        except TypeError:  # a row has none
            image = image_ids[next(place for place, value in enumerate(values) if value is msgspec.UNSET)]
            raise InputError(
                f"{where}, image {image!r}", expected=f"a column {name!r}", got="none", remedy=_AGAIN
            ) from None
    pictures = list(map(attrgetter(PICTURE), rows))
    if msgspec.UNSET not in pictures:
        columns[PICTURE] = number_pictures(pictures)
    return image_ids, columns


@lru_cache(maxsize=16)
def _decoder(columns: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Reads `image_id`, `picture` and the named columns of each row; all else is skipped without being decoded."""
    given = ((_ATTRIBUTES[name], float | bool | msgspec.UnsetType | None, msgspec.UNSET) for name in columns)
    names = {_ATTRIBUTES[name]: name for name in columns}
    picture = (PICTURE, int | str | msgspec.UnsetType, msgspec.UNSET)
    row = msgspec.defstruct("Row", [("image_id", int | str), picture, *given], rename=names, gc=False)
    task = msgspec.defstruct("Task", [("per_image", GenericAlias(list, (row,)))], bases=(_Task,), kw_only=True)
    return msgspec.json.Decoder(
        msgspec.defstruct("Scores", [("tasks", GenericAlias(dict, (str, task)))], bases=(_Scores,), kw_only=True)
    )


def _value(figure: _Figure) -> MetricValue:
    return MetricValue(
        value=figure.value,
        ci_low=figure.ci_low,
        ci_high=figure.ci_high,
        n=figure.n,
        interval=figure.interval,
        few_images=figure.few_images,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _said(error: Exception) -> str:
    """What a decoder says, without its full stop."""
    return str(error)[:200].rstrip(".") or type(error).__name__
