"""What is drawn is what the scores say: the data of every figure, read back from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from boxlist.metrics.by_objects import CURVE_METRICS, figures_by_objects
from boxlist.reports.page.figures import FIGURES
from boxlist.reports.page.labels import apart, label_points, lay_out
from boxlist.reports.page.of_answers import draw_places, draw_repeats, draw_thresholds
from boxlist.reports.page.of_counts import draw_objects
from boxlist.reports.page.of_runs import draw_intervals, draw_separability, draw_surface
from boxlist.reports.page.of_sweeps import draw_budgets, draw_ranks
from boxlist.reports.page.views import View, make_views
from boxlist.reports.saved_runs import find_runs, read_saved_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

SHAPES = "boxlist_dense_bbox_shapes"


@pytest.fixture(scope="module")
def views(fake_runs: Path) -> list[View]:
    runs = [read_saved_run(path) for path in find_runs(fake_runs)]
    return [view for view in make_views(runs, {}, pytest.fail) if view.task.name == SHAPES]


def data(line: Line2D) -> NDArray[np.float64]:
    """A line's points, `(N, 2)`."""
    return np.column_stack([np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)])


def points(axes: Axes) -> NDArray[np.float64]:
    """The points of the lines that have a marker, `(N, 2)`, in the order of drawing."""
    return np.concatenate([data(line) for line in axes.lines if line.get_marker() != "None"])


def values(views: Sequence[View], metric: str) -> list[float]:
    found = [view.value(metric) for view in views]
    return [value for value in found if value is not None]


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def test_the_surface_has_a_point_a_run_and_its_two_intervals(views: list[View]) -> None:
    axes = drawn(draw_surface(views)).axes[0]
    assert points(axes)[:, 0] == pytest.approx(values(views, "duplicate_rate"))
    assert points(axes)[:, 1] == pytest.approx(values(views, "f1@0.3"))
    first = views[0].figure("f1@0.3")
    assert first is not None
    assert data(axes.lines[1])[:, 1].tolist() == [first["ci_low"], first["ci_high"]]
    assert {text.get_text() for text in axes.texts} == {view.label for view in views}


def test_budgets_and_ranks_stand_at_their_numbers(views: list[View]) -> None:
    budget = drawn(draw_budgets(views)).axes[0]
    assert sorted(np.round(points(budget)[:, 0]).tolist()) == [4, 4, 6, 6]
    ranks = points(drawn(draw_ranks(views)).axes[0])
    swept = [view for label in ("r4-raw", "r8-raw") for view in views if view.label == label]
    assert ranks[:, 0].tolist() == [4, 8]
    assert ranks[:, 1] == pytest.approx(values(swept, "f1@0.3"))


def test_separability_leaves_out_runs_that_do_not_repeat(views: list[View]) -> None:
    axes = drawn(draw_separability(views)).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [view.label for view in views if view.value("separability_tail_f1@0.3") is not None]
    assert "base" not in names


def test_intervals_have_a_panel_for_each_metric_that_there_is(views: list[View]) -> None:
    figure = drawn(draw_intervals(views))
    assert len(figure.axes) == 7
    assert points(figure.axes[0])[:, 0] == pytest.approx(values(views, "f1@0.3"))


def test_the_number_of_objects_has_a_panel_a_metric_and_the_bins_figures(views: list[View]) -> None:
    figure = drawn(draw_objects(views))
    assert [axes.get_title()[:-2] for axes in figure.axes[:-1]] == list(CURVE_METRICS)
    bins = figures_by_objects(views[0].task.columns, seed=views[0].task.seed)
    assert len(bins) > 3
    for axes, metric in zip(figure.axes, CURVE_METRICS, strict=False):
        (line, *_) = [line for line in axes.lines if line.get_marker() != "None"]
        assert data(line)[:, 0].tolist() == [each.mean for each in bins]
        assert data(line)[:, 1].tolist() == [each.figures[metric]["value"] for each in bins]
    legend = figure.axes[-1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [view.label for view in views]


def test_the_number_of_objects_is_not_drawn_where_it_is_one_number(views: list[View]) -> None:
    one = views[0].task
    same = replace(one, columns={**one.columns, "n_gt": np.full(len(one.image_ids), 3.0)})
    assert draw_objects([replace(views[0], task=same)]) is None


def test_thresholds_begin_with_the_scores_f1(views: list[View]) -> None:
    lines = drawn(draw_thresholds(views)).axes[0].lines
    assert [data(line)[0, 1] for line in lines] == pytest.approx(values(views, "f1@0.3"))


def test_the_shares_of_a_place_add_up_to_the_answers_that_reach_it(views: list[View]) -> None:
    axes = drawn(draw_places(views)).axes[0]
    heights = [bars[0].get_height() for bars in axes.containers if isinstance(bars, BarContainer)]
    assert len(heights) == 3
    assert sum(heights) == pytest.approx(np.mean(views[0].task.columns["n_pred"] > 0))


def test_every_image_is_in_the_histogram_once(views: list[View]) -> None:
    figure = drawn(draw_repeats(views))
    for axes, view in zip(figure.axes, views, strict=True):
        (bars,) = (found for found in axes.containers if isinstance(found, BarContainer))
        assert sum(bar.get_height() for bar in bars) == len(view.task.image_ids)


def test_without_runs_nothing_is_drawn() -> None:
    assert [row.draw([]) for row in FIGURES] == [None] * len(FIGURES)


def test_labels_of_crowded_points_do_not_cover_each_other() -> None:
    figure = Figure(figsize=(6, 4))
    axes = figure.add_subplot()
    crowd = [(0.5 + 0.004 * place, 0.5) for place in range(4)]
    axes.plot(*zip(*crowd, strict=True), "o")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    lay_out(figure)
    label_points(axes, crowd, ["a label"] * 4, ["black"] * 4)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])


def test_labels_of_ends_keep_their_order_and_their_frame() -> None:
    placed = apart(np.array([50.0, 51.0, 99.0, 98.0]), 0, 100)
    assert (np.diff(np.sort(placed)) >= 11 - 1e-9).all()
    assert np.argsort(placed).tolist() == [0, 1, 3, 2]
    assert placed.max() <= 100
