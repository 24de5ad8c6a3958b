"""The table of the paper: base, adapter and controls on one page, a row a run, with intervals.

Figures come from the `metrics` of `scores.json`; nothing is computed here. An undefined figure is left blank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.metrics.summary import MetricValue

BOX_TARGET = "f1@0.3"
SHAPE_TARGET = "target_shape_valid"


class TableRow(NamedTuple):
    """One run on one task. `target` names the metric of the target column; `stops` says that repeat-stop was on."""

    name: str
    metrics: Mapping[str, MetricValue]
    target: str = BOX_TARGET
    stops: bool = False


Cells: TypeAlias = "list[list[str]]"
"""A table's lines, its head first, the name of each before its figures."""


class TableBlock(NamedTuple):
    """Rows that belong together, under a title."""

    title: str
    rows: Sequence[TableRow]


@dataclass(frozen=True)
class Column:
    """A column: its head, its metric (None: the row's own target), decimals, and whether the interval is shown."""

    head: str
    metric: str | None
    decimals: int = 3
    interval: bool = False
    stop_only: bool = False

    def cell(self, row: TableRow) -> str:
        if self.stop_only and not row.stops:
            return ""
        figure = row.metrics.get(self.metric or row.target)
        if figure is None or figure["value"] is None:
            return ""
        text = f"{figure['value']:.{self.decimals}f}"
        low, high = figure["ci_low"], figure["ci_high"]
        if self.interval and low is not None and high is not None:
            text += f" [{low:.{self.decimals}f}, {high:.{self.decimals}f}]"
        return text


COLUMNS = (
    Column("parse-valid", "parse_valid"),
    Column("pred/img", "predictions_per_image"),
    Column("F1@0.3 or shape [95%]", None, interval=True),
    Column("F1@0.5", "f1@0.5"),
    Column("dup. rate", "duplicate_rate"),
    Column("max repeat", "max_repeat", decimals=0),
    Column("trigger", "trigger_rate", stop_only=True),
)
_OF_STUDIES = (
    COLUMNS[0],
    COLUMNS[1],
    COLUMNS[2],
    Column("F1@0.5 [95%]", "f1@0.5", interval=True),
    Column("mean max IoU", "mean_max_iou"),
    Column("recall@0.3", "recall@0.3"),
    Column("recall@0.5", "recall@0.5"),
    Column("dup. rate [95%]", "duplicate_rate", interval=True),
    Column("near copies", "near_duplicate_rate"),
    COLUMNS[5],
    COLUMNS[6],
    Column("prefix's TP@0.3", "separability_prefix@0.3"),
    Column("prefix's TP@0.5", "separability_prefix@0.5"),
    Column("tail's F1@0.3", "separability_tail_f1@0.3"),
    Column("tail's F1@0.5", "separability_tail_f1@0.5"),
    Column("count exact [95%]", "count_exact", interval=True),
    Column("relation right [95%]", "spatial_accuracy", interval=True),
    Column("TP lost [95%]", "tp_lost@0.3", interval=True),
    Column("tokens saved", "tokens_saved"),
    Column("truth triggers", "truth_trigger_rate"),
)
STUDY_COLUMNS: dict[str, Column] = {column.metric or "target": column for column in _OF_STUDIES}
"""The columns that a study may choose, by metric; `target` is each row's own."""

LEGEND = (
    "Target column: F1@0.3 for box rows, target-shape validity for the others; in brackets the 95% interval from "
    "1,000 resamples of the images. Trigger: share of answers that repeat-stop ended."
)


def to_markdown(blocks: Sequence[TableBlock], columns: Sequence[Column] = COLUMNS) -> str:
    """The blocks as Markdown tables, each under its title.

    >>> print(to_markdown([TableBlock("T", [TableRow("base", {})])]).splitlines()[0])
    **T**
    """
    return "\n\n".join(markdown_table(block.title, _cells(block, columns)) for block in blocks)


def markdown_table(title: str, cells: Cells) -> str:
    """One table under its title."""
    lines = [f"| {' | '.join(line)} |" for line in cells]
    lines.insert(1, f"|{'---|' * len(cells[0])}")
    return f"**{title}**\n\n" + "\n".join(lines)


def to_terminal(blocks: Sequence[TableBlock], columns: Sequence[Column] = COLUMNS) -> str:
    """The blocks as text, with one set of column widths for all of them."""
    return terminal_tables([(block.title, _cells(block, columns)) for block in blocks])


def terminal_tables(tables: Sequence[tuple[str, Cells]]) -> str:
    """Tables of as many columns each, under their titles, with one set of column widths."""
    if not tables:
        return ""
    widths = [max(map(len, column)) for column in zip(*(line for _, cells in tables for line in cells), strict=True)]
    parts = []
    for title, cells in tables:
        lines = ["  ".join(_aligned(line, widths)).rstrip() for line in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        parts.append(f"{title}\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _cells(block: TableBlock, columns: Sequence[Column]) -> Cells:
    head = ["row", *(column.head for column in columns)]
    return [head, *([row.name, *(column.cell(row) for column in columns)] for row in block.rows)]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The name to the left, figures to the right."""
    name, *figures = (
        cell.ljust(width) if index == 0 else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return [name, *figures]
