"""The scanner of plain-text lists: a line an object, `[1, 2, 3, 4] tree`, or `tree: [1, 2, 3, 4]` with the label first.

**Record.** A bracket with exactly the protocol's count of finite numbers, and the label of its line. Label first: the
text before the line's first bracket, so a record is complete when its bracket closes, and a nested line
(`tree: [1, 2, 3, 4], [5, 6, 7, 8]`) has a record a bracket. Box first: the text behind the bracket, up to the next
bracket or the end of the line or of the answer (`rest`); a cut within that last label cannot be seen in the text. A
bullet before a label or a bracket, and a colon between the two, belong to neither.

A line that says `none` and no other is a list of nothing.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from boxlist.found import MAX_RECORD_CHARS, FoundRecord, Status
from boxlist.json_list import FENCE, are_finite_numbers, refuse_constant
from boxlist.list_writing import NO_LINES
from boxlist.records import Record

if TYPE_CHECKING:
    from boxlist.protocols import Protocol

_TOKEN = re.compile(r"[\n\[\]]|[^\n\[\]]+")
_BULLETS = ("-", "*", "\u2022")
_LONGEST_BOX = 1024
_LONGEST_TEXT = MAX_RECORD_CHARS // 2


class LineListScanner:
    """Finds the complete records of one answer; same use as `JsonListScanner`."""

    def __init__(self, protocol: Protocol) -> None:
        self._n_coordinates = protocol.n_coordinates
        self._label_first = protocol.label_first
        self._nested = protocol.nested
        self._base = 0
        self._text, self._text_at = "", 0  # of the line, outside brackets, since the last of them
        self._bracket: str | None = None  # what is in the bracket that is open
        self._label = ""  # of the line, where it comes first
        self._boxes = 0  # in the line
        self._box: tuple[Any, ...] | None = None  # one that waits for its label
        self._blank = self._fits = True
        self._lines = self._nothings = self._fences = 0

    @property
    def retained(self) -> int:
        """Characters and numbers kept between calls; `MAX_RETAINED` at most."""
        return len(self._text) + len(self._bracket or "") + len(self._label) + len(self._box or ())

    def feed(self, piece: str) -> list[FoundRecord]:
        """Read the next piece; return the records that it completes, in order."""
        self._blank = self._blank and (not piece or piece.isspace())
        found: list[FoundRecord] = []
        for token in _TOKEN.finditer(piece):
            self._take(token.group(), self._base + token.start(), found)
        self._base += len(piece)
        return found

    def rest(self) -> list[FoundRecord]:
        """The record that the end of the answer completes, if there is one; feeding may go on after it."""
        record = self._waiting_record() if self._bracket is None else None
        return [] if record is None else [record]

    def finish(self) -> Status:
        """The status of everything fed so far, taken as the whole answer.

        valid: lines with their boxes, or `none`, and at most one fence around them. truncated: the text ends in a
        bracket, between a box and its label, or before the closing fence. empty: nothing but white space. malformed:
        the rest, prose around the lines included.
        """
        if self._blank:
            return "empty"
        if self._bracket is not None:
            return "truncated"
        fits, lines, nothings, fences = self._fits, self._lines, self._nothings, self._fences
        if self._box is not None and self._waiting_record() is None:
            return "truncated" if not self._text.strip() else "malformed"
        if self._boxes:
            fits = fits and self._line_fits()
            lines += 1
        elif self._text.strip():
            last = self._text.strip()
            if not self._is_said(last):
                begun = self._label_first and fits and lines and fences < 2  # it may be the next line's label
                return "truncated" if begun else "malformed"
            nothings += last.lower() == NO_LINES
            fences += last.startswith(FENCE)
        if fits and fences == 1:
            return "truncated"
        return "valid" if fits and fences in {0, 2} and bool(lines) != (nothings == 1) else "malformed"

    def closing(self) -> str:
        """What closes the fence that is open here; one within a line is a part of its label."""
        return f"\n{FENCE}" if self._fences == 1 else ""

    def _take(self, text: str, at: int, found: list[FoundRecord]) -> None:
        if text == "\n":
            self._end_line(found)
        elif text == "[":
            self._open_bracket(found)
        elif self._bracket is not None:
            if text == "]":
                self._close_bracket(at + 1, found)
            else:
                self._bracket = (self._bracket + text)[: _LONGEST_BOX + 1]
        else:
            if not self._text:
                self._text_at = at
            self._text = (self._text + text)[: _LONGEST_TEXT + 1]

    def _open_bracket(self, found: list[FoundRecord]) -> None:
        if self._bracket is not None:  # one that never closed
            self._fits = False
        elif not self._boxes:
            self._begin_line()
        else:
            self._fits = self._fits and self._nested and self._text.strip() in {"", ","}
            self._give_label(found)
        self._bracket, self._text = "", ""

    def _begin_line(self) -> None:
        self._fits = self._fits and not self._nothings and self._fences < 2
        if self._label_first:
            self._label = _label_before(self._text) if len(self._text) <= _LONGEST_TEXT else ""
        else:
            self._fits = self._fits and self._text.strip() in {"", *_BULLETS}

    def _close_bracket(self, end: int, found: list[FoundRecord]) -> None:
        numbers = _numbers(self._bracket or "")
        self._bracket = None
        self._boxes += 1
        if len(numbers) != self._n_coordinates or not are_finite_numbers(numbers):
            self._fits = False
        elif not self._label_first:
            self._box, self._text_at = tuple(numbers), end
        elif self._label:
            found.append(FoundRecord(Record(self._label, tuple(numbers)), end))
        else:
            self._fits = False

    def _give_label(self, found: list[FoundRecord]) -> None:
        """The box that waits for its label gets it."""
        if self._box is not None:
            record = self._waiting_record()
            self._fits = self._fits and record is not None
            found += [] if record is None else [record]
            self._box = None

    def _waiting_record(self) -> FoundRecord | None:
        label = self._text.strip().removeprefix(":").lstrip()
        if self._box is None or not label or len(self._text) > _LONGEST_TEXT:
            return None
        return FoundRecord(Record(label, self._box), self._text_at + len(self._text.rstrip()))

    def _end_line(self, found: list[FoundRecord]) -> None:
        text = self._text.strip()
        if self._bracket is not None:
            self._fits = False
        elif self._boxes:
            self._fits = self._fits and self._line_fits()
            self._give_label(found)
        elif text:
            self._fits = self._fits and self._is_said(text)
            self._nothings += text.lower() == NO_LINES
            self._fences += text.startswith(FENCE)
        self._lines += bool(self._boxes)
        self._text, self._bracket, self._label, self._boxes = "", None, "", 0

    def _line_fits(self) -> bool:
        """What stands behind the last bracket of a line: its label, or nothing where that came first."""
        return not self._label_first or not self._text.strip()

    def _is_said(self, text: str) -> bool:
        """A line without a box that may stand there: `none` for a list of nothing, a fence before or behind it all."""
        if text.lower() == NO_LINES:
            return not self._lines and not self._nothings and self._fences < 2
        if self._fences or not (self._lines or self._nothings):
            return text == FENCE or (text.startswith(FENCE) and not self._fences and text[3:].isalnum())
        return False


def _label_before(text: str) -> str:
    label = text.strip().removesuffix(":").rstrip()
    return label[1:].lstrip() if label.startswith(_BULLETS) and label[1:2].isspace() else label


def _numbers(text: str) -> list[Any]:
    """The numbers between two brackets; none where it is not numbers, or too long."""
    if len(text) > _LONGEST_BOX:
        return []
    try:
        numbers: list[Any] = json.loads(f"[{text}]", parse_constant=refuse_constant)
    except ValueError:
        return []
    return numbers
