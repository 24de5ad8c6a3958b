"""Figures that a run's scores are enough for: the control surface, separability, and every figure's interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.metrics.table import METRICS
from boxlist.reports.page.ink import FAINT, GROUND, INK, colour, marker
from boxlist.reports.page.labels import label_points, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from boxlist.metrics.summary import MetricValue
    from boxlist.reports.page.views import View

WIDTH_IN = 6.4
F1, DUPLICATES = "f1@0.3", "duplicate_rate"
_FOREST = (
    *("f1@0.3", "f1@0.5", "recall@0.3", "recall@0.5", "mean_max_iou", "duplicate_rate", "parse_valid"),
    *("target_shape_valid", "count_exact", "spatial_accuracy", "choice_accuracy", "referring_iou"),
    *("question_accuracy", "right_empty_list", "hallucinated_class_rate"),
)
_FOREST_COLUMNS = 3
_ROW_IN = 0.22


def draw_surface(views: Sequence[View]) -> Figure | None:
    """F1@0.3 over the duplicate rate, a point a run, both intervals drawn."""
    from matplotlib.figure import Figure

    found = [(view, view.figure(DUPLICATES), view.figure(F1)) for view in views]
    points = [(view, x, y) for view, x, y in found if x and y]
    if not points:
        return None
    figure = Figure(figsize=(WIDTH_IN, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for view, x, y in points:
        ink = colour(view.number)
        for bar in ((ends(x), [value_of(y)] * 2), ([value_of(x)] * 2, ends(y))):
            axes.plot(*bar, color=ink, linewidth=1.2, alpha=0.55, solid_capstyle="butt")
        axes.plot(value_of(x), value_of(y), marker(view.number), color=ink, markeredgecolor=GROUND, markersize=8)
    axes.set_xlabel("duplicate rate (mean share of an answer's records that repeat)")
    axes.set_ylabel("F1 at IoU 0.3")
    axes.margins(x=0.14, y=0.12)
    widest, highest = axes.get_xlim()[1], axes.get_ylim()[1]
    axes.set_xlim(-0.03 * widest, widest)
    axes.set_ylim(max(axes.get_ylim()[0], -0.05 * highest), highest)
    axes.set_title("↖ better", color=FAINT)
    lay_out(figure)
    label_points(
        axes,
        [(value_of(x), value_of(y)) for _, x, y in points],
        [view.label for view, _, _ in points],
        [colour(view.number) for view, _, _ in points],
    )
    return figure


def draw_separability(views: Sequence[View]) -> Figure | None:
    """For each run that repeats: its prefix's share of true positives, and F1 of the tail alone, at both thresholds."""
    from matplotlib.figure import Figure

    repeating = [view for view in views if view.figure("separability_tail_f1@0.3")]
    if not repeating:
        return None
    figure = Figure(figsize=(WIDTH_IN, 0.9 + 2 * _ROW_IN * len(repeating)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, metric, title in (
        (panels[0], "separability_prefix", "prefix: share of true positives"),
        (panels[1], "separability_tail_f1", "repeated tail alone: F1"),
    ):
        for row, view in enumerate(repeating):
            for threshold, shift, strength in (("0.3", -0.2, 1.0), ("0.5", 0.2, 0.55)):
                _bar(axes, view.figure(f"{metric}@{threshold}"), row + shift, colour(view.number), strength, threshold)
        axes.set(title=title, xlim=(0, 1.32), xticks=(0, 0.5, 1))
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
    panels[0].set_yticks(range(len(repeating)), [view.label for view in repeating], color=INK)
    panels[0].invert_yaxis()
    return figure


def draw_intervals(views: Sequence[View]) -> Figure | None:
    """Every figure that has an interval, a panel a metric, a row a run."""
    from matplotlib.figure import Figure

    metrics = [name for name in _FOREST if any(view.figure(name) for view in views)]
    if not metrics:
        return None
    columns = min(_FOREST_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = Figure(figsize=(WIDTH_IN, rows * (0.75 + _ROW_IN * len(views))), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes, metric in zip(panels, metrics, strict=False):
        _forest(axes, metric, views)
    for axes in panels[len(metrics) :]:
        axes.remove()
    first = figure.axes[0]
    first.set_yticks(range(len(views)), [view.label for view in views])
    first.set_ylim(len(views) - 0.4, -0.6)
    for axes in figure.axes:
        axes.tick_params(axis="y", labelcolor=INK)
    return figure


def value_of(figure: MetricValue) -> float:
    """The value of a figure that is there."""
    return float(figure["value"] or 0.0)


def ends(figure: MetricValue) -> tuple[float, float]:
    """The ends of its interval; the value itself where it has none."""
    low, high = figure["ci_low"], figure["ci_high"]
    return (value_of(figure), value_of(figure)) if low is None or high is None else (low, high)


def _bar(axes: Axes, figure: MetricValue | None, y: float, ink: str, strength: float, threshold: str) -> None:
    if figure is None:
        axes.text(0.02, y, f"at {threshold}: undefined", va="center", color=FAINT)
        return
    low, high = ends(figure)
    axes.barh(y, value_of(figure), height=0.36, color=ink, alpha=strength)
    axes.plot((low, high), (y, y), color=INK, linewidth=1, alpha=0.8)
    axes.text(max(high, value_of(figure)) + 0.03, y, f"{value_of(figure):.3f} at {threshold}", va="center", color=INK)


def _forest(axes: Axes, metric: str, views: Sequence[View]) -> None:
    for row, view in enumerate(views):
        figure = view.figure(metric)
        if figure is None:
            continue
        ink = colour(view.number)
        axes.plot(ends(figure), (row, row), color=ink, linewidth=2.4, alpha=0.55, solid_capstyle="butt")
        axes.plot(value_of(figure), row, marker(view.number), color=ink, markeredgecolor=GROUND)
    better = {True: " →", False: " ←", None: ""}[METRICS[metric].higher_is_better]
    axes.set_title(f"{metric}{better}")
    axes.margins(x=0.12)
    left, right = axes.get_xlim()
    axes.set_xlim(left=max(left, -0.04 * right))  # no metric is below 0
    axes.locator_params(axis="x", nbins=3)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
