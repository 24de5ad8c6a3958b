"""Scoring points: from answers and the right points of each question to one row of columns.

Distances are in pixels of the original image, from every right point to the predicted point nearest to it, averaged
over the right points of a question. Points outside the image are counted, never rescaled: they are predictions, and
near to nothing. Labels are not compared: the question names what to point at.

Two readings of every distance (docs/decisions/008): over **valid** answers, those that are one whole list with at
least one point in the image, as a report that leaves out what it cannot parse; and over **all** questions, where
whatever points an answer holds are taken, and one without a point in the image is as far off as the image allows.

F1 is one-to-one: of all pairs of a right and a predicted point closer than `NEAR` of the image's diagonal the closest
is taken first, ties to the earlier right point, then to the earlier prediction, as `matching` does for boxes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.boxes import to_pixels
from boxlist.metrics.bulk_reading import LabelNumbers, read_answers
from boxlist.metrics.columns import Columns, to_rows
from boxlist.metrics.inputs import GivenAnswer, ImageRow, PointTruth, answers_in_order
from boxlist.metrics.matching import Candidates, take_greedily
from boxlist.metrics.repetition import count_repeats, first_copies

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from boxlist.protocols import Protocol

NEAR = 0.05
"""A point is near within this share of the image's diagonal; the report's threshold of 5 is read so (decision 008)."""

_CHUNK = 1 << 14


class Reach(NamedTuple):
    """How well one question's predictions reach its right points; x and y are errors in pixels, averaged."""

    distance_px: float
    squared_x: float
    squared_y: float
    absolute_x: float
    absolute_y: float
    near: float

    def columns(self, diagonal_px: float) -> dict[str, float]:
        """By the names of the columns."""
        return {
            "distance": self.distance_px,
            "distance_share": self.distance_px / diagonal_px,
            "squared_x": self.squared_x,
            "squared_y": self.squared_y,
            "absolute_x": self.absolute_x,
            "absolute_y": self.absolute_y,
            "near": self.near,
        }


REACH_COLUMNS = ("distance", "distance_share", "squared_x", "squared_y", "absolute_x", "absolute_y", "near")


def score_pointing(answers: Iterable[GivenAnswer], truths: Sequence[PointTruth], protocol: Protocol) -> list[ImageRow]:
    """One row for each truth, in their order; a question without an answer has the empty one.

    Raises `InputError` for two answers to one question, an answer to an unknown one, an answer without the frame that
    the protocol needs, a right point outside its image, and a protocol that writes no points.
    """
    if not protocol.writes_points:
        raise InputError(
            f"protocol {protocol.name}",
            expected="one that writes points",
            got="one that writes boxes",
            remedy="Choose a point protocol such as percent_xy.",
        )
    for truth in truths:
        _refuse_outside(truth)
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    read = read_answers([answer.text for answer in given], protocol, LabelNumbers())
    points = to_pixels(read, given, truths, protocol)
    ends = np.cumsum(read.counts)
    parts = [
        _of_question(points[end - n : end], truth) for n, end, truth in zip(read.counts, ends, truths, strict=True)
    ]
    valid = np.array([status == "valid" for status in read.statuses], dtype=bool)
    columns = _columns(parts, valid, truths)
    keys = np.repeat(np.arange(len(truths)), read.counts) * (int(read.labels.max(initial=0)) + 1) + read.labels
    repeats = count_repeats(first_copies(keys, read.coordinates), read.counts)
    columns |= {
        "n_pred": read.counts,
        "n_pred_strict": np.where(valid, read.counts, 0),
        "duplicates": repeats.duplicates,
        "duplicate_rate": repeats.duplicates / np.maximum(read.counts, 1),
        "max_repeat": repeats.max_repeat,
        "triggered": np.array([answer.triggered for answer in given], dtype=bool),
    }
    names: dict[str, Sequence[object]] = {
        "image_id": [truth.image_id for truth in truths],
        "status": read.statuses,
        "tokens": [answer.tokens for answer in given],
    }
    return to_rows(names, columns)


class _Question(NamedTuple):
    """One question's predictions against its right points; `reach` is None where no point lies in the image."""

    inside: int
    outside: int
    matches: int
    reach: Reach | None


def _of_question(points_xy_px: NDArray[np.float64], truth: PointTruth) -> _Question:
    is_inside = _inside(points_xy_px, truth.size_wh_px)
    inside = points_xy_px[is_inside]
    outside = len(points_xy_px) - len(inside)
    if not len(inside) or not len(truth.points_xy_px):
        return _Question(len(inside), outside, 0, None)
    near_px = NEAR * float(np.hypot(*truth.size_wh_px))
    return _Question(len(inside), outside, match_points(inside, truth.points_xy_px, near_px), _reach(inside, truth))


def match_points(points_xy: NDArray[np.float64], truths_xy: NDArray[np.float64], near: float) -> int:
    """How many points `(P, 2)` and truths `(G, 2)` can be paired off closer than `near`, the closest pair first."""
    kept_truth, kept_point, kept_distance = [], [], []
    for place, truth in enumerate(truths_xy):
        distance = np.hypot(*(points_xy - truth).T)
        close = np.flatnonzero(distance < near)
        # one of G truths takes one of its G nearest, since the others can have taken G - 1
        close = close[np.argsort(distance[close], kind="stable")][: len(truths_xy)]
        kept_truth.append(np.full(len(close), place))
        kept_point.append(close)
        kept_distance.append(distance[close])
    distance = np.concatenate(kept_distance)
    truth, point = np.concatenate(kept_truth), np.concatenate(kept_point)
    order = np.lexsort((point, truth, distance))
    return len(take_greedily(Candidates(truth[order], point[order], -distance[order])).truth)


def _reach(points_xy_px: NDArray[np.float64], truth: PointTruth) -> Reach:
    """The errors between every right point and the first of the points nearest to it."""
    nearest = np.concatenate(
        [
            np.argmin(np.hypot(*np.moveaxis(points_xy_px[None] - some[:, None], -1, 0)), axis=1)
            for some in _some_at_once(truth.points_xy_px, len(points_xy_px))
        ]
    )
    x, y = (points_xy_px[nearest] - truth.points_xy_px).T
    distance = np.hypot(x, y)
    near = distance < NEAR * float(np.hypot(*truth.size_wh_px))
    means = [float(each.mean()) for each in (distance, x**2, y**2, np.abs(x), np.abs(y), near)]
    return Reach(*means)


def _some_at_once(truths_xy: NDArray[np.float64], n_points: int) -> list[NDArray[np.float64]]:
    """The truths in parts, so that no table of distances is large."""
    rows = max(1, _CHUNK // max(1, n_points))
    return [truths_xy[start : start + rows] for start in range(0, len(truths_xy), rows)]


def farthest(size_wh_px: tuple[int, int]) -> Reach:
    """As far off as the image allows: what an answer without a point in the image counts as over all questions."""
    width, height = map(float, size_wh_px)
    return Reach(float(np.hypot(width, height)), width**2, height**2, width, height, 0.0)


def _columns(parts: Sequence[_Question], valid: NDArray[np.bool_], truths: Sequence[PointTruth]) -> Columns:
    matches = np.array([part.matches for part in parts], dtype=np.int64)
    is_valid = valid & np.array([part.inside > 0 for part in parts], dtype=bool)
    asks = np.array([len(truth.points_xy_px) > 0 for truth in truths], dtype=bool)
    columns: Columns = {
        "parse_valid": valid,
        "valid_prediction": np.where(asks, is_valid, np.nan),
        "n_gt": np.array([len(truth.points_xy_px) for truth in truths], dtype=np.int64),
        "out_of_range": np.array([part.outside for part in parts], dtype=np.int64),
        "near_tp": matches,
        "near_tp_strict": np.where(valid, matches, 0),
    }
    for name in REACH_COLUMNS:
        columns[name] = np.full(len(parts), np.nan)
        columns[f"{name}_all"] = np.full(len(parts), np.nan)
    for place, (part, truth) in enumerate(zip(parts, truths, strict=True)):
        if not asks[place]:
            continue
        reach = part.reach or farthest(truth.size_wh_px)
        for name, value in reach.columns(float(np.hypot(*truth.size_wh_px))).items():
            columns[f"{name}_all"][place] = value
            if is_valid[place]:
                columns[name][place] = value
    return columns


def _inside(points_xy_px: NDArray[np.float64], size_wh_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Which points lie in the image, its edges included; what is not finite does not."""
    x, y = points_xy_px.T
    width, height = size_wh_px
    inside: NDArray[np.bool_] = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    return inside


def _refuse_outside(truth: PointTruth) -> None:
    points = np.asarray(truth.points_xy_px, dtype=np.float64)
    if points.ndim == 2 and points.shape[1:] == (2,) and _inside(points, truth.size_wh_px).all():
        return
    width, height = truth.size_wh_px
    raise InputError(
        f"right points of {truth.image_id!r}",
        expected=f"x from 0 to {width} and y from 0 to {height}, in pixels",
        got=str(points.tolist())[:80],
        remedy="Correct the data: are they percent?",
    )
