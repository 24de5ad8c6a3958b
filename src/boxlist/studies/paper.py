"""The paper's own figures, beside ours where the model is the paper's; `_paper.yaml` holds them, row by row."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from boxlist.reports.control_table import TableRow
from boxlist.strict_yaml import read_strict_yaml
from boxlist.studies.study_file import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.metrics.summary import MetricValue
    from boxlist.studies.grid import GridRow

_FILE = SHIPPED / "_paper.yaml"


def paper_row(study: str, model: str, block: str, row: GridRow, *, stops: bool) -> TableRow | None:
    """The paper's row for one of ours, None where it gives no figure; looked up by study, model, block and row."""
    given = _of(study, model).get(block, {}).get(row.name)
    if given is None:
        return None
    metrics = {name: _value(figure) for name, figure in given.items() if name != "at"}
    return TableRow(f"  the paper's: {given['at']}", metrics, target=row.target, stops=stops)


def paper_note(study: str, model: str) -> str | None:
    """What the paper says of the whole table, where it gives no figure for each row."""
    note: str | None = _of(study, model).get("note")
    return note


def _of(study: str, model: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = _figures().get(study, {}).get(model, {})
    return found


@cache
def _figures() -> Mapping[str, Any]:
    return read_strict_yaml(_FILE, "file of figures", see="docs/studies/README.md")


def _value(figure: float | list[float]) -> MetricValue:
    """A figure, or a figure with its interval. The paper gives no n for each, and none is made up: 0."""
    value, low, high = (*figure,) if isinstance(figure, list) else (figure, None, None)
    return {
        "value": float(value),
        "ci_low": low,
        "ci_high": high,
        "n": 0,
        "interval": None if low is None else "percentile",
        "few_images": False,
    }
