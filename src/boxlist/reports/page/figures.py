"""The figures of a report, one row each: what it shows, what runs it needs, and how it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.reports.page.ink import charts, to_svg
from boxlist.reports.page.of_answers import draw_places, draw_repeats, draw_thresholds
from boxlist.reports.page.of_counts import draw_objects
from boxlist.reports.page.of_runs import draw_intervals, draw_separability, draw_surface
from boxlist.reports.page.of_sweeps import draw_budgets, draw_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure

    from boxlist.reports.page.views import View

MAX_RUNS = 12
"""More than these in one figure cannot be told apart."""


class FigureRow(NamedTuple):
    """A figure: its heading, what it says, which runs would give it, how it is drawn, whether it shows fates."""

    name: str
    title: str
    says: str
    needs: str
    draw: Callable[[Sequence[View]], Figure | None]
    shows_fates: bool = False


class Chart(NamedTuple):
    """A drawn figure, for the page."""

    row: FigureRow
    svg: Markup


FIGURES = (
    FigureRow(
        "surface",
        "Control surface",
        "Each point is a run, with the 95% intervals of both figures. Up is better localisation, left less repetition.",
        "runs of a box probe",
        draw_surface,
    ),
    FigureRow(
        "budget",
        "Budget",
        "Runs that differ by their budget only, with 95% intervals.",
        "runs of one model with --controls budget=N for two or more N, and with budget=N,repeat_stop beside them",
        draw_budgets,
    ),
    FigureRow(
        "rank",
        "Rank of the adapter",
        "Runs whose adapters differ by their rank only, with 95% intervals.",
        "runs of two or more adapters of different rank with the same modules, whose folders are still there unchanged",
        draw_ranks,
    ),
    FigureRow(
        "separability",
        "Separability",
        "What the records before the first exact repeat find, and what the repeated tail would find alone.",
        "a run whose answers repeat a record",
        draw_separability,
    ),
    FigureRow(
        "intervals",
        "Intervals",
        "Every figure with its 95% interval from resamples of the images; the arrow points to what is better.",
        "runs of any probe",
        draw_intervals,
    ),
    FigureRow(
        "objects",
        "Number of objects",
        "The pictures sorted into bins by how many objects they have, each bin with its own 95% intervals.",
        "runs of a box probe whose pictures differ in how many objects they have",
        draw_objects,
    ),
    FigureRow(
        "thresholds",
        "F1 against the IoU threshold",
        "How exact the boxes are: a line that falls early is of boxes that only roughly fit.",
        "runs of a box probe with their answers",
        draw_thresholds,
    ),
    FigureRow(
        "places",
        "Records by their place in the answer",
        "Of all answers, how many have a first, second, third record, and what becomes of it.",
        "runs of a box probe with their answers",
        draw_places,
        shows_fates=True,
    ),
    FigureRow(
        "repeats",
        "Repeats",
        "How often the most repeated record of an answer is there.",
        "runs of a probe whose answers are lists",
        draw_repeats,
    ),
)


def draw_all(views: Sequence[View], prefix: str) -> list[Chart]:
    """The figures that these views have the data for. `prefix` is the group's own on the page."""
    with charts():
        drawn = [(row, row.draw(views[:MAX_RUNS])) for row in FIGURES]
        return [
            Chart(row, to_svg(figure, f"{prefix}-{row.name}", f"{row.title}. {row.says}"))
            for row, figure in drawn
            if figure is not None
        ]
