"""Do a study: train what is not trained, run what is not run, and make one table of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.controls.table import Controls
from boxlist.metrics.intervals import FEW_IMAGES
from boxlist.protocols import protocol_named
from boxlist.reports.control_table import (
    LEGEND,
    STUDY_COLUMNS,
    Column,
    TableBlock,
    markdown_table,
    terminal_tables,
    to_markdown,
    to_terminal,
)
from boxlist.runs.engine import run
from boxlist.runs.inputs import SPLIT
from boxlist.runs.replay import replay
from boxlist.studies.agreement import Agreement, compare_with_replay
from boxlist.studies.filled import FilledRow, filled_rows, table_rows
from boxlist.studies.grid import unwatched, watches_list
from boxlist.studies.paper import paper_note
from boxlist.studies.pool import recipe_of
from boxlist.studies.seeds import DIFFERENCES, difference_table, seed_note
from boxlist.studies.trade import TRADE_COLUMNS, trade
from boxlist.tasks.datasets.catalog import data_root, dataset_folder, dataset_named
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from boxlist.metrics.summary import MetricValue, TaskScores
    from boxlist.reports.control_table import Cells
    from boxlist.runs.engine import RunResult
    from boxlist.studies.grid import Asked, Grid
    from boxlist.studies.pool import Pool

FEW = f"Under {FEW_IMAGES} images, as in some rows here, intervals are narrower than they should be."
FORMATS = "Every row names its format where it is not the model's own, {own}; one is better only among all rows here."
NO_EVIDENCE = "Pocket models are trained here from scratch; their figures are no evidence for those of large models."


@dataclass(frozen=True)
class StudyResult:
    """The table of a study."""

    grid: Grid
    pool: Pool
    blocks: Sequence[tuple[str, Sequence[FilledRow]]]
    agreements: Sequence[Agreement]

    def text(self) -> str:
        """For a terminal."""
        study = self.grid.study
        tables = [to_terminal(self._table(), self._columns()), *(terminal_tables([one]) for one in self._differences())]
        head = f"{study.title}: {self.grid.model.name}\n{study.asks}".strip()
        return "\n\n".join([head, *tables, LEGEND, *self.notes(), *self.reservations()])

    def tables(self) -> str:
        """For `markdown_page`."""
        tables = [to_markdown(self._table(), self._columns()), *(markdown_table(*one) for one in self._differences())]
        return "\n\n".join(tables)

    def _columns(self) -> list[Column]:
        return [STUDY_COLUMNS[name] for name in self.grid.study.columns]

    def to_json(self) -> dict[str, Any]:
        rows = [
            {
                "block": title,
                "row": filled.row.name,
                "adapter": filled.row.asked.adapter,
                "task": filled.row.asked.task,
                "controls": filled.row.asked.controls.name,
                "protocol": protocol_named(filled.row.asked.protocol or self.grid.model.protocol).name,
                "run": str(self.pool.folder(filled.row.asked)),
                "target": filled.row.target,
                "metrics": dict(filled.metrics),
                "seeds": self._seeds(filled),
                "differences": {name: one._asdict() for name, one in filled.beside.differences.items()},
                "paper": None if filled.paper is None else dict(filled.paper.metrics),
            }
            for title, rows in self.blocks
            for filled in rows
        ]
        agreements = [{**item._asdict(), "differing": list(item.differing)} for item in self.agreements]
        return {"study": self.grid.study.name, "model": self.grid.model.name, "rows": rows, "agreements": agreements}

    def _seeds(self, filled: FilledRow) -> list[dict[str, Any]]:
        return [
            {
                "seed": run.seed,
                "adapter": run.asked.adapter,
                "run": str(self.pool.folder(run.asked)),
                "metrics": dict(metrics),
            }
            for run, metrics in zip(filled.row.seeds, filled.beside.by_seed, strict=False)
        ]

    def _differences(self) -> list[tuple[str, Cells]]:
        """The second tables, of blocks that ask for differences, with their titles."""
        tables = []
        for block, (title, rows) in zip(self.grid.blocks, self.blocks, strict=True):
            if block.differences:
                named = [(filled.row.name, filled.beside) for filled in rows]
                tables.append((f"{title}: beside {rows[0].row.name}", difference_table(named, block.differences)))
        return tables

    def _table(self) -> list[TableBlock]:
        return [
            TableBlock(title, [each for filled in rows for each in table_rows(filled)]) for title, rows in self.blocks
        ]

    def notes(self) -> list[str]:
        """What is said of this model's figures."""
        agreed = "\n".join(agreement.text() for agreement in self.agreements)
        model = self.grid.model
        other_data = _other_data(model.replaced) if any(filled.paper for filled in self._filled()) else None
        several = any(filled.row.asked.protocol for filled in self._filled())
        formats = FORMATS.format(own=protocol_named(model.protocol).name) if several else None
        seeds = seed_note(self.grid.rows)
        differences = DIFFERENCES if any(block.differences for block in self.grid.blocks) else None
        notes = (agreed, paper_note(self.grid.study.name, model.name), other_data, formats, seeds, differences)
        return [text for text in notes if text]

    def reservations(self) -> list[str]:
        """What is said of figures of this kind, whichever model's they are."""
        few = any(filled.metrics[filled.row.target]["few_images"] for filled in self._filled())
        return [text for text, holds in ((FEW, few), (NO_EVIDENCE, self.grid.model.is_pocket)) if holds]

    def _filled(self) -> list[FilledRow]:
        return [filled for _, rows in self.blocks for filled in rows]


def markdown_page(results: Sequence[StudyResult], command: str) -> str:
    """One study for docs/studies, a section a model where there are several; `command` is the one that made it."""
    study = results[0].grid.study
    models = [result.grid.model for result in results]
    parts = [f"# {study.title}: {', '.join(model.name for model in models)}", study.asks, f"    {command}"]
    for number, (result, model) in enumerate(zip(results, models, strict=True)):
        if len(results) > 1:
            parts.append(f"## {model.name}: {model.pretrained}, {model.protocol}")
        parts += [result.tables(), LEGEND if number == 0 else "", *result.notes()]
    reservations = dict.fromkeys(text for result in results for text in result.reservations())
    return "\n\n".join(part for part in [*parts, *reservations] if part) + "\n"


def do_study(grid: Grid, pool: Pool, *, replayed: bool, say: Callable[[str], None]) -> StudyResult:
    """Everything that the table needs and the pool lacks.

    With `replayed`, rows with repeat-stop and the like come from raw answers. All of it continues where it stopped.
    Raises `InputError` when what lies there was made from something else, and first of all for data that you must get.
    """
    for name in _sets_from_elsewhere(grid):
        dataset_folder(name, SPLIT)
    for role, source in grid.adapters.items():
        if source.path is None:
            say(f"adapter {role}: {source.recipe}")
            train_if_needed(pool, role)
    steps = _steps(grid, replayed=replayed)
    scores = {}
    for number, step in enumerate(steps, start=1):
        say(f"{'replay' if step.is_replay else 'run'} {number} of {len(steps)}: {_name(step.asked)}")
        scores[step.asked] = _scores(pool, step, say)
    figures = {asked: dict(found["metrics"]) for asked, found in scores.items()}
    if not TRADE_COLUMNS.isdisjoint(grid.study.columns):
        figures = {asked: {**found, **_trade(pool, asked, replayed=replayed)} for asked, found in figures.items()}
    blocks = [(block.title, filled_rows(grid, block, scores, figures)) for block in grid.blocks]
    return StudyResult(grid, pool, blocks, _agreements(grid, pool))


def plan_text(grid: Grid, pool: Pool, *, replayed: bool) -> str:
    """What would be trained and run, a line each; loads no model and builds no data."""
    lines = [f"{grid.study.title}: {grid.model.name} ({grid.model.pretrained})"]
    for name in _sets_from_elsewhere(grid):
        place = data_root() / dataset_named(name).folder_name
        done = "there" if place.is_dir() else f"to do: boxlist data build {name} --from DIR"
        lines.append(f"data     {name}  {done}")
    for role, source in grid.adapters.items():
        if source.path is not None:
            lines.append(f"adapter  {source.path}  yours")
            continue
        recipe_of(source)
        folder = pool.adapter_folder(role)
        changes = "".join(f" {key}={value}" for key, value in source.changes.items())
        lines.append(f"train    {source.recipe}{changes}  {'there' if folder.exists() else 'to do'}  {folder}")
    for asked, is_replay in _steps(grid, replayed=replayed):
        done = "there" if pool.is_complete(asked, replayed=is_replay) else "to do"
        lines.append(f"{'replay' if is_replay else 'run   '}   {done}  {pool.folder(asked, replayed=is_replay)}")
    return "\n".join(lines)


def _sets_from_elsewhere(grid: Grid) -> list[str]:
    """The data sets of the study's tasks that are built from a folder of the user's."""
    names = dict.fromkeys(probe_named(asked.task).dataset for asked in grid.runs)
    return [name for name in names if dataset_named(name).needs is not None]


def train_if_needed(pool: Pool, role: str) -> None:
    """Train the adapter of a role, go on with its training, or keep it as it is."""
    from boxlist.adapters_training.train import train

    train(recipe_of(pool.model.adapters[role]), pool.adapter_folder(role), resume=True)


def _name(asked: Asked) -> str:
    return ", ".join(filter(None, [asked.adapter, asked.task, asked.protocol, asked.controls.name]))


def _other_data(replaced: Mapping[str, str]) -> str | None:
    """What must be said where the paper's figures stand under rows that ask something else."""
    if not replaced:
        return None
    tasks = ", ".join(f"{role}={task}" for role, task in replaced.items())
    return f"Other tasks were asked than the paper's ({tasks}): its figures are no comparison for these rows."


class _Step(NamedTuple):
    """A run to have, or a replay to make of a run that an earlier step has."""

    asked: Asked
    is_replay: bool


def _steps(grid: Grid, *, replayed: bool) -> list[_Step]:
    """Runs without controls on the list first, those that only a replay needs among them; then those with them."""
    stops = [asked for asked in grid.runs if watches_list(asked)]
    plain = [asked for asked in grid.runs if not watches_list(asked)]
    sources = [unwatched(asked) for asked in stops] if replayed else []
    runs = [_Step(asked, is_replay=False) for asked in dict.fromkeys([*plain, *sources])]
    return [*runs, *(_Step(asked, is_replay=replayed) for asked in stops)]


def _scores(pool: Pool, step: _Step, say: Callable[[str], None]) -> TaskScores:
    result = _replay(pool, step.asked) if step.is_replay else run(pool.request(step.asked), say)
    found: TaskScores = result.scores["tasks"][step.asked.task]
    return found


def _trade(pool: Pool, asked: Asked, *, replayed: bool) -> Mapping[str, MetricValue]:
    """Nothing for raw answers themselves, nor where the study has none of them."""
    raw = asked._replace(controls=Controls())
    if asked == raw or not pool.is_complete(raw):
        return {}
    folder = pool.folder(asked, replayed=replayed and watches_list(asked))
    return trade(folder, pool.folder(raw), asked.task, asked.controls)


def _replay(pool: Pool, asked: Asked) -> RunResult:
    target = pool.folder(asked, replayed=True)
    return replay(pool.folder(unwatched(asked)), asked.controls.on_list, target.name, target.parent)


def _agreements(grid: Grid, pool: Pool) -> list[Agreement]:
    """Each live run with repeat-stop against the replay of its source, where both lie in the pool."""
    stops = [asked for asked in grid.runs if watches_list(asked)]
    return [
        compare_with_replay(
            _name(asked),
            pool.folder(asked),
            pool.folder(unwatched(asked)),
            protocol_named(asked.protocol or pool.model.protocol),
            asked.controls.on_list,
        )
        for asked in stops
        if pool.is_complete(asked) and pool.is_complete(unwatched(asked))
    ]
