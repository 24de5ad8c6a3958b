"""`--where 'parse_valid>=0.9'`: which runs a leaderboard shows."""

from __future__ import annotations

import operator
import re
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.table import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boxlist.metrics.summary import MetricValue

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}
_CONDITION = re.compile(
    r"\s*([^\s<>=!]+)\s*(>=|<=|==|!=|>|<|=)\s*([+-]?\d{1,12}(?:\.\d{1,12})?|\.\d{1,12})\s*", re.ASCII
)


class Condition(NamedTuple):
    """One comparison of a metric with a number."""

    metric: str
    comparison: str
    bound: float

    def holds(self, figures: Mapping[str, MetricValue]) -> bool:
        """Whether a run passes; one whose figure is undefined, or absent, does not."""
        figure = figures.get(self.metric)
        value = figure["value"] if figure else None
        return value is not None and _COMPARISONS[self.comparison](value, self.bound)

    def __str__(self) -> str:
        return f"{self.metric}{self.comparison}{self.bound:g}"


def read_condition(text: str) -> Condition:
    """Read one condition. Raises `InputError`.

    >>> read_condition("parse_valid >= 0.9")
    Condition(metric='parse_valid', comparison='>=', bound=0.9)
    """
    match = _CONDITION.fullmatch(text[:200])
    if match is None:
        raise InputError(
            f"--where {text[:80]!r}",
            expected=f"METRIC, one of {' '.join(_COMPARISONS)}, and a number",
            got="something else",
            remedy="Write it in quotes: --where 'parse_valid>=0.9'",
        )
    metric, comparison, bound = match.groups()
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    return Condition(metric, "==" if comparison == "=" else comparison, float(bound))
