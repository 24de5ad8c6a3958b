"""Rows of a study with their figures: of one run each, or of one run a seed, and beside the first row of the block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.reports.control_table import TableRow
from boxlist.studies.grid import watches_list
from boxlist.studies.paper import paper_row
from boxlist.studies.seeds import SeedFigures, over_seeds, row_differences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.metrics.summary import MetricValue, TaskScores
    from boxlist.studies.grid import Asked, Grid, GridBlock, GridRow


class FilledRow(NamedTuple):
    """A row of the grid with its figures, the paper's row for it, if there is one, and what a second table says."""

    row: GridRow
    metrics: Mapping[str, MetricValue]
    paper: TableRow | None
    beside: SeedFigures


def filled_rows(
    grid: Grid,
    block: GridBlock,
    scores: Mapping[Asked, TaskScores],
    figures: Mapping[Asked, Mapping[str, MetricValue]],
) -> list[FilledRow]:
    """The rows of a block, each from its run, or from those of all seeds, and beside the first."""
    filled = []
    for row in block.rows:
        of_runs = [scores[asked] for asked in row.runs]
        metrics = over_seeds(of_runs) if row.seeds else figures[row.asked]
        differences = {}
        if block.differences and row is not block.rows[0]:
            first = [scores[asked] for asked in block.rows[0].runs]
            differences = row_differences(first, of_runs, block.differences)
        beside = SeedFigures([figures[asked] for asked in row.runs], differences)
        paper = paper_row(grid.study.name, grid.model.name, block.title, row, stops=watches_list(row.asked))
        filled.append(FilledRow(row, metrics, paper, beside))
    return filled


def table_rows(filled: FilledRow) -> list[TableRow]:
    ours = TableRow(filled.row.name, filled.metrics, target=filled.row.target, stops=watches_list(filled.row.asked))
    return [ours] if filled.paper is None else [ours, filled.paper]
