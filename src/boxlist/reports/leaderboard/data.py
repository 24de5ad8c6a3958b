"""A leaderboard for programs: CSV, a line a run, and JSON, with everything that the other forms show."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from boxlist.metrics.intervals import RESAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.reports.leaderboard.tables import Row, Table

SCHEMA = 1
_FORMULA_STARTS = tuple("=+-@\t\r")


def to_csv(tables: Sequence[Table]) -> str:
    """One line a run, for all tables; empty where undefined. Texts that a spreadsheet would compute get a `'`."""
    metrics = tuple(dict.fromkeys(name for table in tables for name in table.columns))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            *("table", "set_apart", "task", "images", "sort", "rank", "rank_low", "rank_high", "run", "path", "base"),
            *("adapter", "controls", "p_vs_best", "distinguishable_from_best"),
            *(f"{name}{ending}" for name in metrics for ending in ("", "_low", "_high")),
        ]
    )
    for number, table in enumerate(tables, start=1):
        for row in table.rows:
            writer.writerow([_safe(value) for value in _csv_row(number, table, row, metrics)])
    return out.getvalue().rstrip("\n")


def to_json(tables: Sequence[Table], problems: Sequence[str], seed: int) -> str:
    """The tables, and what could not be read."""
    data = {
        "schema": SCHEMA,
        "seed": seed,
        "resamples": RESAMPLES,
        "tables": [_json_table(table) for table in tables],
        "left_out": list(problems),
    }
    return json.dumps(data, indent=1, allow_nan=False)


def _csv_row(number: int, table: Table, row: Row, metrics: Sequence[str]) -> list[Any]:
    entry, standing = row.entry, row.standing
    figures: list[Any] = []
    for name in metrics:
        figure = entry.figures.get(name)
        figures += (figure["value"], figure["ci_low"], figure["ci_high"]) if figure else (None, None, None)
    return [
        *(number, table.apart, entry.task_name, table.n_images, table.sort),
        *(standing.rank, standing.rank_low, standing.rank_high),
        *(entry.name, entry.path, entry.base, entry.adapter, entry.controls),
        *(standing.p, standing.is_different, *figures),
    ]


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _json_table(table: Table) -> dict[str, Any]:
    return {
        "task": table.task,
        "set_apart": table.apart,
        "images": table.n_images,
        "few_images": table.few_images,
        "sort": table.sort,
        "terms": asdict(table.terms),
        "mixed": list(table.mixed),
        "comparisons": table.comparisons,
        "permutations": table.permutations if table.comparisons else None,
        "rows": [_json_row(table, row) for row in table.rows],
    }


def _json_row(table: Table, row: Row) -> dict[str, Any]:
    entry, standing = row.entry, row.standing
    return {
        "run": entry.name,
        "path": entry.path,
        "base": entry.base or None,
        "adapter": entry.adapter or None,
        "controls": entry.controls or None,
        "rank": standing.rank,
        "rank_low": standing.rank_low,
        "rank_high": standing.rank_high,
        "p_vs_best": standing.p,
        "distinguishable_from_best": standing.is_different,
        "metrics": {name: entry.figures[name] for name in table.columns if name in entry.figures},
    }
