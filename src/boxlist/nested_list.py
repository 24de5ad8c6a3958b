"""The scanner of nested JSON lists: `[{"label": "tree", "bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]]}, ...]`.

**Record.** A box in the list of boxes of an object whose label stands before that list: so each box is a record as soon
as its bracket closes, and a list of boxes that never ends can be watched. Labels and boxes stand under the keys that
flat lists have; other fields hold single values. An object that breaks these rules is given up where it breaks them,
and what follows is searched for the next `{`; a box without its count of finite numbers is passed over.

One pass from token to token; strings, words and gaps longer than `_LONGEST` make an answer malformed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from boxlist.found import MAX_RECORD_CHARS, FoundRecord, Status
from boxlist.json_list import BETWEEN, CLOSING, EMPTY_FENCE, FENCE, OPENING, are_finite_numbers, refuse_constant
from boxlist.records import Record

if TYPE_CHECKING:
    from boxlist.protocols import Protocol

_LONGEST = MAX_RECORD_CHARS // 4  # of a key, a label, a string that is read, a gap: they may be kept at once
_IN_STRING = re.compile(r'[^"\\]*')
_WORD = re.compile(r'[^\s"{}\[\]:,]+')

Place = Literal[
    "outside", "first key", "key", "colon", "value", "after value",
    "first box", "box", "number", "after number", "after box",
]  # fmt: skip
# From a place in an object, and what comes there (`"` a string, `w` any other word), to the next place
_NEXT: dict[tuple[Place, str], Place] = {
    ("first key", '"'): "colon",
    ("first key", "}"): "outside",
    ("key", '"'): "colon",
    ("colon", ":"): "value",
    ("value", '"'): "after value",
    ("value", "w"): "after value",
    ("value", "["): "first box",
    ("after value", ","): "key",
    ("after value", "}"): "outside",
    ("first box", "["): "number",
    ("first box", "]"): "after value",
    ("box", "["): "number",
    ("number", "w"): "after number",
    ("after number", ","): "number",
    ("after number", "]"): "after box",
    ("after box", ","): "box",
    ("after box", "]"): "after value",
}
_CLOSERS: dict[Place, str] = {"number": "]]}", "after number": "]]}", "first box": "]}", "box": "]}", "after box": "]}"}


class NestedListScanner:
    """Finds the complete records of one answer; same use as `JsonListScanner`."""

    def __init__(self, protocol: Protocol) -> None:
        self._box_keys = frozenset(protocol.coordinate_keys)
        self._label_keys = frozenset(protocol.label_keys)
        self._n_coordinates = protocol.n_coordinates
        self._base = 0
        self._place: Place = "outside"
        # what stands around the objects
        self._blank = self._fits = True
        self._gap = ""
        self._fenced = self._listed = False
        self._n_objects = 0
        # what is being read
        self._in_string = self._escaped = False
        self._read = ""
        # the object that is open
        self._key = ""
        self._label: str | None = None
        self._has_boxes = False
        self._numbers: list[Any] = []

    @property
    def retained(self) -> int:
        """Characters and numbers kept between calls; `MAX_RETAINED` at most."""
        return len(self._gap) + len(self._read) + len(self._key) + len(self._label or "") + len(self._numbers)

    def feed(self, piece: str) -> list[FoundRecord]:
        """Read the next piece; return the records that it completes, in order."""
        found: list[FoundRecord] = []
        at = 0
        while at < len(piece):
            if self._place == "outside":
                at = self._read_outside(piece, at)
            elif self._in_string:
                at = self._read_string(piece, at)
            else:
                at = self._read_token(piece, at, found)
        self._base += len(piece)
        return found

    def rest(self) -> list[FoundRecord]:
        """The records that only the end of the answer completes: none."""
        return []

    def finish(self) -> Status:
        """The status of everything fed so far; feeding may go on after it. As for flat lists."""
        if self._place != "outside":
            return "truncated"
        if self._blank:
            return "empty"
        whole = self._status_of_list() if self._fits else None
        return whole or ("truncated" if self._listed else "malformed")

    def closing(self) -> str:
        """What closes the brackets and the fence that are open here."""
        fence = f"\n{FENCE}" if self._fenced else ""
        return _CLOSERS.get(self._place, "") + ("]" if self._listed else "") + fence

    def _read_outside(self, piece: str, at: int) -> int:
        start = piece.find("{", at)
        end = len(piece) if start < 0 else start
        text = piece[at:end].lstrip() if self._blank else piece[at:end]
        self._blank = self._blank and not text
        opened, closed = text.rfind("["), text.rfind("]")
        if opened != closed:
            self._listed = opened > closed
        self._gap = (self._gap + text)[: _LONGEST + 1] if self._fits else ""
        if start < 0:
            return end
        self._begin_object()
        return start + 1

    def _begin_object(self) -> None:
        match = (BETWEEN if self._n_objects else OPENING).fullmatch(self._gap)
        self._fits = self._fits and match is not None and len(self._gap) <= _LONGEST
        if match is not None and not self._n_objects:
            self._fenced = match[1] is not None
        self._blank, self._gap, self._place = False, "", "first key"
        self._key, self._label, self._has_boxes = "", None, False

    def _read_string(self, piece: str, at: int) -> int:
        match = _IN_STRING.match(piece, at)
        end = at + 1 if self._escaped or match is None else match.end()
        closes = not self._escaped and end < len(piece) and piece[end] == '"'
        escapes = not self._escaped and end < len(piece) and not closes
        end += escapes
        self._read = (self._read + piece[at:end])[: _LONGEST + 1]
        self._escaped = escapes
        if not closes:
            return end
        text, self._read, self._in_string = self._read, "", False
        try:
            value = json.loads(f'"{text}"') if len(text) <= _LONGEST else None
        except ValueError:
            value = None
        if value is None or not self._goes_on('"', value):
            self._give_up()
        return end + 1

    def _read_token(self, piece: str, at: int, found: list[FoundRecord]) -> int:
        match = _WORD.match(piece, at)
        if match is not None:
            self._read = (self._read + match.group())[: _LONGEST + 1]
            return match.end()
        if self._read:
            word, self._read = self._read, ""
            if not self._goes_on("w", word):
                self._give_up()
                return at
        mark = piece[at]
        if mark == '"':
            self._in_string = True
        elif not mark.isspace():
            before = self._place
            if not self._goes_on(mark, ""):
                self._give_up()
                return at if mark == "{" else at + 1
            if before == "after number" and mark == "]":
                self._end_box(self._base + at + 1, found)
        return at + 1

    def _goes_on(self, mark: str, value: str) -> bool:
        """Go to the next place; False where the object breaks off."""
        place = self._place
        following = _NEXT.get((place, mark))
        if following is None:
            return False
        self._place = following
        if following == "colon":
            self._key = value
        elif place == "value":
            return self._begins_value(mark, value)
        elif following == "number":
            self._numbers = [] if mark == "[" else self._numbers
        elif place == "number":
            self._numbers = [*self._numbers, _number(value)][: self._n_coordinates + 1]
        elif following == "outside":
            self._n_objects += 1
            self._fits = self._fits and self._has_boxes
        return True

    def _begins_value(self, mark: str, value: str) -> bool:
        if mark == "[":
            first = self._key in self._box_keys and self._label is not None and not self._has_boxes
            self._has_boxes = True
            return first
        if self._key in self._label_keys:
            first = mark == '"' and self._label is None
            self._label = value
            return first
        return self._key not in self._box_keys and (mark == '"' or _is_json(value))

    def _end_box(self, end: int, found: list[FoundRecord]) -> None:
        if self._label is not None and len(self._numbers) == self._n_coordinates and are_finite_numbers(self._numbers):
            found.append(FoundRecord(Record(self._label, tuple(self._numbers)), end))
        else:
            self._fits = False

    def _give_up(self) -> None:
        self._fits, self._place, self._read = False, "outside", ""

    def _status_of_list(self) -> Status | None:
        if len(self._gap) > _LONGEST:
            return None
        at, fenced = 0, self._fenced
        if not self._n_objects:
            if EMPTY_FENCE.fullmatch(self._gap):
                return "empty"
            opening = OPENING.match(self._gap)
            if opening is None:
                return None
            at, fenced = opening.end(), opening[1] is not None
        closing = CLOSING.fullmatch(self._gap, at)
        if closing is None:
            return None
        if fenced:
            return "valid" if closing[1] == FENCE else "truncated"
        return "valid" if not closing[1] else None


def _number(word: str) -> Any:
    """The number that a word writes; None for any other word."""
    return _parsed(word) if _is_json(word) else None


def _is_json(word: str) -> bool:
    try:
        _parsed(word)
    except ValueError:  # no JSON, or an integer beyond Python's limit of digits
        return False
    return True


def _parsed(word: str) -> Any:
    return json.loads(word, parse_constant=refuse_constant)
