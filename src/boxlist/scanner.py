"""Reading answers: the scanner that both scores answers and watches them while they are generated.

`RecordScanner` takes an answer in pieces of any size; `read_answer` takes a whole one; both give the same records and
the same status. What a record is, and what each status means, is said in `json_list`, `nested_list`, `line_list`,
`loc_list` and `point_list`; the limits are in `found`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.found import MAX_DEPTH, MAX_RECORD_CHARS, MAX_RETAINED, FoundRecord, Status
from boxlist.json_list import FENCE, JsonListScanner
from boxlist.line_list import LineListScanner
from boxlist.loc_list import LocListScanner
from boxlist.nested_list import NestedListScanner
from boxlist.plain_list import read_plain_list
from boxlist.point_list import PointListScanner

if TYPE_CHECKING:
    from boxlist.protocols import Protocol, Syntax
    from boxlist.records import Record

__all__ = [
    "MAX_DEPTH",
    "MAX_RECORD_CHARS",
    "MAX_RETAINED",
    "Answer",
    "FoundRecord",
    "RecordScanner",
    "Status",
    "close_list",
    "read_answer",
]


class Answer(NamedTuple):
    """One answer as read: `records` are all that are complete in it, in order, whatever the status.

    An answer is parse-valid when its status is "valid".
    """

    status: Status
    records: tuple[Record, ...]


class RecordScanner:
    """Finds the complete records of one answer as its text arrives.

    >>> from boxlist.protocols import protocol_named
    >>> scanner = RecordScanner(protocol_named("norm1000_xyxy"))
    >>> scanner.feed('[{"bbox_2d": [1, 2, 3, 4], "lab'), scanner.finish()
    ([], 'truncated')
    >>> scanner.feed('el": "tree"}'), scanner.feed("]"), scanner.finish()
    ([FoundRecord(record=Record(label='tree', coordinates=(1, 2, 3, 4)), end=43)], [], 'valid')
    """

    def __init__(self, protocol: Protocol) -> None:
        self._scanner = _SCANNERS[protocol.syntax](protocol)

    def feed(self, piece: str) -> list[FoundRecord]:
        """Read the next piece of the answer; return the records that it completes, in order."""
        return self._scanner.feed(piece)

    def finish(self) -> Status:
        """The status of everything fed so far."""
        return self._scanner.finish()

    def rest(self) -> list[FoundRecord]:
        """The record that only the end of the answer completes: one whose label is last in it; none in JSON."""
        return self._scanner.rest()

    @property
    def retained(self) -> int:
        """How much is kept between calls, in characters and brackets: `MAX_RETAINED` at most."""
        return self._scanner.retained


def read_answer(text: str, protocol: Protocol) -> Answer:
    """Read a whole answer: the same records and status as a `RecordScanner` gives that is fed the text.

    >>> from boxlist.protocols import protocol_named
    >>> read_answer('Sure: [{"box": [1, 2, 3, 4], "label": "tree"}, {"box": [1, 2', protocol_named("norm1000_xyxy"))
    Answer(status='truncated', records=(Record(label='tree', coordinates=(1, 2, 3, 4)),))
    """
    if protocol.syntax == "json":
        records = read_plain_list(text, protocol)
        if records is not None:
            return Answer("valid", records)
    scanner = RecordScanner(protocol)
    found = scanner.feed(text) + scanner.rest()
    return Answer(scanner.finish(), tuple(one.record for one in found))


def close_list(text: str, end: int, protocol: Protocol) -> str:
    """Cut an answer at `end`, the end of a record, and close what is open there: brackets and then the fence, or a tag.

    >>> from boxlist.protocols import protocol_named
    >>> close_list('[{"box": [1, 2, 3, 4], "label": "tree"}, {"box', 39, protocol_named("norm1000_xyxy"))
    '[{"box": [1, 2, 3, 4], "label": "tree"}]'
    """
    kept = text[:end]
    if protocol.syntax == "loc":
        return kept
    if protocol.syntax == "point":
        points = PointListScanner(protocol)
        points.feed(kept)
        return kept + points.closing()
    if protocol.syntax == "plain":
        lines = LineListScanner(protocol)
        lines.feed(kept)
        return kept + lines.closing()
    if protocol.syntax == "nested_json":
        nested = NestedListScanner(protocol)
        nested.feed(kept)
        return kept + nested.closing()
    scanner = JsonListScanner(protocol)
    scanner.feed(kept)
    brackets = scanner.open_brackets()
    outermost = end
    closers = ""
    for bracket in reversed(brackets):
        closers += "]" if bracket < 0 else "}"
        outermost = max(bracket, ~bracket)
    fence = "\n" + FENCE if kept.count(FENCE, 0, outermost) % 2 else ""
    return kept + closers + fence


_Scanner = JsonListScanner | NestedListScanner | LineListScanner | LocListScanner | PointListScanner
_SCANNERS: dict[Syntax, type[_Scanner]] = {
    "json": JsonListScanner,
    "nested_json": NestedListScanner,
    "plain": LineListScanner,
    "loc": LocListScanner,
    "point": PointListScanner,
}
