"""The rows of a study for one model: braces filled, lists multiplied out, every name looked up before anything runs."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.controls.table import Controls, parse_controls
from boxlist.errors import InputError, unknown_name
from boxlist.metrics.table import METRICS
from boxlist.protocols import protocol_named
from boxlist.reports.control_table import BOX_TARGET
from boxlist.studies.study_file import BASE, AdapterSource, Study, StudyModel
from boxlist.tasks.probes import task_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DENSE = "dense"


class Asked(NamedTuple):
    """One run of the pool: an adapter's role (`none` for the base), a task, controls, and a protocol.

    No protocol means the model's own; any other is named, and an adapter is asked in it whatever it learnt.
    """

    adapter: str
    task: str
    controls: Controls
    protocol: str | None = None


class GridRow(NamedTuple):
    """One row of the table: its name, the run that fills it, and the metric of its target column."""

    name: str
    asked: Asked
    target: str


class GridBlock(NamedTuple):
    """Rows under one title."""

    title: str
    rows: Sequence[GridRow]


@dataclass(frozen=True)
class Grid:
    """A study for one model: its blocks, and what they need."""

    study: Study
    model: StudyModel
    blocks: Sequence[GridBlock]

    @property
    def rows(self) -> list[GridRow]:
        return [row for block in self.blocks for row in block.rows]

    @property
    def runs(self) -> list[Asked]:
        """Every run once, in the order of the rows."""
        return list(dict.fromkeys(row.asked for row in self.rows))

    @property
    def adapters(self) -> dict[str, AdapterSource]:
        """The adapters that rows use, by role."""
        used = dict.fromkeys(asked.adapter for asked in self.runs if asked.adapter != BASE)
        return {role: self.model.adapters[role] for role in used}


def plan_grid(study: Study, model: StudyModel) -> Grid:
    """Make the rows. Raises `InputError` for an unknown name, a task that is not there, an adapter that nobody gave."""
    blocks = []
    for place, block in enumerate(study.blocks):
        where = f"study {study.name}: blocks[{place}]"
        if model.name not in block.get("only", [model.name]):
            continue
        blocks += [_block(_Place(where, model, values), block) for values in _each(where, block, model.values)]
    grid = Grid(study, model, blocks)
    _refuse_missing_tasks(grid)
    _refuse_missing_adapters(grid)
    return grid


class _Place(NamedTuple):
    """Where in the file a row stands, and what fills its braces."""

    where: str
    model: StudyModel
    values: Mapping[str, Any]

    def fill(self, text: str) -> str:
        """A text with its `{names}` replaced; plain names only, so that a file cannot reach into objects."""
        filled = text
        for name, value in self.values.items():
            filled = filled.replace(f"{{{name}}}", str(value))
        if "{" in filled:
            name = filled.partition("{")[2].partition("}")[0]
            raise unknown_name(f"{self.where}: {text[:80]!r}: value", name, self.values)
        return filled


def _block(place: _Place, block: Mapping[str, Any]) -> GridBlock:
    adapter = place.fill(block.get("adapter", BASE))
    rows = list(_rows(place, block["rows"], adapter))
    title = place.fill(block["title"]) if "title" in block else _title(place, adapter)
    return GridBlock(title, rows)


def _title(place: _Place, adapter: str) -> str:
    return place.model.name if adapter == BASE else _source(place, adapter).title


def _rows(place: _Place, rows: Sequence[Mapping[str, Any]], adapter: str) -> Iterator[GridRow]:
    for row in rows:
        for values in _each(place.where, row, place.values):
            inner = place._replace(values=values)
            if "rows" in row:
                yield from _rows(inner, row["rows"], adapter)
            else:
                yield _row(inner, row, adapter)


def _row(place: _Place, row: Mapping[str, Any], adapter: str) -> GridRow:
    role = place.fill(row.get("adapter", adapter))
    if role != BASE:
        _source(place, role)
    task = place.fill(row.get("task", DENSE))
    target = row.get("target", BOX_TARGET)
    if target not in METRICS:
        raise unknown_name(f"{place.where}: target", target, METRICS)
    if task not in place.model.tasks:
        raise unknown_name(f"{place.where}: task of {place.model.name}", task, place.model.tasks)
    controls = parse_controls(place.fill(row.get("controls", "")))
    own = protocol_named(place.model.protocol).name
    protocol = protocol_named(place.fill(row.get("protocol", own))).name
    asked = Asked(role, place.model.tasks[task], controls, None if protocol == own else protocol)
    name = place.fill(row.get("row", protocol))
    return GridRow(name if "protocol" not in row or protocol in name else f"{name}, {protocol}", asked, target)


def _source(place: _Place, role: str) -> AdapterSource:
    if role not in place.model.adapters:
        raise unknown_name(f"{place.where}: adapter of {place.model.name}", role, place.model.adapters)
    return place.model.adapters[role]


def _each(where: str, given: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The values with each combination of `each`: a list, or the name of a list among the values."""
    axes = {}
    for name, choices in (given.get("each") or {}).items():
        chosen = values.get(choices) if isinstance(choices, str) else choices
        if not isinstance(chosen, list):
            raise InputError(
                f"{where}: each {name}",
                expected="a list, or the name of one among the model's values",
                got=repr(choices)[:80],
                remedy=f"Lists there: {', '.join(n for n, v in values.items() if isinstance(v, list)) or 'none'}.",
            )
        axes[str(name)] = chosen
    for combination in itertools.product(*axes.values()):
        yield {**values, **dict(zip(axes, combination, strict=True))}


def _refuse_missing_tasks(grid: Grid) -> None:
    known = task_names()
    missing = dict.fromkeys(asked.task for asked in grid.runs if asked.task not in known)
    if missing:
        role = next(role for role, task in grid.model.tasks.items() if task in missing)
        raise InputError(
            f"study {grid.study.name} with {grid.model.name}",
            expected=f"the task{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            got="none in this version of boxlist",
            remedy=f"Use --model pocket, or a task that is there, as in --task {role}=boxlist_dense_bbox_shapes.",
        )


def _refuse_missing_adapters(grid: Grid) -> None:
    missing = {role: source for role, source in grid.adapters.items() if source.recipe is None and source.path is None}
    if missing:
        wanted = ", ".join(f"{role} ({source.title})" for role, source in missing.items())
        raise InputError(
            f"study {grid.study.name} with {grid.model.name}",
            expected=f"your adapter{'s' if len(missing) > 1 else ''} for {wanted}",
            got="none",
            remedy=" ".join(["Give", *(f"--adapter {role}=PATH_OR_HUB_ID" for role in missing)]) + ".",
        )


def with_overrides(
    model: StudyModel, *, adapters: Mapping[str, str], tasks: Mapping[str, str], model_args: Mapping[str, Any]
) -> StudyModel:
    """The model with what the command line says: adapters by role, tasks by role, model arguments."""
    for kind, given, known in (("adapter", adapters, model.adapters), ("task", tasks, model.tasks)):
        for role in given:
            if role not in known:
                raise unknown_name(f"--{kind} {role}: role of {model.name}", role, known)
    sources = {role: AdapterSource(model.adapters[role].title, path=path) for role, path in adapters.items()}
    arguments = dict(model_args)
    return dataclasses.replace(
        model,
        pretrained=str(arguments.pop("pretrained", model.pretrained)),
        protocol=str(arguments.pop("protocol", model.protocol)),
        tasks={**model.tasks, **tasks},
        replaced=dict(tasks),
        adapters={**model.adapters, **sources},
        model_args={**model.model_args, **arguments},
    )
