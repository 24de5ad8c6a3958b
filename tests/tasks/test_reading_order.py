from __future__ import annotations

import numpy as np

from boxlist.tasks.reading_order import reading_order

# In a picture of 70x70 a band is 10 pixels high.


def test_by_band_then_by_x() -> None:
    boxes = [
        [50, 0, 60, 8],  # centre (55, 4): band 0
        [0, 4, 10, 14],  # centre (5, 9): band 0, lower and further left
        [20, 60, 30, 70],  # centre (25, 65): band 6
        [10, 11, 20, 17],  # centre (15, 14): band 1
    ]
    assert reading_order(boxes, (70, 70)) == [1, 0, 3, 2]


def test_a_centre_on_the_line_belongs_to_the_band_below() -> None:
    boxes: list[list[float]] = [[40, 5, 50, 15], [60, 0, 66, 19.8]]  # centres y 10 and 9.9
    assert reading_order(boxes, (70, 70)) == [1, 0]


def test_bands_follow_the_height_and_not_the_width() -> None:
    boxes = [[40, 8, 50, 18], [0, 10, 10, 20]]  # centres y 13 and 15: one band of 20 pixels
    assert reading_order(boxes, (70, 140)) == [1, 0]
    assert reading_order(boxes, (140, 98)) == [0, 1]  # bands of 14 pixels part them


def test_ties_keep_their_order_and_centres_outside_join_the_nearest_band() -> None:
    assert reading_order([[0, 0, 4, 4], [1, 1, 3, 3], [0, -90, 3, -80]], (70, 70)) == [2, 0, 1]
    assert reading_order([[9, 80, 11, 99], [0, 66, 2, 68]], (70, 70)) == [1, 0]


def test_nothing_is_in_order() -> None:
    assert reading_order([], (70, 70)) == []
    assert reading_order(np.empty((0, 4)), (70, 70)) == []
