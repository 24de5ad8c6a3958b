"""Names written beside points and at the ends of lines, where they cover each other least."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray

POINTS_A_LETTER = 5.0
_SIDES = (("left", 1), ("right", -1), ("center", 0))
_HEIGHTS = (("center", 0), ("bottom", 1), ("top", -1))
_PLACES = [
    (across * reach, up * reach, ha, va)
    for reach in (7, 14, 24, 36)
    for (ha, across), (va, up) in product(_SIDES, _HEIGHTS)
    if across or up
]
"""Offsets in points from the point, nearest first, with the label's alignment."""
_LINE_HEIGHT = 11.0


def lay_out(figure: Figure) -> None:
    """Settle where everything is and what letters measure; to be called before the other two."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    figure.draw_without_rendering()


def label_points(
    axes: Axes, points: Sequence[tuple[float, float]], texts: Sequence[str], colours: Sequence[str]
) -> None:
    """Write each text beside its point, at the first place of those where it covers least that is there already."""
    inside = axes.get_window_extent()
    taken = [_around(axes, point) for point in points]
    for point, text, colour in zip(points, texts, colours, strict=True):
        best: tuple[float, Annotation, Bbox] | None = None
        for x, y, ha, va in _PLACES:
            note = axes.annotate(
                text, point, (x, y), textcoords="offset points", ha=ha, va=va, color=colour, annotation_clip=False
            )
            box = note.get_window_extent()
            cost = sum(_shared(box, other) for other in taken) + 2 * (_area(box) - _shared(box, inside))
            if best is None or cost < best[0] - 1:
                if best is not None:
                    best[1].remove()
                best = cost, note, box
            else:
                note.remove()
            if best[0] <= 1:
                break
        if best is not None:
            taken.append(best[2])


def label_ends(
    axes: Axes, ends: Sequence[tuple[float, float]], texts: Sequence[str], colours: Sequence[str], side: int = 1
) -> None:
    """Write each text beside its line's end, to the right (1) or left (-1), moved up or down to stand apart."""
    if not ends:
        return
    points = 72 / axes.figure.dpi
    wanted = np.array([axes.transData.transform(end)[1] for end in ends]) * points
    frame = axes.get_window_extent()
    placed = apart(wanted, frame.y0 * points + _LINE_HEIGHT / 2, frame.y1 * points)
    for index, end in enumerate(ends):
        offset = 8 * side, float(placed[index] - wanted[index])
        axes.annotate(
            texts[index],
            end,
            offset,
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color=colours[index],
            annotation_clip=False,
        )


def apart(wanted: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """The places nearest to the wanted ones that are a line apart, between `low` and `high` if there is room at all.

    >>> apart(np.array([5.0, 50.0, 5.0]), 0, 100).tolist()
    [0.0, 50.0, 11.0]
    """
    from scipy.optimize import isotonic_regression

    order = np.argsort(wanted, kind="stable")
    steps = _LINE_HEIGHT * np.arange(len(wanted))
    rising = isotonic_regression(wanted[order] - steps).x
    placed = np.empty(len(wanted))
    placed[order] = np.clip(rising, low, max(low, high - steps[-1])) + steps
    return placed


def room_for(texts: Sequence[str]) -> float:
    """The width in points that the longest text takes."""
    return POINTS_A_LETTER * max(map(len, texts), default=0) + 14


def _around(axes: Axes, point: tuple[float, float]) -> Bbox:
    from matplotlib.transforms import Bbox

    x, y = axes.transData.transform(point)
    return Bbox.from_bounds(x - 4, y - 4, 8, 8)


def _shared(box: Bbox, other: Bbox) -> float:
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return float(max(0.0, width) * max(0.0, height))


def _area(box: Bbox) -> float:
    return float(box.width * box.height)
