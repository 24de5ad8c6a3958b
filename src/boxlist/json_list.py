r"""The scanner of JSON lists: complete records out of any text, in one pass, fed in pieces of any size.

**Record.** Every substring that is one JSON object with a label string and exactly the protocol's count of finite
numbers is a record, wherever it stands: in a list, in two lists, in prose, in another object. Records come in the order
of their closing braces. Being defined by the substring alone, they depend neither on how the text was cut into pieces
nor on what follows, and garbage before them cannot hide them. A box may stand under any of `BOX_KEYS`, a point under
any of `POINT_KEYS`, the label under any of `LABEL_KEYS`; where an object has several of them, the protocol's own
decides, then the first in the table.
A key that comes twice in an object makes it no record. `NaN` and `Infinity` are no JSON; 1e999 and integers that
float64 cannot hold are no finite numbers; booleans are no numbers. Any other fields may be there, whatever they hold.

**How.** Only quotes, backslashes and brackets matter, and a regular expression skips to the next of them. Whether a
quote opens or closes a string depends on which `{` one starts from, and there are only two ways to see it. So two
stacks of open brackets are kept, one for each way: at any time one is `outside` strings and the other `inside` one,
and a quote swaps them. A `}` takes its `{` off the outside stack, and the C parser of `json` judges what lies between.
Nothing but a `}` completes a record, so what comes without one only waits, up to `SLACK_CHARS`.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn

from boxlist.found import MAX_DEPTH, MAX_RECORD_CHARS, SLACK_CHARS, FoundRecord, Status
from boxlist.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.protocols import Protocol

FENCE = "```"
_NUMBERS = ({int}, {float}, {int, float})

# Where something happens: a run of one mark, or, so that most records need one stop, a whole object with nothing in
# its strings and arrays that could matter. An attempt at the latter ends at the next `{`, which keeps the scan linear.
_PLAIN = r'[^"\\{}\[\]]'
_STOP = re.compile(rf'{{(?>{_PLAIN}+|"{_PLAIN}*"|\[{_PLAIN}*\])*+}}|"+|\\+|{{+|}}+|\[+|\]+')
_BLANK = r"[ \t\n\r]*"  # white space as JSON has it
_FENCE_LINE = r"```[\w+-]*\s*"
OPENING = re.compile(rf"\s*({_FENCE_LINE})?\[{_BLANK}")
BETWEEN = re.compile(rf"{_BLANK},{_BLANK}")
CLOSING = re.compile(rf"{_BLANK}\]\s*(`{{0,3}})\s*")
FENCED_LIST = re.compile(rf"{_FENCE_LINE}(\[.*\])\s*```", re.DOTALL)
EMPTY_FENCE = re.compile(rf"\s*{_FENCE_LINE}(?:```\s*)?")


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# objects come as pairs, so that repeated keys are seen
parse_at = json.JSONDecoder(object_pairs_hook=tuple, parse_constant=refuse_constant).raw_decode


class JsonListScanner:
    """Finds the complete records of one answer; `feed` it pieces, then ask `finish` how the whole was."""

    def __init__(self, protocol: Protocol) -> None:
        self._box_keys = protocol.coordinate_keys
        self._label_keys = protocol.label_keys
        self._n_coordinates = protocol.n_coordinates
        self._text = ""  # the end of what was fed, as far back as anything still needs it
        self._base = 0  # index of its first character in all that was fed
        self._waiting = ""  # what was fed after that and is not yet read
        # open brackets, oldest first: p for a `{` at index p, ~p for a `[`
        self._outside: list[int] = []
        self._inside: list[int] = []
        self._escaped = -1  # index of a character that a backslash escapes
        # the answer as a whole, while it may still be valid
        self._blank = True
        self._fits = True
        self._fenced = False
        self._gap: int | None = 0  # where the text between elements starts; None within an element
        self._n_elements = 0
        self._element = -1  # where the element that is open starts

    @property
    def retained(self) -> int:
        """Characters and brackets kept between calls; `MAX_RETAINED` at most."""
        return len(self._text) + len(self._waiting) + len(self._outside) + len(self._inside)

    def feed(self, piece: str) -> list[FoundRecord]:
        """Read the next piece; return the records that it completes, in order."""
        self._waiting += piece
        return self._read() if "}" in piece or len(self._waiting) > SLACK_CHARS else []

    def finish(self) -> Status:
        """The status of everything fed so far; feeding may go on after it.

        valid: white space and at most one fence around one JSON array of nothing but records. truncated: the text
        ended inside an open list, or inside the fence around a closed one. empty: nothing but white space or a fence
        with nothing in it. malformed: the rest.
        """
        self._read()
        if self._blank:
            return "empty"
        whole = self._status_of_list()
        if whole is not None:
            return whole
        return "truncated" if any(bracket < 0 for bracket in (*self._outside, *self._inside)) else "malformed"

    def rest(self) -> list[FoundRecord]:
        """The records that only the end of the answer completes: none, a record needs its closing brace."""
        return []

    def open_brackets(self) -> tuple[int, ...]:
        """The brackets that are open outside strings, oldest first: p for a `{` at index p, ~p for a `[`."""
        self._read()
        return tuple(self._outside)

    def _read(self) -> list[FoundRecord]:
        """Read what waits; return the records in it, in order."""
        fresh = len(self._text)
        self._text += self._waiting
        self._waiting = ""
        if self._blank:
            self._skip_leading_blanks()
        found: list[FoundRecord] = []
        base = self._base
        for stop in _STOP.finditer(self._text, fresh):
            run = stop.group()
            start = base + stop.start()
            if run[0] != '"':
                self._mark(run, start, found)
            elif (len(run) - (start == self._escaped)) & 1:
                self._outside, self._inside = self._inside, self._outside
        if len(self._text) > SLACK_CHARS:
            self._forget()
        return found

    def _mark(self, run: str, start: int, found: list[FoundRecord]) -> None:
        char, length = run[0], len(run)
        if char == "{":
            if run[-1] == "{":
                self._open_objects(start, length)
            else:  # a whole object
                self._open_objects(start, 1)
                if "[" in run and len(self._outside) == MAX_DEPTH:
                    del self._outside[0]  # as its array would have done
                self._close_object(start + length - 1, found)
        elif char == "}":
            for closing in range(start, start + length):
                if not self._close_object(closing, found):
                    break
        elif char == "[":
            self._open_lists(start, length)
        elif char == "]":
            self._close_lists(length)
        else:
            self._escape(start, length)

    def _escape(self, start: int, length: int) -> None:
        if start == self._escaped:
            start, length = start + 1, length - 1
        if length & 1:
            self._escaped = start + length

    def _open_lists(self, start: int, length: int) -> None:
        last = start + length
        self._outside.extend(~at for at in range(max(start, last - MAX_DEPTH), last))
        del self._outside[:-MAX_DEPTH]

    def _close_lists(self, length: int) -> None:
        outside = self._outside
        for _ in range(length):
            at = _last(outside, is_list=True)
            if at is None:
                return
            del outside[at:]

    def _open_objects(self, start: int, length: int) -> None:
        outside = self._outside
        last = start + length - 1
        if outside and outside[-1] == start - 1:
            outside.pop()  # of `{{` only the second can open an object
        outside.append(last)
        del outside[:-MAX_DEPTH]
        if self._gap is not None and self._fits:
            self._open_element(start, last)

    def _close_object(self, closing: int, found: list[FoundRecord]) -> bool:
        """Close the last object; False if none is open."""
        outside = self._outside
        at = _last(outside, is_list=False)
        if at is None:
            return False
        opening = outside[at]
        record = self._record_between(opening, closing)
        del outside[at:]
        if record is not None:
            found.append(FoundRecord(record, closing + 1))
            if self._inside:
                self._settle(opening)
        if opening == self._element:
            self._close_element(closing, is_record=record is not None)
        return True

    def _settle(self, opening: int) -> None:
        """A record was found: its quotes were seen rightly, so no object that sees them the other way can be JSON."""
        older = [bracket for bracket in self._inside if bracket < 0 and ~bracket < opening]
        self._outside = sorted(older + self._outside, key=lambda bracket: max(bracket, ~bracket))[-MAX_DEPTH:]
        self._inside = []

    def _record_between(self, opening: int, closing: int) -> Record | None:
        if closing - opening >= MAX_RECORD_CHARS:
            return None
        try:
            pairs, _ = parse_at(self._text, opening - self._base)
        except ValueError:  # not JSON, or an integer beyond Python's limit of digits
            return None
        return self._record_of(pairs)

    def _record_of(self, pairs: Sequence[tuple[str, Any]]) -> Record | None:
        fields = dict(pairs)
        if len(fields) != len(pairs):  # a repeated key: which value was meant is anybody's guess
            return None
        box = _first(fields, self._box_keys)
        label = _first(fields, self._label_keys)
        if type(label) is not str or type(box) is not list or len(box) != self._n_coordinates:
            return None
        return Record(label, tuple(box)) if are_finite_numbers(box) else None

    def _open_element(self, start: int, last: int) -> None:
        gap, self._gap = self._gap, None
        pattern = BETWEEN if self._n_elements else OPENING
        match = None
        if gap is not None and start == last and last - gap <= MAX_RECORD_CHARS:
            match = pattern.fullmatch(self._text, gap - self._base, start - self._base)
        if match is None:
            self._fits = False
            return
        if not self._n_elements:
            self._fenced = match.group(1) is not None
        self._element = start

    def _close_element(self, closing: int, *, is_record: bool) -> None:
        self._element = -1
        self._fits = is_record
        self._gap = closing + 1
        self._n_elements += 1

    def _status_of_list(self) -> Status | None:
        """The status if the answer is one list of records, closed, or a fence with nothing in it."""
        total = self._base + len(self._text)
        if not self._fits or self._gap is None or total - self._gap > MAX_RECORD_CHARS:
            return None
        at, fenced = self._gap - self._base, self._fenced
        if not self._n_elements:
            if EMPTY_FENCE.fullmatch(self._text, at):
                return "empty"
            opening = OPENING.match(self._text, at)
            if opening is None:
                return None
            at, fenced = opening.end(), opening.group(1) is not None
        closing = CLOSING.fullmatch(self._text, at)
        if closing is None:
            return None
        if fenced:
            return "valid" if closing.group(1) == FENCE else "truncated"
        return "valid" if not closing.group(1) else None

    def _skip_leading_blanks(self) -> None:
        kept = self._text.lstrip()
        self._base += len(self._text) - len(kept)
        self._gap, self._text, self._blank = self._base, kept, not kept

    def _forget(self) -> None:
        """Drop the text that nothing needs any more."""
        total = self._base + len(self._text)
        needed = total if self._gap is None or not self._fits else self._gap
        for brackets in (self._outside, self._inside):
            needed = min(needed, next((bracket for bracket in brackets if bracket >= 0), needed))
        dropped = max(needed, total - MAX_RECORD_CHARS) - self._base
        if dropped > SLACK_CHARS:
            self._text = self._text[dropped:]
            self._base += dropped


def _last(brackets: list[int], *, is_list: bool) -> int | None:
    """Index of the last open list, or else of the last open object."""
    for at in range(len(brackets) - 1, -1, -1):
        if (brackets[at] < 0) == is_list:
            return at
    return None


def _first(fields: dict[str, Any], keys: tuple[str, ...]) -> object:
    for key in keys:
        if key in fields:
            return fields[key]
    return None


def are_finite_numbers(values: list[Any]) -> bool:
    """True if there are values and all are ints or floats that float64 holds; booleans are no numbers."""
    try:
        return set(map(type, values)) in _NUMBERS and all(map(isfinite, values))
    except OverflowError:
        return False
