"""`boxlist demo`: the whole story on the pocket models. Rows are data: a recipe and the runs made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.recipe import load_recipe
from boxlist.controls.table import parse_controls
from boxlist.reports.control_table import LEGEND, SHAPE_TARGET, TableBlock, TableRow, to_markdown, to_terminal
from boxlist.reports.findings import ControlRows, findings
from boxlist.runs.engine import run
from boxlist.runs.request import RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from boxlist.metrics.summary import MetricValue

DENSE, INVENTORY, SPATIAL = "boxlist_dense_bbox_shapes", "boxlist_inventory_shapes", "boxlist_spatial_count_shapes"
NON_BOX = {INVENTORY: "inventory", SPATIAL: "spatial and count"}
_BATCH_SIZE = 16


class DemoRun(NamedTuple):
    """One run: its row in the table, the words of `--controls`, its tasks, and whether the adapter is on."""

    row: str
    controls: str = ""
    tasks: tuple[str, ...] = (DENSE,)
    adapted: bool = True


@dataclass(frozen=True)
class Regime:
    """One adapter and its runs. `key` is in the names of its folders; base, raw, budget and stopped must be there.

    `family` names the base and its protocol; regimes that share it share their sentences, the first of them leading.
    """

    key: str
    family: str
    title: str
    recipe: str
    runs: Mapping[str, DemoRun]

    @property
    def heading(self) -> str:
        return f"{self.family}: {self.title}"

    def folder(self, name: str) -> str:
        return f"{self.key}-{name}" if self.key else name


BOX_RUNS = {
    "base": DemoRun("base", adapted=False),
    "raw": DemoRun("raw adapter"),
    "penalty": DemoRun("+ penalty 1.05", "repetition_penalty=1.05"),
    "budget": DemoRun("budget 8", "budget=8"),
    "stopped": DemoRun("budget 8 + repeat-stop", "budget=8,repeat_stop"),
}
ALL_PROBES = (DENSE, INVENTORY, SPATIAL)
PROBE_RUNS = {
    **BOX_RUNS,
    "base": DemoRun("base", tasks=ALL_PROBES, adapted=False),
    "raw": DemoRun("raw adapter", tasks=ALL_PROBES),
}
QWEN3VL, GEMMA4 = "Qwen3-VL, norm1000_xyxy", "Gemma 4 unified, pixel_xyxy"
READING, RANDOM = "q/k/v/o rank 32, lists in reading order", "q/k/v/o rank 32, lists in random order"
REGIMES = (
    Regime("", QWEN3VL, READING, recipe="pocket_shapes_qkvo_r32", runs=PROBE_RUNS),
    Regime("repeats", QWEN3VL, RANDOM, recipe="pocket_shapes_random_qkvo_r32", runs=BOX_RUNS),
    Regime("gemma4", GEMMA4, READING, recipe="pocket_gemma4_shapes_qkvo_r32", runs=PROBE_RUNS),
)


class DemoResult(NamedTuple):
    """The table of a demo and what it shows."""

    blocks: Sequence[TableBlock]
    sentences: str
    out: Path

    def text(self) -> str:
        """For a terminal."""
        return f"\n{to_terminal(self.blocks)}\n\n{LEGEND}\n\n{self.sentences}\n\nRuns, adapters and table: {self.out}"

    def markdown(self) -> str:
        return f"{to_markdown(self.blocks)}\n\n{LEGEND}\n\n{self.sentences}\n"

    def to_json(self) -> dict[str, Any]:
        rows = [
            {"block": block.title, "row": row.name, "metrics": dict(row.metrics)}
            for block in self.blocks
            for row in block.rows
        ]
        return {"out": str(self.out), "rows": rows, "sentences": self.sentences}


def demo(
    out: Path,
    *,
    regimes: Sequence[Regime] = REGIMES,
    limit: int | None = None,
    fresh: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> DemoResult:
    """Train what is not trained, run what is not run, and make one table; everything lands under `out`.

    All of it continues where it stopped: trainings from their checkpoints, runs from their answers. `fresh` keeps the
    adapters and deletes the answers. Raises `InputError` when what lies there was made from something else.
    """
    asked = _Asked(out, limit, fresh, say)
    scored = [_run_regime(regime, asked) for regime in regimes]
    blocks = [_block(regime, scores) for regime, scores in zip(regimes, scored, strict=True)]
    result = DemoResult(blocks, _sentences(regimes, scored), out)
    (out / "table.md").write_text(result.markdown(), encoding="utf-8")
    return result


Scores = dict[str, dict[str, Any]]
"""The tasks of `scores.json`, by the key of the run."""


class _Asked(NamedTuple):
    """What the caller of `demo` asked for, as every run needs it."""

    out: Path
    limit: int | None
    fresh: bool
    say: Callable[[str], None]


def _run_regime(regime: Regime, asked: _Asked) -> Scores:
    adapter = asked.out / regime.folder("adapter")
    asked.say(f"{adapter}: {regime.recipe}")
    recipe = load_recipe(regime.recipe)
    train_if_needed(regime.recipe, adapter)
    scores: Scores = {}
    for name, row in regime.runs.items():
        model_args = {"pretrained": recipe.base_location, "protocol": recipe.protocol}
        request = RunRequest(
            tasks=row.tasks,
            name=regime.folder(name),
            model_args={**model_args, "adapter": str(adapter)} if row.adapted else model_args,
            controls=parse_controls(row.controls),
            out=asked.out,
            limit=asked.limit,
            batch_size=_BATCH_SIZE,
            fresh=asked.fresh,
        )
        scores[name] = dict(run(request, asked.say).scores["tasks"])
    return scores


def train_if_needed(recipe: str, folder: Path) -> None:
    """Train an adapter, go on with its training, or keep it as it is."""
    from boxlist.adapters_training.train import train

    train(recipe, folder, resume=True)


def _block(regime: Regime, scores: Scores) -> TableBlock:
    """Box rows first, then what base and adapter do with the probes that ask for no boxes."""
    boxes = [
        TableRow(row.row, scores[name][DENSE]["metrics"], stops="repeat_stop" in row.controls)
        for name, row in regime.runs.items()
    ]
    others = [
        TableRow(f"{row.row}: {title}", scores[name][task]["metrics"], target=SHAPE_TARGET)
        for task, title in NON_BOX.items()
        for name, row in regime.runs.items()
        if task in scores[name]
    ]
    return TableBlock(regime.heading, [*boxes, *others])


def _sentences(regimes: Sequence[Regime], scored: Sequence[Scores]) -> str:
    """A paragraph a family: a base's figures are compared with those of its own adapters only."""
    families: dict[str, list[ControlRows]] = {}
    for regime, scores in zip(regimes, scored, strict=True):
        families.setdefault(regime.family, []).append(_control_rows(regime, scores))
    return "\n\n".join(f"{family}. {findings(rows)}" for family, rows in families.items())


def _control_rows(regime: Regime, scores: Scores) -> ControlRows:
    def metrics(name: str) -> Mapping[str, MetricValue]:
        found: Mapping[str, MetricValue] = scores[name][DENSE]["metrics"]
        return found

    shapes = {
        title: (
            scores["base"][task]["metrics"][SHAPE_TARGET]["value"],
            scores["raw"][task]["metrics"][SHAPE_TARGET]["value"],
        )
        for task, title in NON_BOX.items()
        if task in scores["base"] and task in scores["raw"]
    }
    return ControlRows(regime.title, metrics("base"), metrics("raw"), metrics("budget"), metrics("stopped"), shapes)
