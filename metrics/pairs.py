"""Pairs of things with equal keys, in chunks, so that memory is bounded whatever the number of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHUNK_PAIRS = 1 << 15
"""Pairs handled at once: so few that they stay in the cache. A thing with more partners is a chunk of its own."""

_TABLE_PER_KEY = 16


class Pairs(NamedTuple):
    """`left[k]` and `right[k]` are the k-th pair, as indices; all pairs of a left index lie in one chunk, together."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]


def equal_key_pairs(left_keys: NDArray[np.int64], right_keys: NDArray[np.int64]) -> Iterator[Pairs]:
    """All (left, right) with equal keys, ordered by left index, then by right index."""
    left_keys, right_keys = compact_keys(left_keys, right_keys)
    order = _stable_order(right_keys)
    sizes = np.bincount(right_keys, minlength=int(left_keys.max(initial=-1)) + 1)
    first, counts = (np.cumsum(sizes) - sizes)[left_keys], sizes[left_keys]
    for pairs in pairs_of_ranges(first, counts):
        yield Pairs(pairs.left, order[pairs.right])


def earlier_pairs(keys: NDArray[np.int64]) -> Iterator[Pairs]:
    """All (later, earlier) with equal keys, where earlier has the smaller index."""
    (keys,) = compact_keys(keys)
    order = _stable_order(keys)
    sizes = np.bincount(keys)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    counts = np.arange(len(keys)) - starts
    for pairs in pairs_of_ranges(starts, counts):
        yield Pairs(order[pairs.left], order[pairs.right])


def pairs_of_ranges(first: NDArray[np.int64], counts: NDArray[np.int64]) -> Iterator[Pairs]:
    """Each index with the `counts` numbers from its `first` on."""
    for chunk in _chunks(counts):
        own = counts[chunk]
        ends = np.cumsum(own)
        index = np.repeat(np.arange(chunk.start, chunk.stop), own)
        place = np.repeat(first[chunk] - (ends - own), own)
        place += np.arange(len(place))
        yield Pairs(index, place)


def compact_keys(*keys: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The same keys, renumbered if a table with a place for each would be too large."""
    lowest = min(int(part.min(initial=0)) for part in keys)
    highest = max(int(part.max(initial=0)) for part in keys)
    if lowest >= 0 and highest <= _TABLE_PER_KEY * sum(map(len, keys)):
        return list(keys)
    numbers = np.unique(np.concatenate(keys), return_inverse=True)[1]
    return np.split(numbers, np.cumsum([len(part) for part in keys])[:-1])


def _stable_order(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in the order of keys from 0; numpy sorts sixteen bits several times as fast as more."""
    return np.argsort(keys.astype(np.uint16) if keys.max(initial=0) < 1 << 16 else keys, kind="stable")


def _chunks(counts: NDArray[np.int64]) -> Iterator[slice]:
    """Cut the indices where the pairs add up to about `CHUNK_PAIRS`."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + CHUNK_PAIRS, side="right")))
        if ends[stop - 1] > done:
            yield slice(start, stop)
        start = stop
