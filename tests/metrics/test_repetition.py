"""Exact repeats against sets of normalised records."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.metrics import repetition
from boxlist.metrics.repetition import count_repeats, first_copies
from boxlist.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

Box = tuple[float, float, float, float]


def arrays(images: list[list[tuple[int, Box]]]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Keys, coordinates and counts of images whose records are (label number, box)."""
    records = [(image, label, box) for image, rows in enumerate(images) for label, box in rows]
    keys = np.array([image * 10 + label for image, label, _ in records], dtype=np.int64)
    coordinates = np.array([box for *_, box in records], dtype=np.float64).reshape(-1, 4)
    return keys, coordinates, np.array([len(rows) for rows in images], dtype=np.int64)


A, B, C = (0.0, 0, 10, 10), (0.0, 0, 10, 11), (50.0, 50, 60, 60)


@pytest.mark.parametrize(
    ("records", "duplicates", "max_repeat", "prefix"),
    [
        ([], 0, 0, 0),
        ([(0, A)], 0, 1, 1),
        ([(0, A), (0, B), (0, C)], 0, 1, 3),
        ([(0, A), (1, A)], 0, 1, 2),  # another label
        ([(0, A), (0, A)], 1, 2, 1),
        ([(0, A), (0, B), (0, A), (0, C), (0, B), (0, A)], 3, 3, 2),
        ([(0, C)] * 23, 22, 23, 1),  # the paper's longest loop
        ([(0, (0.0, 0, 0, 0)), (0, (-0.0, 0, 0, 0))], 1, 2, 1),  # -0 equals 0
        ([(0, A), (0, B), (0, B), (0, A)], 2, 2, 2),
    ],
)
def test_exact_repeats(records: list[tuple[int, Box]], duplicates: int, max_repeat: int, prefix: int) -> None:
    # an image on each side, so that nothing reaches over to a neighbour
    keys, coordinates, counts = arrays([[(0, A)], records, [(0, A), (0, A)], []])
    repeats = count_repeats(first_copies(keys, coordinates), counts)
    assert repeats.duplicates.tolist() == [0, duplicates, 1, 0]
    assert repeats.max_repeat.tolist() == [1, max_repeat, 2, 0]
    assert repeats.prefix.tolist() == [1, prefix, 1, 0]


def test_the_two_notions_of_equal_are_one() -> None:
    """What counts as a repeat here is what `Record.key` says, which repeat-stop goes by."""
    assert Record(" A  b", (45, -0.0, 1, 2)).key == Record("a B", (45.0, 0, 1, 2)).key
    assert first_copies(np.array([3, 3]), np.array([[45.0, -0.0, 1, 2], [45, 0, 1, 2]])).tolist() == [0, 0]


small_boxes = st.tuples(*[st.sampled_from([0.0, -0.0, 1.0, 2.5]) for _ in range(4)])
images = st.lists(st.lists(st.tuples(st.integers(0, 2), small_boxes), max_size=8), max_size=4)


@given(images, st.booleans())
@settings(deadline=None)
def test_against_sets(rows: list[list[tuple[int, Box]]], collide: bool) -> None:
    """Also when every record has the same hash: equal hashes only ever make it slower."""
    keys, coordinates, counts = arrays(rows)
    with pytest.MonkeyPatch.context() as patch:
        if collide:
            patch.setattr(repetition, "_ODD", np.uint64(0))
        repeats = count_repeats(first_copies(keys, coordinates), counts)
    assert repeats.duplicates.tolist() == [len(image) - len(set(image)) for image in rows]
    assert repeats.max_repeat.tolist() == [max(Counter(image).values(), default=0) for image in rows]
    prefixes = []
    for image in rows:
        repeated = [place for place, record in enumerate(image) if record in image[:place]]
        prefixes.append(repeated[0] if repeated else len(image))
    assert repeats.prefix.tolist() == prefixes
