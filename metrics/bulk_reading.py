"""Reading thousands of answers at once into arrays.

Answers that are written exactly as the protocol asks are read many at a time by `canonical_lists`, those that break off
after such a beginning likewise; all others go to `scanner.read_answer`. It is a shortcut, never a second opinion: a
property test holds both equal.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.metrics.canonical_lists import CanonicalAnswers, read_canonical
from boxlist.records import Record, normalise_label
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.protocols import Protocol
    from boxlist.scanner import Answer, Status

# text after a record that cannot close the list: at most a record that is begun, in which its array may be closed
_PLAIN = r"[^\[\]{}\\]*"
_LIST_STAYS_OPEN = re.compile(rf'{_PLAIN}(\{{{_PLAIN}(\[[^"\[\]{{}}\\]*(\]{_PLAIN})?)?)?')
_SHORT = 4096


class ReadAnswers(NamedTuple):
    """Answers as arrays: A statuses, `counts` `(A,)` of records, and the labels and numbers of all P records in order.

    `labels` `(P,)` are numbers from a `LabelNumbers`; `coordinates` `(P, 4)`, of points `(P, 2)`, are as written, in
    the protocol's unit.
    """

    statuses: list[Status]
    counts: NDArray[np.int64]
    labels: NDArray[np.int64]
    coordinates: NDArray[np.float64]


class LabelNumbers(dict[str, int]):
    """Numbers from 0 for labels: equal where the normalised labels are equal."""

    def __init__(self) -> None:
        super().__init__()
        self._of_normal: dict[str, int] = {}

    def __missing__(self, label: str) -> int:
        number = self._of_normal.setdefault(normalise_label(label), len(self._of_normal))
        self[label] = number
        return number


def read_answers(texts: Sequence[str], protocol: Protocol, numbers: LabelNumbers) -> ReadAnswers:
    """Read answers as `scanner.read_answer` reads each of them; a thousand at a time is fastest."""
    statuses: list[Status] = ["valid"] * len(texts)
    rests: dict[int, str] = {}
    scanned: dict[int, Answer] = {}
    canonical = None
    if protocol.syntax == "json" and protocol.n_coordinates == 4:
        beginnings = list(texts)
        for index, text in enumerate(texts):
            if not text.endswith('"}]'):
                beginnings[index], rests[index] = _split(text)
        canonical = read_canonical(beginnings, protocol, numbers.__getitem__)
    readable = canonical.readable if canonical else np.zeros(len(texts), dtype=bool)
    for index in np.flatnonzero(~readable).tolist():
        scanned[index] = read_answer(texts[index], protocol)
        statuses[index] = scanned[index].status
    for index, rest in rests.items():
        if readable[index]:
            statuses[index] = _status_with_rest(rest, protocol)
    return _assemble(statuses, canonical, scanned, numbers, protocol.n_coordinates)


def _split(text: str) -> tuple[str, str]:
    """A text that breaks off, as the list of its whole records, closed, and the rest; ("", "") if that is not clear.

    Brackets must add up to one pair a record and one list, so that none can be hidden in a label.
    """
    end = text.rfind('"}') + 2
    beginning, rest = text[:end] + "]", text[end:]
    n_records = beginning.count("}")
    balanced = (
        beginning.count("{") == n_records
        and beginning.count("[") == beginning.count("]") == n_records + 1
        and beginning.count('"') == 6 * n_records
        and "}" not in rest
    )
    return (beginning, rest) if balanced else ("", "")


def _status_with_rest(rest: str, protocol: Protocol) -> Status:
    """The status of a list of records followed by `rest`; it does not depend on which records, or how many."""
    if len(rest) <= _SHORT and _LIST_STAYS_OPEN.fullmatch(rest):
        return "truncated"
    return read_answer(protocol.write([Record("x", (0, 0, 0, 0))])[:-1] + rest, protocol).status


def _assemble(
    statuses: list[Status],
    canonical: CanonicalAnswers | None,
    scanned: dict[int, Answer],
    numbers: LabelNumbers,
    n_coordinates: int,
) -> ReadAnswers:
    """Put the records of both ways of reading into the order of the answers."""
    counts = canonical.counts.copy() if canonical else np.zeros(len(statuses), dtype=np.int64)
    if canonical and not scanned:
        return ReadAnswers(statuses, counts, canonical.labels, canonical.coordinates)
    others = list(scanned)
    counts[others] = [len(answer.records) for answer in scanned.values()]
    is_scanned = np.zeros(len(statuses), dtype=bool)
    is_scanned[others] = True
    is_scanned = np.repeat(is_scanned, counts)
    labels = np.empty(len(is_scanned), dtype=np.int64)
    coordinates = np.empty((len(is_scanned), n_coordinates))
    if canonical:
        labels[~is_scanned], coordinates[~is_scanned] = canonical.labels, canonical.coordinates
    records = list(chain.from_iterable(answer.records for answer in scanned.values()))
    if records:
        labels[is_scanned] = [numbers[record.label] for record in records]
        coordinates[is_scanned] = [record.coordinates for record in records]
    return ReadAnswers(statuses, counts, labels, coordinates)
