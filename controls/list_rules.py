"""The rules that watch an answer's records as they close: which are kept, which are dropped, when the answer ends.

A rule sees the records of one answer in order, each once. Its verdict depends on them alone, so watching while the
model writes and reading a finished answer give the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.iou import iou_of_pairs, is_possible
from boxlist.records import normalise_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxlist.protocols import Protocol as BoxProtocol
    from boxlist.records import Record, RecordKey

Verdict = Literal["keep", "doubt", "drop", "stop"]
"""doubt: the record stays, unless the answer is stopped before one comes that is kept. stop: it goes, and all after."""

LOOK_BACK = 1000
"""Same-label records that a near-repeat is sought among, so that no answer takes quadratic time."""


class ListRule(Protocol):
    """One rule over one answer."""

    def judge(self, record: Record) -> Verdict:
        """What becomes of the next record."""
        ...


class RepeatLimit:
    """Stops at the `limit`-th record that the answer already holds; those before stay. With 1 it is repeat-stop."""

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._seen: set[RecordKey] = set()

    def judge(self, record: Record) -> Verdict:
        if record.key not in self._seen:
            self._seen.add(record.key)
            return "keep"
        self._left -= 1
        return "keep" if self._left else "stop"


class SkipRepeats:
    """Drops every record that the answer already holds, and lets it go on.

    Refused for nested lists: a label stands there once for many boxes, so a record has no text of its own to drop.
    """

    def __init__(self, protocol: BoxProtocol) -> None:
        if protocol.nested:
            raise InputError(
                "control repeat_skip",
                expected="a protocol with a label beside each box",
                got=protocol.name,
                remedy="Use repeat_stop, or a protocol that is not nested.",
            )
        self._seen: set[RecordKey] = set()

    def judge(self, record: Record) -> Verdict:
        if record.key in self._seen:
            return "drop"
        self._seen.add(record.key)
        return "keep"


class StaleStop:
    """Stops after `most` records in a row that the answer already holds; it drops that row."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._in_a_row = 0
        self._seen: set[RecordKey] = set()

    def judge(self, record: Record) -> Verdict:
        if record.key not in self._seen:
            self._seen.add(record.key)
            self._in_a_row = 0
            return "keep"
        self._in_a_row += 1
        return "stop" if self._in_a_row >= self._most else "doubt"


class NearRepeatStop:
    """Stops at a record whose box has an IoU of at least `iou` with an earlier one of its label.

    Impossible boxes have no area, and so no near-repeat.
    """

    def __init__(self, iou: float, protocol: BoxProtocol) -> None:
        if protocol.writes_points:
            raise InputError(
                "control near_repeat_stop",
                expected="a protocol that writes boxes",
                got=protocol.name,
                remedy="Points have no overlap: use repeat_stop.",
            )
        self._iou, self._protocol = iou, protocol
        self._boxes: dict[str, list[NDArray[np.float64]]] = {}

    def judge(self, record: Record) -> Verdict:
        box = self._protocol.corners([record.coordinates])  # IoU is the same in any unit
        if not is_possible(box)[0]:
            return "keep"
        earlier = self._boxes.setdefault(normalise_label(record.label), [])
        if earlier:
            others = np.concatenate(earlier[-LOOK_BACK:])
            pairs = np.zeros(len(others), dtype=np.int64), np.arange(len(others))
            if (iou_of_pairs(box, others, pairs) >= self._iou).any():
                return "stop"
        earlier.append(box)
        return "keep"


class DriftStop:
    """Stops at the `length`-th record in a row of one label that stand at equal steps; keeps the first two of them.

    Equal means within one unit of writing: 1, 0.1 in percent, or 0.0001 where boxes are written in 0-1. A step of
    nothing is a repeat and no drift.
    """

    def __init__(self, length: int, protocol: BoxProtocol) -> None:
        self._length, self._protocol = length, protocol
        self._unit = 10.0**-protocol.decimals
        self._label = ""
        self._last: NDArray[np.float64] | None = None
        self._step: NDArray[np.float64] | None = None
        self._in_a_row = 0

    def judge(self, record: Record) -> Verdict:
        box, label = self._protocol.corners([record.coordinates])[0], normalise_label(record.label)
        step = box - self._last if self._last is not None and label == self._label else None
        if step is None or np.abs(step).max() <= self._unit:
            step, self._in_a_row = None, 1
        elif self._step is not None and np.abs(step - self._step).max() <= self._unit:
            self._in_a_row += 1
        else:
            self._in_a_row = 2
        self._label, self._last, self._step = label, box, step
        if self._in_a_row >= self._length:
            return "stop"
        return "doubt" if self._in_a_row > 2 else "keep"


class MostItems:
    """Stops at the record that is one too many."""

    def __init__(self, most: int) -> None:
        self._left = most

    def judge(self, record: Record) -> Verdict:  # noqa: ARG002  any record counts
        self._left -= 1
        return "stop" if self._left < 0 else "keep"
