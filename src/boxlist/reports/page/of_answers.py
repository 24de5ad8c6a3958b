"""Figures that need every answer, or every image's row: F1 over the threshold, records by their place, repeats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxlist.reports.page.curves import IOU_THRESHOLDS
from boxlist.reports.page.ink import FAINT, FALSE, HIT, REPEAT, colour, marker
from boxlist.reports.page.labels import label_ends, lay_out, room_for
from boxlist.reports.page.of_runs import WIDTH_IN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from boxlist.reports.page.views import View

_PANELS_ACROSS = 3
_MOST_PLACES = 40
_MOST_COPIES = 16


def draw_thresholds(views: Sequence[View]) -> Figure | None:
    """F1 over the IoU from which a match counts."""
    from matplotlib.figure import Figure

    lines = [(view, view.curves.f1) for view in views if view.curves and np.isfinite(view.curves.f1).all()]
    if not lines:
        return None
    names = [view.label for view, _ in lines]
    points = WIDTH_IN * 72
    figure = Figure(figsize=(WIDTH_IN, 3.2))
    figure.subplots_adjust(left=room_for(names) / points, right=1 - 42 / points, bottom=0.16, top=0.97)
    axes = figure.add_subplot()
    for view, f1 in lines:
        axes.plot(IOU_THRESHOLDS, f1, color=colour(view.number), marker=marker(view.number), markersize=4)
    axes.set_xlabel("IoU from which a record counts as a hit")
    axes.set_ylabel("F1")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.spines[["left", "right"]].set_visible(False)
    axes.set_ylim(bottom=0)
    axes.set_xticks(IOU_THRESHOLDS[::2])
    starts = [(float(IOU_THRESHOLDS[0]), float(f1[0])) for _, f1 in lines]
    lay_out(figure)
    label_ends(axes, starts, names, [colour(view.number) for view, _ in lines], side=-1)
    return figure


def draw_places(views: Sequence[View]) -> Figure | None:
    """For each place in the list: the share of answers whose record there is a hit, false, or a repeat."""
    counted = [(view, view.curves) for view in views if view.curves and view.curves.records.any()]
    if not counted:
        return None
    longest = max(int(np.flatnonzero(curves.records)[-1]) + 1 for _, curves in counted)
    shown = min(longest, _MOST_PLACES)
    figure, panels = _grid([view for view, _ in counted], 1.5)
    for axes, (_, curves) in zip(panels, counted, strict=True):
        places = np.arange(1, shown + 1)
        base = np.zeros(shown)
        rest = curves.records - curves.hits - curves.repeats
        for counts, ink in ((curves.hits, HIT), (rest, FALSE), (curves.repeats, REPEAT)):
            share = counts[:shown] / curves.n_images
            axes.bar(places, share, bottom=base, width=0.86, color=ink)
            base += share
        axes.set(ylim=(0, 1.02), xlim=(0.3, shown + 0.7))
        axes.grid(axis="x", visible=False)
        axes.locator_params(axis="x", nbins=6, integer=True)
    more = f" (the first {shown} of {longest})" if longest > shown else ""
    figure.supxlabel(f"place of the record in its answer{more}", fontsize=9, color=FAINT)
    figure.supylabel("share of answers", fontsize=9, color=FAINT)
    return figure


def draw_repeats(views: Sequence[View]) -> Figure | None:
    """How many images have a most repeated record of so many copies; 1 is none repeated, 0 an empty list."""
    counted = [(view, view.task.columns["max_repeat"]) for view in views if "max_repeat" in view.task.columns]
    counted = [(view, column[np.isfinite(column)].astype(np.int64)) for view, column in counted]
    if not any(len(column) for _, column in counted):
        return None
    most = max(int(column.max(initial=1)) for _, column in counted)
    last = min(most, _MOST_COPIES)
    figure, panels = _grid([view for view, _ in counted], 1.35)
    for axes, (view, column) in zip(panels, counted, strict=True):
        images = np.bincount(np.clip(column, 0, last), minlength=last + 1)
        bars = axes.bar(range(last + 1), images, width=0.8, color=colour(view.number))
        axes.bar_label(bars, [str(n) if n else "" for n in images], color=FAINT, fontsize=8, padding=1)
        axes.margins(y=0.16)
        axes.grid(axis="x", visible=False)
        step = max(1, last // 6)
        ticks = [*range(0, last if step == 1 else last - step, step), last]
        axes.set_xticks(ticks, [f"{tick}+" if tick == last < most else str(tick) for tick in ticks])
    figure.supxlabel(
        "copies of the answer's most repeated record (1: nothing repeats, 0: no record)", fontsize=9, color=FAINT
    )
    figure.supylabel("images", fontsize=9, color=FAINT)
    return figure


def _grid(views: Sequence[View], height_in: float) -> tuple[Figure, Iterator[Axes]]:
    """A panel for each view, under its name, all on the same scales."""
    from matplotlib.figure import Figure

    across = min(_PANELS_ACROSS, len(views))
    down = -(-len(views) // across)
    figure = Figure(figsize=(WIDTH_IN, 0.5 + height_in * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flat)
    for axes in panels[len(views) :]:
        axes.remove()
    for place, view in enumerate(views):
        panels[place].set_title(view.label, color=colour(view.number))
        panels[place].tick_params(labelbottom=place + across >= len(views))
    return figure, iter(panels[: len(views)])
