"""An answer under the rules that watch its records. No engine here; any source of text can drive it.

Live, `feed` gets the text as it is generated and says when to stop. Offline, `replay` applies the same rules to a
finished raw answer. Without sampling the two agree, because what was generated up to a stop is a prefix of the raw
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.controls.table import CONTROLS, Controls
from boxlist.scanner import RecordScanner, close_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.controls.list_rules import ListRule, Verdict
    from boxlist.protocols import Protocol
    from boxlist.records import Record
    from boxlist.scanner import FoundRecord

REPEAT_STOP = Controls(repeat_stop=True)


class Stopped(NamedTuple):
    """An answer after its rules; `text` is the raw text itself where none acted. `by` names the one that ended it."""

    text: str
    by: str | None

    @property
    def triggered(self) -> bool:
        return self.by is not None


class ListWatch:
    """Watches one answer under `controls`, and ends it at most once.

    >>> from boxlist.protocols import PROTOCOLS
    >>> watch = ListWatch(PROTOCOLS["norm1000_xyxy"], REPEAT_STOP)
    >>> first = '{"bbox_2d": [1, 2, 3, 4], "label": "tree"}'
    >>> watch.feed("[" + first), watch.feed(", " + first + ", ")
    (False, True)
    >>> watch.stopped_by, watch.text() == "[" + first + "]"
    ('repeat_stop', True)
    """

    def __init__(self, protocol: Protocol, controls: Controls) -> None:
        self._protocol = protocol
        self._scanner = RecordScanner(protocol)
        self._rules = rules_of(controls, protocol)
        self._pieces: list[str] = []
        self._dropped: list[tuple[int, int]] = []
        self._kept_end = 0  # of the last record that stays for certain
        self._last_end = 0
        self.stopped_by: str | None = None

    def feed(self, piece: str) -> bool:
        """Take the next piece of text, of any size; True once the answer is over. Later pieces are ignored."""
        if self.stopped_by is not None:
            return True
        self._pieces.append(piece)
        return self._look_at(self._scanner.feed(piece))

    def finish(self) -> bool:
        """No more text will come: look at a record that only the end completes, the last of a `loc` list."""
        return self.stopped_by is not None or self._look_at(self._scanner.rest())

    def text(self) -> str:
        """All text fed but for what was dropped; once stopped, through the last kept record, and closed."""
        text = "".join(self._pieces)
        if self.stopped_by is not None:
            text = close_list(text, self._kept_end, self._protocol)
        for start, end in reversed(self._dropped):
            if end <= self._kept_end or self.stopped_by is None:
                text = text[:start] + text[end:]
        return text

    def _look_at(self, found: list[FoundRecord]) -> bool:
        for record, end in found:
            verdict = self._verdict(record)
            if verdict == "stop":
                break
            if verdict == "drop":
                self._dropped.append((self._last_end, end))
            elif verdict == "keep":
                self._kept_end = end
            self._last_end = end
        return self.stopped_by is not None

    def _verdict(self, record: Record) -> Verdict:
        """The hardest of the rules' verdicts; every rule sees every record."""
        verdicts = {name: rule.judge(record) for name, rule in self._rules.items()}
        self.stopped_by = next((name for name, verdict in verdicts.items() if verdict == "stop"), None)
        if self.stopped_by is not None:
            return "stop"
        return next((verdict for verdict in _HARDER if verdict in verdicts.values()), "keep")


_HARDER: tuple[Verdict, ...] = ("drop", "doubt")


def rules_of(controls: Controls, protocol: Protocol) -> Mapping[str, ListRule]:
    """A new rule for each control that watches records, by its name."""
    found = {}
    for name, value in controls.to_kwargs().items():
        make = CONTROLS[name].make_rule
        if make is not None:
            found[name] = make(value, protocol)
    return found


def replay(text: str, protocol: Protocol, controls: Controls = REPEAT_STOP) -> Stopped:
    """What the rules of `controls` would have made of a raw answer."""
    watch = ListWatch(protocol, controls)
    watch.feed(text)
    watch.finish()
    return Stopped(watch.text(), watch.stopped_by)
