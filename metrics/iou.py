"""Intersection over union of boxes, in float64, with exclusive ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxlist.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FARTHEST_PX = 1e9
"""No picture reaches this far; a box that does is impossible. It also keeps areas far from overflow."""


def as_boxes(boxes_xyxy_px: ArrayLike, where: str) -> NDArray[np.float64]:
    """Boxes as float64 `(N, 4)`; anything but finite numbers in that shape is an `InputError`.

    COCO tools give a box with x = NaN an IoU of 1 with everything, so NaN and infinity never get as far as matching.
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float64)
    if boxes.size == 0:
        return boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise InputError(
            where, expected="boxes of shape (N, 4)", got=f"{boxes.shape}", remedy="Give x1 y1 x2 y2 a box."
        )
    if not np.isfinite(boxes).all():
        first = int(np.flatnonzero(~np.isfinite(boxes).all(axis=1))[0])
        raise InputError(
            f"{where}, box {first}",
            expected="finite coordinates",
            got=str(boxes[first].tolist()),
            remedy="Leave the box out or correct it.",
        )
    return boxes


def is_possible(boxes_xyxy_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes `(N, 4)` can match anything: finite, within `FARTHEST_PX`, x2 > x1 and y2 > y1."""
    x1, y1, x2, y2 = boxes_xyxy_px.T
    # comparisons with NaN are false, so one that is not finite is impossible too
    within = (np.minimum(x1, y1) >= -FARTHEST_PX) & (np.maximum(x2, y2) <= FARTHEST_PX)
    possible: NDArray[np.bool_] = within & (x2 > x1) & (y2 > y1)
    return possible


def iou_of_pairs(
    boxes: NDArray[np.float64], others: NDArray[np.float64], pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """IoU of `boxes[i]` with `others[j]` for each pair (i, j); both are `(N, 4)` and hold possible boxes only."""
    ours, theirs = boxes.take(pairs[0], axis=0), others.take(pairs[1], axis=0)
    sides = np.minimum(ours[:, 2:], theirs[:, 2:]) - np.maximum(ours[:, :2], theirs[:, :2])
    np.maximum(sides, 0.0, out=sides)
    shared = sides[:, 0] * sides[:, 1]
    union = _areas(ours) + _areas(theirs) - shared
    # two boxes whose areas underflow to 0 share nothing, which is 0 and not 0/0
    iou: NDArray[np.float64] = shared / np.maximum(union, np.finfo(np.float64).tiny)
    return iou


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas
