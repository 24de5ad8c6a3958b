"""Box figures over the number of objects in the picture: how long a list a run can write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxlist.metrics.by_objects import CURVE_METRICS, count_bins, figures_by_objects
from boxlist.metrics.table import METRICS
from boxlist.reports.page.ink import GROUND, INK, colour, marker
from boxlist.reports.page.of_runs import WIDTH_IN, ends, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from boxlist.metrics.by_objects import CountBin
    from boxlist.reports.page.views import View

_ACROSS = 2
_WIDE = 8
"""Numbers of objects that differ by this factor or more stand on a logarithmic axis."""
_APART = 0.03


def draw_objects(views: Sequence[View]) -> Figure | None:
    """Each of `CURVE_METRICS` over the number of objects, a line a run, with the interval of each bin that has one."""
    from matplotlib.figure import Figure

    chosen = [view for view in views if set(CURVE_METRICS) <= set(view.task.metrics)]
    starts = count_bins(np.concatenate([view.task.columns["n_gt"] for view in chosen])) if chosen else []
    if len(starts) < 2:
        return None
    curves = [figures_by_objects(view.task.columns, starts=starts, seed=view.task.seed) for view in chosen]
    figure = Figure(figsize=(WIDTH_IN, 5.6 + 0.4 * max(0, len(chosen) - 8)), layout="constrained")
    panels = list(figure.subplots(-(-(len(CURVE_METRICS) + 1) // _ACROSS), _ACROSS, sharex=True).flat)
    for axes, metric in zip(panels, CURVE_METRICS, strict=False):
        for place, (view, bins) in enumerate(zip(chosen, curves, strict=True)):
            _line(axes, bins, metric, view.number, place)
        _finish(axes, metric, curves)
    _name_runs(panels[len(CURVE_METRICS)], chosen)
    for axes in panels[len(CURVE_METRICS) - _ACROSS : len(CURVE_METRICS)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("objects in the picture")
    return figure


def _line(axes: Axes, bins: Sequence[CountBin], metric: str, number: int, place: int) -> None:
    """A run's values at the bins' mean numbers of objects, a little apart from the other runs'."""
    found = [(each.mean * (1 + _APART * place), each.figures[metric]) for each in bins]
    defined = [(x, figure) for x, figure in found if figure["value"] is not None]
    for x, figure in defined:
        axes.plot((x, x), ends(figure), color=colour(number), linewidth=1.2, alpha=0.55)
    values = [(x, value_of(figure)) for x, figure in defined]
    if values:
        axes.plot(
            *zip(*values, strict=True),
            color=colour(number),
            marker=marker(number),
            markersize=4.5,
            markeredgecolor=GROUND,
            linewidth=1.4,
        )


def _finish(axes: Axes, metric: str, curves: Sequence[Sequence[CountBin]]) -> None:
    low, high = min(bins[0].mean for bins in curves), max(bins[-1].mean for bins in curves)
    if low > 0 and high / low >= _WIDE:
        axes.set_xscale("log")
        ticks = [number for number in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if low <= number <= high]
        axes.set_xticks(ticks, list(map(str, ticks)))
        axes.minorticks_off()
    else:
        axes.locator_params(axis="x", integer=True)
    better = {True: " ↑", False: " ↓", None: ""}[METRICS[metric].higher_is_better]
    axes.set_title(f"{metric}{better}")
    axes.set_ylim(bottom=0, top=1.03 if METRICS[metric].is_rate and axes.get_ylim()[1] > 0.5 else None)


def _name_runs(axes: Axes, views: Sequence[View]) -> None:
    """The runs' names with their colours and markers, in the place of a panel."""
    axes.axis("off")
    lines = [
        axes.plot([], [], color=colour(v.number), marker=marker(v.number), markeredgecolor=GROUND, label=v.label)[0]
        for v in views
    ]
    axes.legend(handles=lines, loc="center", frameon=False, labelcolor=INK, fontsize=8, labelspacing=0.35)
