"""Whether live repeat-stop, or another control on the list, and its replay say the same: they must when greedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.controls.list_watch import replay as watch_again
from boxlist.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from boxlist.controls.table import Controls
    from boxlist.protocols import Protocol
    from boxlist.runs.answers_file import AnswerKey, StoredAnswer

_SHOWN = 5


class Agreement(NamedTuple):
    """A live run against the replay of its unstopped answers: images compared, fired, and those that differ."""

    name: str
    images: int
    triggered: int
    differing: Sequence[int | str]

    def text(self) -> str:
        """One line.

        >>> Agreement("budget 8 + repeat-stop", 80, 5, ()).text()
        'budget 8 + repeat-stop: live and replayed answers are the same on all 80 images; 5 were stopped'
        """
        if not self.differing:
            same = f"live and replayed answers are the same on all {self.images} images"
            return f"{self.name}: {same}; {self.triggered} were stopped"
        shown = ", ".join(map(str, self.differing[:_SHOWN])) + (", ..." if len(self.differing) > _SHOWN else "")
        return (
            f"{self.name}: LIVE AND REPLAYED ANSWERS DIFFER on {len(self.differing)} of {self.images} images ({shown})"
        )


def compare_with_replay(name: str, live: Path, unwatched: Path, protocol: Protocol, controls: Controls) -> Agreement:
    """Compare the answers of a live run with those of `unwatched` as the list's `controls` would have ended them."""
    with RunFolder.open(live) as stopped, RunFolder.open(unwatched) as source:
        keys: list[AnswerKey] = sorted(stopped.answers.keys() & source.answers.keys(), key=str)
        differing: list[int | str] = []
        triggered = 0
        for answer, raw in zip(stopped.answers.read(keys), source.answers.read(keys), strict=True):
            triggered += answer.triggered
            if not _same(answer, raw, protocol, controls):
                differing.append(answer.image_id)
    return Agreement(name, len(keys), triggered, differing)


def _same(answer: StoredAnswer, raw: StoredAnswer, protocol: Protocol, controls: Controls) -> bool:
    replayed = watch_again(raw.text, protocol, controls)
    return (answer.text, answer.triggered) == (replayed.text, replayed.triggered)
