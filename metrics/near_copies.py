"""Which records nearly repeat an earlier one: equal labels, and boxes at an IoU of 0.9 or more.

Comparing every box with every earlier one of its label is fine for a few dozen of them, and too much for the thousands
of a loop. Where there are many, only boxes of like size and place are compared: at an IoU of t the widths differ by a
factor of 1/t at most, and the left edges by (1 - t) of the wider one; likewise heights and top edges. So boxes are put
into cells of such a size that a near copy lies in the box's own cell or in the nearer neighbour of it, in each of the
four directions. The result is that of comparing all.
"""

from __future__ import annotations

from itertools import product
from math import log2
from typing import TYPE_CHECKING

import numpy as np

from boxlist.metrics.iou import iou_of_pairs, is_possible
from boxlist.metrics.pairs import compact_keys, earlier_pairs, pairs_of_ranges

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]
    Boxes = NDArray[np.float64]

NEAR_IOU = 0.9

_FEW = 48  # up to here comparing all is fastest
_FIRST_BLOCK = 8
_SIZES_PER_OCTAVE = int(0.5 / log2(1 / NEAR_IOU))
_WIDEST_OFFSET = 1.001 * (1 - NEAR_IOU) / NEAR_IOU  # of the narrower one's width; more than rounding can add
_ODD = np.uint64(0x9E3779B97F4A7C15)


def has_near_copy(keys: Integers, boxes_xyxy_px: Boxes, first: Integers) -> NDArray[np.bool_]:
    """Which records have an earlier one of equal key at an IoU of `NEAR_IOU` or more, `(P,)`.

    `first` is that of `repetition.first_copies`. An impossible box has no area and so no near copy, though it may have
    an exact one.
    """
    possible = is_possible(boxes_xyxy_px)
    fresh = first == np.arange(len(first))
    near: NDArray[np.bool_] = possible & ~fresh  # an exact copy of a possible box has IoU 1 with it
    compared = np.flatnonzero(possible & fresh)
    (numbers,) = compact_keys(keys[compared])
    many = np.bincount(numbers)[numbers] > _FEW
    near[compared[~many]] = _near_any_earlier(numbers[~many], boxes_xyxy_px[compared[~many]])
    if many.any():
        near[compared[many]] = _near_one_alike(numbers[many], boxes_xyxy_px[compared[many]])
    return near


def _near_any_earlier(keys: Integers, boxes: Boxes) -> NDArray[np.bool_]:
    near = np.zeros(len(keys), dtype=bool)
    for pairs in earlier_pairs(keys):
        near[pairs.left[iou_of_pairs(boxes, boxes, pairs) >= NEAR_IOU]] = True
    return near


def _near_one_alike(keys: Integers, boxes: Boxes) -> NDArray[np.bool_]:
    near = np.zeros(len(keys), dtype=bool)
    cells = _Cells(keys, boxes)
    for offsets in product((False, True), repeat=4):
        waiting = np.flatnonzero(~near)
        members, start, stop = cells.earlier_in(waiting, offsets)
        # the latest first, since loops drift, and in blocks that grow, since one near copy is enough
        block = _FIRST_BLOCK
        while len(waiting):
            counts = np.minimum(stop - start, block)
            stop = stop - counts
            for pairs in pairs_of_ranges(stop, counts):
                own = waiting[pairs.left]
                near[own[iou_of_pairs(boxes, boxes, (own, members[pairs.right])) >= NEAR_IOU]] = True
            left = ~near[waiting] & (stop > start)
            waiting, start, stop = waiting[left], start[left], stop[left]
            block *= 4
    return near


class _Cells:
    """Boxes by key, width, height, left and top edge.

    A cell is known by a hash, so that two may be taken for one, which costs time only. Its members follow each other
    in `_sorted`, each the hash with the box's index in place of the lowest bits.
    """

    def __init__(self, keys: Integers, boxes: Boxes) -> None:
        self._keys = keys.astype(np.uint64) * _ODD
        self._low = boxes[:, :2]
        # in parts of an octave, so that near copies are less than half a part apart
        self._sizes = np.log2(boxes[:, 2:] - boxes[:, :2]) * _SIZES_PER_OCTAVE
        self._index_bits = np.uint64((1 << max(1, len(boxes) - 1).bit_length()) - 1)
        everything = np.arange(len(boxes))
        self._sorted = np.sort(self._hashes(everything, (False,) * 4) | everything.astype(np.uint64))

    def earlier_in(self, places: Integers, offsets: tuple[bool, ...]) -> tuple[Integers, Integers, Integers]:
        """All boxes in the order of cells, and the range there of those before `places` in each one's cell.

        Or in the nearer neighbour of it, for each of the four directions that `offsets` names.
        """
        hashes = self._hashes(places, offsets)
        start = np.searchsorted(self._sorted, hashes)
        stop = np.searchsorted(self._sorted, hashes | places.astype(np.uint64))
        return (self._sorted & self._index_bits).astype(np.int64), start, stop

    def _hashes(self, places: Integers, offsets: tuple[bool, ...]) -> NDArray[np.uint64]:
        hashed = self._keys[places]
        for axis in (0, 1):
            size = _part(self._sizes[places, axis], nearer=offsets[axis])
            # cells of a power of two are divided by without rounding
            width = np.ceil((size + 1) / _SIZES_PER_OCTAVE + log2(2 * _WIDEST_OFFSET)).astype(np.int64)
            low = _part(np.ldexp(self._low[places, axis], -width), nearer=offsets[2 + axis])
            for part in (size, low):
                hashed = (hashed ^ part.astype(np.int64).view(np.uint64) ^ (hashed >> np.uint64(29))) * _ODD
        return hashed & ~self._index_bits


def _part(numbers: NDArray[np.float64], *, nearer: bool) -> NDArray[np.float64]:
    """The whole number below, or with `nearer` the one next to it that is closer."""
    whole: NDArray[np.float64] = np.floor(numbers)
    return whole + np.where(numbers - whole < 0.5, -1, 1) if nearer else whole
