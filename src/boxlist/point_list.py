"""The scanner of point tags: `<point x="39.0" y="41.2" alt="sky">sky</point>`, `<points x1= y1= x2= y2= ...>`.

**Record.** An attribute x and right after it its y, with the same number behind both letters, and finite numbers in
their quotes. A point of `<points>` is complete with the quote that closes its y, so that a list that never ends can be
watched; the label comes behind them all, so these records have none. `<point>` holds one pair, and is complete where
its label is: at the end of the tag if that has an `alt`, else at the next `<`, or at the end of the answer (`rest`).
Any other attributes may be there. A tag that holds `<` is broken off, and what it has not completed is lost.

A closing tag may be missing: no number depends on it, and a cut within a label cannot be seen in the text anyway.
"""

from __future__ import annotations

import re
from html import unescape
from math import isfinite
from typing import TYPE_CHECKING

from boxlist.found import MAX_RECORD_CHARS, FoundRecord, Status
from boxlist.records import Record

if TYPE_CHECKING:
    from boxlist.protocols import Protocol

_TAG = re.compile(r"<(/?)(points?)(?=[\s/>])")
_TAG_BEGUN = re.compile(r"<(?:/?(?:p(?:o(?:i(?:n(?:ts?)?)?)?)?)?)?\Z")
_IN_TAG = re.compile(r"""\s+|[^\s=>/<"']+|.""")
_IN_VALUE = {'"': re.compile(r'[^"<]*'), "'": re.compile(r"[^'<]*")}
_AXIS = re.compile(r"([xy])(\d{0,6})", re.ASCII)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)\s*", re.ASCII)

_MAX_TEXT = MAX_RECORD_CHARS // 2  # of a label or a value, two of which may be kept at once
_MAX_NAME = 32


class PointListScanner:
    """Finds the complete points of one answer; same use as `JsonListScanner`."""

    def __init__(self, protocol: Protocol) -> None:  # noqa: ARG002  one syntax, whatever the unit
        self._begun = ""  # the start of a tag that the next piece may complete
        self._base = 0  # characters read, without `_begun`
        self._blank = True
        self._fits = True
        self._elements = 0
        self._open = ""  # the element whose closing tag is still to come
        self._named: tuple[float, float] | None = None  # the point whose label is being read
        self._label, self._label_end = "", 0
        self._tag = _Tag("", closes=False)

    @property
    def retained(self) -> int:
        """Characters kept between calls; `MAX_RETAINED` at most."""
        return len(self._begun) + len(self._label) + self._tag.retained

    def feed(self, piece: str) -> list[FoundRecord]:
        """Read the next piece; return the records that it completes, in order."""
        text, self._begun = self._begun + piece, ""
        self._blank = self._blank and (not text or text.isspace())
        found: list[FoundRecord] = []
        at = 0
        while at < len(text):
            at = (self._within_tag if self._tag.name else self._between_tags)(text, at, found)
        self._base += len(text) - len(self._begun)
        return found

    def rest(self) -> list[FoundRecord]:
        """The point that the end of the answer completes, if there is one; feeding may go on after it."""
        record = self._named_record()
        return [] if record is None else [record]

    def finish(self) -> Status:
        """The status of everything fed so far, taken as the whole answer.

        valid: tags with at least one point each, and nothing else but white space and their labels. truncated: the
        text ends within a tag. empty: nothing but white space. malformed: the rest, prose around tags included.
        """
        if self._blank:
            return "empty"
        if self._begun or self._tag.name:
            return "truncated"
        return "valid" if self._fits and self._elements and len(self._label) <= _MAX_TEXT else "malformed"

    def closing(self) -> str:
        """What closes the element that is open here."""
        if self._tag.name:
            return f"></{self._tag.name}>"
        return f"</{self._open}>" if self._open else ""

    def _between_tags(self, text: str, at: int, found: list[FoundRecord]) -> int:
        start = text.find("<", at)
        end = len(text) if start < 0 else start
        self._words(text[at:end], self._base + at)
        if start < 0:
            return end
        self._end_label(found)
        match = _TAG.match(text, start)
        if match is not None:
            self._begin_tag(match[2], closes=bool(match[1]))
            return match.end()
        if _TAG_BEGUN.match(text, start):
            self._begun = text[start:]
            return len(text)
        self._fits = False
        return start + 1

    def _words(self, text: str, start: int) -> None:
        if self._named is None:
            self._fits = self._fits and (bool(self._open) or not text or text.isspace())
        elif len(self._label) <= _MAX_TEXT:
            if text and not text.isspace():
                self._label_end = start + len(text.rstrip())
            self._label = (self._label + text if self._label else text.lstrip())[: _MAX_TEXT + 1]

    def _end_label(self, found: list[FoundRecord]) -> None:
        if self._named is None:
            return
        record = self._named_record()
        if record is None:
            self._fits = False
        else:
            found.append(record)
        self._named, self._label = None, ""

    def _named_record(self) -> FoundRecord | None:
        if self._named is None or len(self._label) > _MAX_TEXT:
            return None
        return FoundRecord(Record(unescape(self._label.strip()), self._named), self._label_end)

    def _begin_tag(self, name: str, *, closes: bool) -> None:
        if closes and self._open != name:
            self._fits = False
        self._open = ""
        self._tag = _Tag(name, closes=closes)

    def _within_tag(self, text: str, at: int, found: list[FoundRecord]) -> int:
        tag = self._tag
        after = tag.read(text, at)
        point = tag.take_point()
        if point is not None:
            found.append(FoundRecord(Record("", point), self._base + after))
        if tag.ended:
            self._end_tag(self._base + after, found)
        elif tag.broken:
            self._fits, self._tag = False, _Tag("", closes=False)
        return after

    def _end_tag(self, end: int, found: list[FoundRecord]) -> None:
        tag, self._tag = self._tag, _Tag("", closes=False)
        self._fits = self._fits and tag.fits
        if tag.closes:
            return
        self._elements += 1
        self._open = "" if tag.closes_itself else tag.name
        if tag.name == "points" or tag.single is None:
            return
        if tag.alt is not None or tag.closes_itself:
            found.append(FoundRecord(Record(unescape((tag.alt or "").strip()), tag.single), end))
        else:
            self._named, self._label_end = tag.single, end


class _Tag:
    """One tag while it is read, attribute by attribute; no name while no tag is open."""

    def __init__(self, name: str, *, closes: bool) -> None:
        self.name, self.closes = name, closes
        self.alt: str | None = None
        self.ended = self.broken = self.closes_itself = False
        self._flawed = self._endless_label = False
        self._n_points = 0
        self._last_number = 0
        self._point: tuple[float, float] | None = None
        self._x: tuple[str, float] | None = None
        self._attribute, self._named, self._equals = "", False, False
        self._skips = False
        self._quote, self._value = "", ""

    @property
    def retained(self) -> int:
        return len(self._attribute) + len(self._value) + len(self.alt or "")

    @property
    def fits(self) -> bool:
        """Whether it is just as the syntax has it: a closing tag, or one with its points and nothing wrong."""
        if self._flawed or self._attribute or self._x is not None:
            return False
        if self.closes:
            return not self._n_points and self.alt is None and not self.closes_itself
        return self._n_points > 0 if self.name == "points" else self.single is not None

    @property
    def single(self) -> tuple[float, float] | None:
        """The point of a `<point>`; None where it has none, or two, or a label that is too long."""
        return self._point if self._n_points == 1 and not self._endless_label else None

    def take_point(self) -> tuple[float, float] | None:
        """The point of a `<points>` that was just completed."""
        if self.name != "points" or self.closes:
            return None
        point, self._point = self._point, None
        return point

    def read(self, text: str, at: int) -> int:
        """Read on, one mark; return where it ends."""
        if self._quote:
            return self._read_value(text, at)
        found = _IN_TAG.match(text, at)
        mark = found.group() if found else text[at]  # a line end is white space, so there is always a match
        if mark == "<":
            self.broken = True
            return at
        if mark == ">":
            self.ended = True
        elif mark.isspace():
            self._named, self._skips = bool(self._attribute), False
        elif not self._skips:
            self._read_mark(mark)
        return at + len(mark)

    def _read_mark(self, mark: str) -> None:
        self._flawed |= self.closes_itself  # nothing but the end may follow the slash
        if mark == "/":
            self.closes_itself = True
        elif mark == "=":
            self._flawed |= self._equals or not self._attribute
            self._equals = bool(self._attribute)
        elif mark in _IN_VALUE and self._equals:
            self._quote = mark
        elif mark in _IN_VALUE or self._equals:  # a value without name, or without quotes
            self._flawed = self._skips = True  # up to the next white space
            self._attribute, self._named, self._equals = "", False, False
        else:
            self._flawed |= self._named
            self._attribute = (mark if self._named else self._attribute + mark)[: _MAX_NAME + 1]
            self._named = False

    def _read_value(self, text: str, at: int) -> int:
        match = _IN_VALUE[self._quote].match(text, at)
        end = match.end() if match else at  # it matches no characters as well
        self._value = (self._value + text[at:end])[: _MAX_TEXT + 1]
        if end == len(text):
            return end
        if text[end] == "<":
            self.broken = True
            return end
        self._end_attribute(self._attribute, self._value)
        self._attribute, self._named, self._equals = "", False, False
        self._quote, self._value = "", ""
        return end + 1

    def _end_attribute(self, name: str, value: str) -> None:
        x, self._x = self._x, None
        axis = _AXIS.fullmatch(name)
        if axis is None:
            self._flawed |= x is not None
            if name == "alt":
                self._end_label(value)
            return
        number = _number(value)
        if number is None:
            self._flawed = True
        elif axis[1] == "x":
            self._flawed |= x is not None
            self._x = (axis[2], number)
        elif x is None or x[0] != axis[2]:
            self._flawed = True
        else:
            self._end_point(axis[2], (x[1], number))

    def _end_label(self, value: str) -> None:
        self._endless_label |= len(value) > _MAX_TEXT
        self._flawed |= self.alt is not None or self._endless_label
        self.alt = value[:_MAX_TEXT]

    def _end_point(self, number: str, point: tuple[float, float]) -> None:
        self._n_points += 1
        self._point = point
        many = self.name == "points"
        # the points of a list are counted upwards, a single one is not
        self._flawed |= bool(number) != many or (many and int(number or 0) <= self._last_number)
        self._last_number = int(number or 0)


def _number(value: str) -> float | None:
    match = _NUMBER.fullmatch(value)
    number = float(match[1]) if match else None
    return number if number is not None and isfinite(number) else None
