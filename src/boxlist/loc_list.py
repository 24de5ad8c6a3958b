"""The scanner of PaliGemma's lists: `<loc0012><loc0034><loc0100><loc0200> red circle ; <loc...`.

**Record.** Exactly four location tokens, each 0000 to 1023, with nothing but white space between them, and then a label
that is not blank. The label ends before `;`, a new line, or `<`, and it is complete only when one of them is there. At
the end of an answer nothing is there, so that the end itself closes the last record (`rest`): a cut within the last
label cannot be seen in the text, only in the model's finish reason.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from boxlist.found import MAX_RECORD_CHARS, FoundRecord, Status
from boxlist.records import Record

if TYPE_CHECKING:
    from boxlist.protocols import Protocol

_TOKEN = re.compile(r"<loc(\d{4})>|[;\n<]|[^;\n<]+", re.ASCII)
_TOKEN_BEGUN = re.compile(r"<(?:l(?:o(?:c\d{0,4})?)?)?\Z", re.ASCII)
_BOUNDARIES = frozenset(";\n<")
_MAX_LOC = 1023


class LocListScanner:
    """Finds the complete records of one answer; same use as `JsonListScanner`."""

    def __init__(self, protocol: Protocol) -> None:
        self._n_coordinates = protocol.n_coordinates
        self._begun = ""  # the start of a location token that the next piece may complete
        self._base = 0  # characters read, without `_begun`
        self._run: list[int] = []  # the location tokens of the record that is open, one too many at most
        self._label = ""  # what follows the tokens, from its first character that is not blank
        self._label_at = 0  # where that character stands
        self._blank = True
        self._seen_location = False
        self._fits = True
        self._separated = True  # at the start, or just past a `;`

    @property
    def retained(self) -> int:
        """Characters and numbers kept between calls; `MAX_RETAINED` at most."""
        return len(self._begun) + len(self._run) + len(self._label)

    def feed(self, piece: str) -> list[FoundRecord]:
        """Read the next piece; return the records that it completes, in order."""
        text = self._begun + piece
        begun = _TOKEN_BEGUN.search(text, max(0, len(text) - len("<loc0000")))
        end = begun.start() if begun else len(text)
        self._begun = text[end:]
        self._blank = self._blank and (not text or text.isspace())
        found: list[FoundRecord] = []
        for token in _TOKEN.finditer(text, 0, end):
            if token.group(1):
                self._location(int(token.group(1)), found)
            elif token.group() in _BOUNDARIES:
                self._boundary(token.group(), found)
            else:
                self._words(token.group(), self._base + token.start())
        self._base += end
        return found

    def rest(self) -> list[FoundRecord]:
        """The record that the end of the answer completes, if there is one; feeding may go on after it."""
        record = self._record()
        return [] if record is None else [FoundRecord(record, self._label_end())]

    def finish(self) -> Status:
        """The status of everything fed so far, taken as the whole answer.

        valid: records separated by `;` and nothing else. truncated: the text ends within a location token, before a
        record's label, or after a `;`. empty: nothing but white space, which is also how this syntax writes an empty
        list. malformed: the rest.
        """
        if self._blank:
            return "empty"
        if self._begun or self._separated or (self._run and not self._label):
            return "truncated" if self._seen_location or self._begun else "malformed"
        return "valid" if self._fits and (not self._run or self._record() is not None) else "malformed"

    def _location(self, value: int, found: list[FoundRecord]) -> None:
        if self._label:
            self._fits = False  # no `;` before this record
            self._close(found)
        elif not self._run and not self._separated:
            self._fits = False
        self._separated, self._seen_location = False, True
        if len(self._run) <= self._n_coordinates:
            self._run.append(value)

    def _boundary(self, char: str, found: list[FoundRecord]) -> None:
        if char == "\n" and not self._label:
            return
        if self._run:
            self._close(found)
        elif self._separated:
            self._fits = False  # two separators, or one before the first record
        self._separated = char == ";"
        self._fits = self._fits and char != "<"

    def _words(self, text: str, start: int) -> None:
        if not self._label:
            blanks = len(text) - len(text.lstrip())
            text, self._label_at = text[blanks:], start + blanks
        if self._run:
            self._label = (self._label + text)[: MAX_RECORD_CHARS + 1]
        elif text:
            self._fits = self._separated = False

    def _close(self, found: list[FoundRecord]) -> None:
        record = self._record()
        if record is None:
            self._fits = False
        else:
            found.append(FoundRecord(record, self._label_end()))
        self._run, self._label = [], ""

    def _record(self) -> Record | None:
        if not self._label or len(self._label) > MAX_RECORD_CHARS:
            return None
        if len(self._run) != self._n_coordinates or max(self._run) > _MAX_LOC:
            return None
        return Record(self._label.rstrip(), tuple(self._run))

    def _label_end(self) -> int:
        return self._label_at + len(self._label.rstrip())
