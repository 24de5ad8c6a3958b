"""One answer while it is written: stop strings and the list's rules over text pieces. No engine here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.controls.list_watch import ListWatch
from boxlist.controls.table import Controls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.protocols import Protocol

UNTIL = "until"


class AnswerWatch:
    """Takes text in pieces of any size and says when the answer is over, and why.

    A stop string of `until` ends the answer before the string; the one that is complete first counts. Text that may
    yet turn out to be part of a stop string is held back from the list's rules, so that the result is that of cutting
    the whole raw text at the stop string and then replaying the rules on it. `ending` is `until`, or the name of the
    control that ended the answer, None while nothing did.
    """

    def __init__(self, protocol: Protocol, until: Sequence[str] = (), controls: Controls | None = None) -> None:
        self._until = tuple(text for text in until if text)
        self._hold = max(map(len, self._until), default=1) - 1
        self._held = ""
        self._pieces: list[str] = []
        rules = (controls or Controls()).on_list
        self._list = ListWatch(protocol, rules) if rules.to_kwargs() else None
        self.ending: str | None = None

    def feed(self, piece: str) -> bool:
        """Take the next piece; True once the answer is over. Later pieces are ignored."""
        if self.ending:
            return True
        if not self._until:  # nothing to hold back, once a token
            self._keep(piece)
            return self.ending is not None
        window = self._held + piece
        cut = first_cut(window, self._until)
        safe = max(len(window) - self._hold, 0) if cut is None else cut
        self._held = window[safe:]
        self._keep(window[:safe])
        if cut is not None and self.ending is None:
            self._end_of_text()
            self.ending = self.ending or UNTIL
        return self.ending is not None

    def finish(self) -> None:
        """No more text will come: look at what was held back."""
        if self.ending is None:
            self._keep(self._held)
            self._end_of_text()

    def text(self) -> str:
        """The answer: cut at the stop string, or where a rule ended it and closed, or as it came."""
        return self._list.text() if self._list else "".join(self._pieces)

    def _keep(self, piece: str) -> None:
        if self._list is None:
            self._pieces.append(piece)
        elif self._list.feed(piece):
            self.ending = self._list.stopped_by

    def _end_of_text(self) -> None:
        if self._list is not None and self._list.finish():
            self.ending = self._list.stopped_by


def first_cut(text: str, until: Sequence[str]) -> int | None:
    """Where the stop string that is complete first begins; None if there is none.

    >>> first_cut("a, b; c", [";", ","]), first_cut("abc", ["x"])
    (1, None)
    """
    found = [(start + len(stop), start) for stop in until if (start := text.find(stop)) >= 0]
    return min(found)[1] if found else None
