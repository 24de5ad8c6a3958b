"""Reading order: top to bottom in seven bands, left to right within a band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

BANDS = 7


def reading_order(boxes_xyxy_px: ArrayLike, size_wh_px: tuple[int, int]) -> list[int]:
    """Indices of the boxes `(N, 4)` in reading order: by band of the centre, then by the centre's x.

    A band is one seventh of the image height; a centre outside the image belongs to the nearest band. Boxes that tie
    keep their order. No boxes give an empty list.

    >>> reading_order([[50, 0, 60, 10], [0, 2, 10, 12], [0, 90, 9, 99]], (100, 100))
    [1, 0, 2]
    """
    boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
    centre_x, centre_y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    bands = np.clip(np.floor(centre_y * BANDS / size_wh_px[1]), 0, BANDS - 1)
    order: list[int] = np.lexsort((centre_x, bands)).tolist()  # stable; the last key is the first to sort by
    return order
