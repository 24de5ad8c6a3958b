"""A table as texts, for the terminal, Markdown and the page alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.metrics.intervals import FEW_IMAGES, RESAMPLES
from boxlist.metrics.table import METRICS
from boxlist.reports.leaderboard.tables import term_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boxlist.metrics.summary import MetricValue
    from boxlist.reports.leaderboard.tables import Row, Table

LIKE_THE_BEST = "~"


class Cell(NamedTuple):
    """A text, and the number that it is sorted by; None where there is none."""

    text: str
    number: float | None = None


class TextTable(NamedTuple):
    """Heads, whether each column is of numbers, and the groups: the base (None: not grouped) and its rows."""

    heads: list[str]
    numeric: list[bool]
    groups: list[tuple[str | None, list[list[Cell]]]]


def text_table(table: Table) -> TextTable:
    """The table's cells. A column of texts that says nothing (no adapter, no control anywhere) is left out."""
    columns: dict[str, tuple[bool, Callable[[Row], Cell]]] = {"rank [95%]": (True, _rank), "run": (False, _name)}
    rows = table.rows
    if any(group.base is None for group in table.groups) and any(row.entry.base for row in rows):
        columns["base"] = (False, lambda row: Cell(row.entry.base))
    if any(row.entry.adapter for row in rows):
        columns["adapter"] = (False, lambda row: Cell(row.entry.adapter))
    if any(row.entry.controls not in {"", "raw"} for row in rows):
        columns["controls"] = (False, lambda row: Cell(row.entry.controls))
    for metric in table.columns:
        with_interval = metric == table.sort and METRICS[metric].over_images != "maximum"
        head = f"{metric} [95%]" if with_interval else metric
        columns[head] = (True, _figure_cell(metric, with_interval=with_interval))
        if metric == table.sort and table.comparisons:
            columns["p vs best"] = (True, _p)
    return TextTable(
        heads=list(columns),
        numeric=[numeric for numeric, _ in columns.values()],
        groups=[
            (group.base, [[cell(row) for _, cell in columns.values()] for row in group.rows]) for group in table.groups
        ],
    )


def title(table: Table) -> str:
    """What the table is about, in one line."""
    n = len(table.rows)
    few = f" (under {FEW_IMAGES}: intervals are too narrow)" if table.few_images else ""
    return f"{table.task}: {n} run{'s' * (n != 1)}, {table.n_images} images{few}, by {table.sort}"


def terms(table: Table) -> str:
    """What all rows share, and what the user allowed to differ."""
    shared = {
        "protocol": table.terms.protocol,
        "prompt": table.terms.prompt,
        "ground truth": table.terms.images,
        "definitions": table.terms.definitions,
    }
    same = ", ".join(f"{name} {term_text(term)}" for name, term in shared.items() if name not in table.mixed)
    return f"{same}; mixed, as asked: {', '.join(table.mixed)}" if table.mixed else same


def legend(table: Table) -> str:
    """How ranks and p are to be read; empty where there are none."""
    if METRICS[table.sort].higher_is_better is None:
        return f"{table.sort} has no better end: from high to low, without ranks."
    if METRICS[table.sort].over_images != "ratio":
        return f"{table.sort} is a {METRICS[table.sort].over_images}: ranks without intervals."
    said = f"Ranks: 95% interval from {RESAMPLES:,} resamples of the images, the same for all runs."
    if table.comparisons:
        said += (
            f" p: against the best, paired swap permutation ({table.permutations:,}), Holm-adjusted over "
            f"{table.comparisons} comparison{'s' * (table.comparisons != 1)}, "
            f"so never under {table.comparisons / (table.permutations + 1):.2g}; "
            f"{LIKE_THE_BEST} not distinguishable from the best at 5%."
        )
    return said


def figure_text(metric: str, figure: MetricValue | None, *, with_interval: bool = False) -> str:
    """A figure, with its interval if wanted; empty where it is undefined."""
    if figure is None or figure["value"] is None:
        return ""
    decimals = 0 if METRICS[metric].over_images == "maximum" else 3
    text = f"{figure['value']:.{decimals}f}"
    if with_interval and figure["ci_low"] is not None and figure["ci_high"] is not None:
        text += f" [{figure['ci_low']:.{decimals}f}, {figure['ci_high']:.{decimals}f}]"
    return text


def p_text(row: Row) -> str:
    """`best`, or p with `~` before it where the run cannot be told from the best."""
    p = row.standing.p
    if p is None:
        return "best" if row.is_best else ""
    text = "<0.001" if p < 0.001 else f"{p:.3f}"
    return text if row.standing.is_different else f"{LIKE_THE_BEST} {text}"


def value_of(figures: Mapping[str, MetricValue], metric: str) -> float | None:
    figure = figures.get(metric)
    return figure["value"] if figure else None


def _rank(row: Row) -> Cell:
    standing = row.standing
    if standing.rank is None:
        return Cell("")
    text = str(standing.rank)
    if standing.rank_low is not None:
        text += f" [{standing.rank_low}, {standing.rank_high}]"
    return Cell(text, standing.rank)


def _name(row: Row) -> Cell:
    return Cell(row.entry.name)


def _p(row: Row) -> Cell:
    return Cell(p_text(row), 1.0 if row.is_best else row.standing.p)


def _figure_cell(metric: str, *, with_interval: bool) -> Callable[[Row], Cell]:
    return lambda row: Cell(
        figure_text(metric, row.entry.figures.get(metric), with_interval=with_interval),
        value_of(row.entry.figures, metric),
    )
