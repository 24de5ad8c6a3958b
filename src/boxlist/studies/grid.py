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
from boxlist.studies.seeds import refuse_trade_columns, refuse_unpaired, seed_runs
from boxlist.studies.study_file import BASE, AdapterSource, Study, StudyModel
from boxlist.tasks.probes import task_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from boxlist.studies.seeds import SeedRun

DENSE = "dense"


class Asked(NamedTuple):
    """One run of the pool: an adapter's role (`none` for the base), a task, controls, and a protocol.

    No protocol means the model's own; any other is named, and an adapter is asked in it whatever it learnt.
    """

    adapter: str
    task: str
    controls: Controls
    protocol: str | None = None


def watches_list(asked: Asked) -> bool:
    """Whether controls such as repeat-stop are on, so that a replay of raw answers can stand for the run."""
    return asked.controls.on_list != Controls()


def unwatched(asked: Asked) -> Asked:
    """The same without the controls that watch the list."""
    watching = asked.controls.on_list.to_kwargs()
    kept = {name: value for name, value in asked.controls.to_kwargs().items() if name not in watching}
    return asked._replace(controls=Controls.from_kwargs(kept))


class GridRow(NamedTuple):
    """One row of the table: its name, the run that fills it, and the metric of its target column.

    With `seeds` each of their runs fills it, and `asked` is that of the first.
    """

    name: str
    asked: Asked
    target: str
    seeds: Sequence[SeedRun] = ()

    @property
    def runs(self) -> list[Asked]:
        return [run.asked for run in self.seeds] or [self.asked]


class GridBlock(NamedTuple):
    """Rows under one title; `differences` names the metrics in which each is compared with the first."""

    title: str
    rows: Sequence[GridRow]
    differences: Sequence[str] = ()


@dataclass(frozen=True)
class Grid:
    """A study for one model: its blocks, and what they need; the model has the adapters of every seed too."""

    study: Study
    model: StudyModel
    blocks: Sequence[GridBlock]

    @property
    def rows(self) -> list[GridRow]:
        return [row for block in self.blocks for row in block.rows]

    @property
    def runs(self) -> list[Asked]:
        """Every run once, in the order of the rows."""
        return list(dict.fromkeys(asked for row in self.rows for asked in row.runs))

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
    seeded = {run.asked.adapter: run.source for block in blocks for row in block.rows for run in row.seeds}
    grid = Grid(study, dataclasses.replace(model, adapters={**model.adapters, **seeded}), blocks)
    refuse_trade_columns(study, grid.rows)
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
    inherited = {"adapter": BASE, **{name: block[name] for name in ("adapter", "seeds") if name in block}}
    rows = list(_rows(place, block["rows"], inherited))
    title = place.fill(block["title"]) if "title" in block else _title(place, place.fill(inherited["adapter"]))
    differences = block.get("differences", [])
    for name in differences:
        if name not in METRICS:
            raise unknown_name(f"{place.where}: differences", str(name), METRICS)
    if differences:
        refuse_unpaired(place.where, rows)
    return GridBlock(title, rows, differences)


def _title(place: _Place, adapter: str) -> str:
    return place.model.name if adapter == BASE else _source(place, adapter).title


def _rows(place: _Place, rows: Sequence[Mapping[str, Any]], inherited: Mapping[str, Any]) -> Iterator[GridRow]:
    for row in rows:
        for values in _each(place.where, row, place.values):
            inner = place._replace(values=values)
            if "rows" in row:
                yield from _rows(inner, row["rows"], inherited)
            else:
                yield _row(inner, {**inherited, **row})


def _row(place: _Place, row: Mapping[str, Any]) -> GridRow:
    role = place.fill(row["adapter"])
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
    name = name if "protocol" not in row or protocol in name else f"{name}, {protocol}"
    if role == BASE or "seeds" not in row:
        return GridRow(name, asked, target)
    seeds = _chosen(f"{place.where}: seeds", row["seeds"], place.values)
    runs = seed_runs(f"{place.where}: seeds of {role}", place.model, asked, seeds)
    return GridRow(name, runs[0].asked, target, runs)


def _source(place: _Place, role: str) -> AdapterSource:
    if role not in place.model.adapters:
        raise unknown_name(f"{place.where}: adapter of {place.model.name}", role, place.model.adapters)
    return place.model.adapters[role]


def _each(where: str, given: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The values with each combination of `each`."""
    axes = {
        str(name): _chosen(f"{where}: each {name}", choices, values)
        for name, choices in (given.get("each") or {}).items()
    }
    for combination in itertools.product(*axes.values()):
        yield {**values, **dict(zip(axes, combination, strict=True))}


def _chosen(where: str, choices: object, values: Mapping[str, Any]) -> list[Any]:
    """A list, or the one that is among the values under that name."""
    chosen = values.get(choices) if isinstance(choices, str) else choices
    if not isinstance(chosen, list):
        raise InputError(
            where,
            expected="a list, or the name of one among the model's values",
            got=repr(choices)[:80],
            remedy=f"Lists there: {', '.join(n for n, v in values.items() if isinstance(v, list)) or 'none'}.",
        )
    return chosen


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
