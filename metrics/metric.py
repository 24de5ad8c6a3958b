"""What a metric is: a row of a table.

A metric is the sum of its numerator's columns over images, divided by the sum of its denominator's; F1 names its
true positives twice. With no denominator it is the mean over the images where the numerator is defined. So one
bootstrap of the images serves all of them. A median or a standard deviation over images is resampled alike (`spread`);
`max_repeat` alone is a maximum, and has no interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PAPER = "arXiv 2606.14507"


@dataclass(frozen=True)
class Metric:
    """One metric: what it divides by what, and what it says.

    `numerator` and `denominator` name columns of the per-image rows, to be added up. `needs` names the column of
    which an image must have some to count into n; by default that is the denominator. `is_rate` says that an image's
    value lies between 0 and 1, so that a figure of exactly 0 or 1 gets a Wilson interval.
    """

    name: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]
    higher_is_better: bool | None
    unit: str
    source: str
    definition: str
    needs: tuple[str, ...] = ()
    is_rate: bool = False
    over_images: Literal["ratio", "maximum", "median", "deviation"] = "ratio"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the metric reads."""
        return (*self.numerator, *self.denominator, *self.needs)

    @property
    def is_mean(self) -> bool:
        """Whether it is a mean over images, rather than a ratio of pooled counts."""
        return self.over_images == "ratio" and not self.denominator


def pooled(
    name: str,
    numerator: str,
    denominator: str,
    source: str,
    definition: str,
    *,
    needs: str = "",
    better: bool | None = True,
) -> Metric:
    columns = (tuple(numerator.split()), tuple(denominator.split()))
    return Metric(name, *columns, better, "share", source, definition, needs=tuple(needs.split()))


def rate(name: str, numerator: str, source: str, definition: str, *, better: bool | None) -> Metric:
    return Metric(name, (numerator,), (), better, "share", source, definition, is_rate=True)
