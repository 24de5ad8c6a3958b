"""How much an answer repeats itself, record for record; `near_copies` says how much it nearly does.

Two records are exact repeats when label and coordinates are equal, as the model wrote them (`Record.key`): 45 equals
45.0, and -0 equals 0. The duplicate rate of an image is (n - unique) / n, 0 for an empty list, and its figure over
images is the mean. That is the reading of the paper (section COCO) that its numbers allow: a pooled rate would be at
least 0.027 where it says 0.016 (PAPER.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Repeats(NamedTuple):
    """Per image `(images,)`: repeated records, copies of the most repeated one, and the place of the first repeat.

    `prefix` is the number of records before the first exact repeat: all of them where nothing is repeated.
    """

    duplicates: NDArray[np.int64]
    max_repeat: NDArray[np.int64]
    prefix: NDArray[np.int64]


def first_copies(keys: NDArray[np.int64], coordinates: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each record the index of the first one equal to it, `(P,)`; its own if there is none before.

    `keys` `(P,)` are equal for equal labels of one image; `coordinates` are `(P, D)`, finite.
    """
    first = np.arange(len(keys))
    suspects = _of_equal_hash(keys, coordinates + 0.0)  # + 0.0 makes -0.0 and 0.0 the same bits
    if not len(suspects):
        return first
    columns = (*coordinates[suspects].T, keys[suspects])
    order = np.lexsort(columns)  # stable: copies stay in the order of the answer
    differs = np.zeros(len(order), dtype=bool)
    differs[0] = True
    for column in columns:
        in_order = column[order]
        differs[1:] |= in_order[1:] != in_order[:-1]
    starts = np.flatnonzero(differs)
    first[suspects[order]] = suspects[order[starts]][np.cumsum(differs) - 1]
    return first


def count_repeats(first: NDArray[np.int64], counts: NDArray[np.int64]) -> Repeats:
    """The repeats of each image, from `first_copies` of all records and the images' numbers of records."""
    ends = np.cumsum(counts)
    repeated = np.flatnonzero(first != np.arange(len(first)))
    image = np.searchsorted(ends, repeated, side="right")
    prefix = counts.copy()
    # of repeated indices the last is stored, hence backwards: the first repeat of the image wins
    prefix[image[::-1]] = (repeated - (ends - counts)[image])[::-1]
    most = np.minimum(counts, 1)
    np.maximum.at(most, image, np.bincount(first)[first[repeated]] if len(first) else most[:0])
    return Repeats(np.bincount(image, minlength=len(counts)), most, prefix)


def _of_equal_hash(keys: NDArray[np.int64], coordinates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the records whose hash another record has too. Equal records are always among them."""
    bits = np.ascontiguousarray(coordinates).view(np.uint64)
    hashed = keys.astype(np.uint64) * _ODD
    for column in bits.T:
        hashed = (hashed ^ column ^ (hashed >> _SHIFT)) * _ODD
    order = np.argsort(hashed)
    in_order = hashed[order]
    shared = np.zeros(len(order) + 1, dtype=bool)  # whether a hash equals the one before it in order
    shared[1:-1] = in_order[1:] == in_order[:-1]
    return np.sort(order[shared[1:] | shared[:-1]])


_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
