"""Figures over runs that differ by a number: the budget, or the adapter's rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.reports.page.ink import GROUND, colour, marker
from boxlist.reports.page.labels import label_ends, lay_out, room_for
from boxlist.reports.page.of_runs import WIDTH_IN, ends, value_of
from boxlist.reports.page.sweeps import budget_sweeps, rank_sweeps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from boxlist.reports.page.sweeps import Sweep
    from boxlist.reports.page.views import View

_PANELS = (("f1@0.3", "F1 at IoU 0.3"), ("duplicate_rate", "duplicate rate"), ("max_repeat", "max repeat (copies)"))
_APART = 0.025
"""How far lines stand apart, of the axis, so that no interval hides another."""


def draw_budgets(views: Sequence[View]) -> Figure | None:
    """F1, duplicate rate and max repeat over the budget, a line for each set of other controls."""
    return _draw(budget_sweeps(views), "budget (objects asked for)", doubling=False)


def draw_ranks(views: Sequence[View]) -> Figure | None:
    """The same over the rank of the adapter, which doubles from tick to tick."""
    return _draw(rank_sweeps(views), "rank of the adapter", doubling=True)


def _draw(sweeps: Sequence[Sweep], label: str, *, doubling: bool) -> Figure | None:
    from matplotlib.figure import Figure

    if not sweeps:
        return None
    figure = Figure(figsize=(WIDTH_IN, 2.9))
    names = [sweep.name for sweep in sweeps]
    points = WIDTH_IN * 72
    figure.subplots_adjust(left=34 / points, right=1 - room_for(names) / points, bottom=0.17, top=0.9, wspace=0.3)
    panels = figure.subplots(1, len(_PANELS))
    numbers = sorted({number for sweep in sweeps for number in sweep.numbers})
    for axes, (metric, title) in zip(panels, _PANELS, strict=True):
        step = 0.0 if doubling else _APART * (numbers[-1] - numbers[0])
        lines = [_line(axes, sweep, metric, place, place * step) for place, sweep in enumerate(sweeps)]
        axes.set_title(title)
        if doubling:
            axes.set_xscale("log", base=2)
        axes.set_xticks(numbers, list(map(str, numbers)))
        axes.minorticks_off()
        axes.margins(x=0.1, y=0.1)
        axes.set_ylim(bottom=0)
        if axes is panels[-1]:
            drawn = [(line, place) for place, line in enumerate(lines) if line]
            lay_out(figure)
            label_ends(
                axes,
                [line for line, _ in drawn],
                [names[place] for _, place in drawn],
                [colour(place) for _, place in drawn],
            )
    panels[1].set_xlabel(label)
    return figure


def _line(axes: Axes, sweep: Sweep, metric: str, place: int, shift: float) -> tuple[float, float] | None:
    """Draw a sweep's values and their intervals; the line's end, None where no run has the metric."""
    found = [(n + shift, view.figure(metric)) for n, view in zip(sweep.numbers, sweep.views, strict=True)]
    defined = [(n, figure) for n, figure in found if figure]
    if not defined:
        return None
    ink = colour(place)
    for n, figure in defined:
        axes.plot((n, n), ends(figure), color=ink, linewidth=1.2, alpha=0.55)
    values = [(n, value_of(figure)) for n, figure in defined]
    axes.plot(*zip(*values, strict=True), color=ink, marker=marker(place), markeredgecolor=GROUND)
    return values[-1]
