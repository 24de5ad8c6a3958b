"""Repeat-stop: end an answer when it starts to repeat itself. No engine here; any source of text can drive it.

Live, `feed` gets the text as it is generated and says when to stop. Offline, `replay` applies the same rule to a
finished raw answer. Without sampling the two agree, because the stopped answer is a prefix of the raw one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.scanner import RecordScanner, close_list

if TYPE_CHECKING:
    from boxlist.protocols import Protocol
    from boxlist.records import RecordKey
    from boxlist.scanner import FoundRecord


class Stopped(NamedTuple):
    """An answer after repeat-stop; `text` is the raw text itself where it was not `triggered`."""

    text: str
    triggered: bool


class RepeatStop:
    """Watches one answer, fires at most once, at the first record whose normalised form the answer already holds.

    >>> from boxlist.protocols import PROTOCOLS
    >>> stop = RepeatStop(PROTOCOLS["norm1000_xyxy"])
    >>> first = '{"bbox_2d": [1, 2, 3, 4], "label": "tree"}'
    >>> stop.feed("[" + first), stop.feed(", " + first + ", ")
    (False, True)
    >>> stop.text() == "[" + first + "]"
    True
    """

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._scanner = RecordScanner(protocol)
        self._seen: set[RecordKey] = set()
        self._pieces: list[str] = []
        self._kept_end = 0
        self._triggered = False

    @property
    def triggered(self) -> bool:
        return self._triggered

    def feed(self, piece: str) -> bool:
        """Take the next piece of text, of any size; True once the answer is over. Later pieces are ignored."""
        if self._triggered:
            return True
        self._pieces.append(piece)
        return self._look_at(self._scanner.feed(piece))

    def finish(self) -> bool:
        """No more text will come: look at a record that only the end completes, the last of a `loc` list."""
        return self._triggered or self._look_at(self._scanner.rest())

    def text(self) -> str:
        """The answer: all text fed, or, once triggered, through the last kept record and closed."""
        text = "".join(self._pieces)
        return close_list(text, self._kept_end, self._protocol) if self._triggered else text

    def _look_at(self, found: list[FoundRecord]) -> bool:
        for record, end in found:
            if record.key in self._seen:
                self._triggered = True
                break
            self._seen.add(record.key)
            self._kept_end = end
        return self._triggered


def replay(text: str, protocol: Protocol) -> Stopped:
    """What repeat-stop would have made of a raw answer."""
    stop = RepeatStop(protocol)
    stop.feed(text)
    triggered = stop.finish()
    return Stopped(stop.text(), triggered)
