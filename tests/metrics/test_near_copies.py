"""Near copies against every pair, few and many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.metrics import near_copies, pairs
from boxlist.metrics.iou import iou_of_pairs
from boxlist.metrics.near_copies import has_near_copy
from boxlist.metrics.repetition import first_copies

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Boxes = NDArray[np.float64]

Box = tuple[float, float, float, float]

A, B, C = (0.0, 0, 10, 10), (0.0, 0, 10, 11), (50.0, 50, 60, 60)


def near_one_by_one(keys: list[int], boxes: list[Box]) -> list[bool]:
    """The definition, box by box; quadratic."""
    return [
        any(key == keys[place] and iou(box, boxes[place]) >= 0.9 for key, box in zip(keys[:place], boxes, strict=False))
        for place in range(len(boxes))
    ]


def iou(box: Box, other: Box) -> float:
    sides = [min(box[i + 2], other[i + 2]) - max(box[i], other[i]) for i in (0, 1)]
    areas = [(right - left) * (bottom - top) for left, top, right, bottom in (box, other)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    return shared / max(areas[0] + areas[1] - shared, 1e-300) if min(areas) > 0 else 0.0


@pytest.mark.parametrize("few", [0, 48])
@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ([A, (0, 0, 10, 9)], [False, True]),  # exactly 0.9
        ([A, (0, 0, 10, 8.9)], [False, False]),
        ([A, C, A, (0, 0, 10, 9.5)], [False, False, True, True]),
        ([(0, 0, 10, 9), A], [False, True]),  # the later one is the copy
        # 0.9 is not carried along a chain: the third is near the second alone, which is enough
        ([(0, 0, 10, 8.1), (0, 0, 10, 9), A], [False, True, True]),
        # an impossible box has an exact copy, and no near one
        ([(5, 5, 5, 5), (5, 5, 5, 5)], [False, False]),
    ],
)
def test_near_copies(boxes: list[Box], expected: list[bool], few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinates = np.array(boxes, dtype=np.float64)
    keys = np.zeros(len(boxes), dtype=np.int64)
    monkeypatch.setattr(near_copies, "_FEW", few)
    assert has_near_copy(keys, coordinates, first_copies(keys, coordinates)).tolist() == expected


def test_near_copies_are_of_one_label_and_one_image() -> None:
    boxes = np.array([A, A, A])
    keys = np.array([0, 1, 10])
    assert has_near_copy(keys, boxes, first_copies(keys, boxes)).tolist() == [False] * 3


def test_no_boxes() -> None:
    keys = np.zeros(0, dtype=np.int64)
    assert has_near_copy(keys, np.zeros((0, 4)), keys).tolist() == []


# sizes from far below a pixel to a map's, each edge moved by up to a fifth of the side: about half are near copies
sides = st.sampled_from([1e-6, 0.75, 1.0, 30.0, 1000.0, 1024.0, 5e7])
moves = st.sampled_from([-0.2, -0.1, -0.05, -0.04, -1e-9, 0, 1e-9, 0.05, 0.1])
places = st.sampled_from([-1.0, 0.0, 0.5, 3.0])


@st.composite
def clusters(draw: st.DrawFn) -> list[tuple[int, Box]]:
    records: list[tuple[int, Box]] = []
    for _ in range(draw(st.integers(1, 3))):
        x, y, width, height = draw(places), draw(places), draw(sides), draw(sides)
        corners = (x * width, y * height, (x + 1) * width, (y + 1) * height)
        for move in draw(st.lists(st.tuples(moves, moves, moves, moves), max_size=8)):
            x1, y1, x2, y2 = (c + m * side for c, m, side in zip(corners, move, (width, height) * 2, strict=True))
            records.append((draw(st.integers(0, 1)), (x1, y1, x2, y2)))
    return draw(st.permutations(records))


@given(clusters(), st.sampled_from([1, 7, 1 << 15]))
@settings(deadline=None, max_examples=300)
def test_cells_find_what_comparing_all_finds(records: list[tuple[int, Box]], chunk: int) -> None:
    keys = np.array([key for key, _ in records], dtype=np.int64)
    boxes = np.array([box for _, box in records], dtype=np.float64).reshape(-1, 4)
    expected = near_one_by_one(keys.tolist(), [box for _, box in records])
    for few in (0, 48):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(near_copies, "_FEW", few)
            patch.setattr(near_copies, "_FIRST_BLOCK", 1)
            patch.setattr(pairs, "CHUNK_PAIRS", chunk)
            assert has_near_copy(keys, boxes, first_copies(keys, boxes)).tolist() == expected


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs are compared, chunk by chunk."""
    counts: list[int] = []

    def counting(boxes: Boxes, others: Boxes, pairs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Boxes:
        counts.append(len(pairs[0]))
        return iou_of_pairs(boxes, others, pairs)

    monkeypatch.setattr(near_copies, "iou_of_pairs", counting)
    return counts


@pytest.mark.parametrize("jitter", [1, 30, 100, 300, 1000])
def test_many_boxes_of_one_label(jitter: float, compared: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """From a loop that hardly moves to boxes all over."""
    rng = np.random.default_rng(3)
    boxes = np.array([0.0, 0, 1000, 1000]) + np.round(rng.uniform(-jitter, jitter, (1500, 4)), 3)
    boxes = np.concatenate([boxes, boxes[::50] * 1.01, boxes[::-50] / 8])
    keys = rng.integers(0, 2, len(boxes))
    first = first_copies(keys, boxes)
    found = has_near_copy(keys, boxes, first).tolist()
    assert sum(compared) < 150 * len(boxes)  # all pairs of a label are 390 a box
    monkeypatch.setattr(near_copies, "_FEW", len(boxes))
    assert found == has_near_copy(keys, boxes, first).tolist()
    assert 0 < sum(found) < len(boxes)


def test_twenty_thousand_boxes_of_one_label_take_few_comparisons(compared: list[int]) -> None:
    """A page full of small boxes, and a loop that drifts: all pairs would be two hundred million."""
    n = 20_000
    left, top = np.arange(n) % 200 * 12.0, np.arange(n) // 200 * 12.0
    page = np.stack([left, top, left + 10, top + 10], axis=1)
    jitter = np.random.default_rng(0).integers(-1, 2, (n, 4))
    drift = np.array([0, 0, 1000, 1000]) + jitter + np.arange(n)[:, None] / n
    keys = np.zeros(n, dtype=np.int64)
    for boxes, expected in ((page, 0), (drift, n - 1)):
        compared.clear()
        assert has_near_copy(keys, boxes, np.arange(n)).sum() == expected
        assert sum(compared) < 50 * n
