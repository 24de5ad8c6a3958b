"""What a scan of an answer yields, and the limits that bound it whatever the text is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from boxlist.records import Record

Status = Literal["valid", "truncated", "malformed", "empty"]

MAX_RECORD_CHARS = 16_384
"""A longer object, number or label is no record; a longer gap between two records makes an answer malformed."""

MAX_DEPTH = 32
"""Open brackets that are remembered at once: what nests deeper than this is no record."""

SLACK_CHARS = 256
"""Text that may wait to be read, and text that may be kept without need, so that not every call has work to do."""

MAX_RETAINED = MAX_RECORD_CHARS + 2 * SLACK_CHARS + 2 * MAX_DEPTH
"""What a scanner keeps between two calls, in characters and brackets, is never more than this."""


class FoundRecord(NamedTuple):
    """A complete record, and the index of the character just past it in all the text fed so far."""

    record: Record
    end: int
