"""`answers.jsonl`: one line an answer, appended as they arrive.

A kill can tear only the last line, which is recognised and cut off when the file is opened again. Texts are read back
one at a time; only places and hashes are held.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_SYNC_SECONDS = 0.5

AnswerKey = tuple[str, int | str]
"""(task, image_id)"""


class StoredAnswer(NamedTuple):
    """One line of the file. `session` counts the processes that worked on the run, `at` is seconds into it."""

    task: str
    image_id: int | str
    prompt_sha256: str
    image_sha256: str
    text: str
    tokens: int | None
    finish: str
    triggered: bool
    frame_wh_px: tuple[int, int] | None
    session: int
    at: float

    @property
    def key(self) -> AnswerKey:
        return self.task, self.image_id


@dataclass(frozen=True)
class Tally:
    """What the answers on disk add up to. The seconds of a session are those of its last answer; `tokens` is None where
    an answer does not say."""

    answers: int
    tokens: int | None
    wall_seconds: float
    sessions: int


class AnswersFile:
    """The answers of one run, by task and image. Only one process may have it open: the run folder's lock sees to it.

    Raises `InputError` for a broken line that a kill cannot explain, and for a second answer to one question.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped_torn_line = False
        self._writer: IO[bytes] | None = None
        self._synced = time.monotonic()
        self._places: dict[AnswerKey, _Place] = {}
        if path.exists():
            self._index()

    def keys(self) -> set[AnswerKey]:
        return set(self._places)

    def hashes(self) -> Iterator[tuple[AnswerKey, str, str]]:
        """(key, prompt sha256, image sha256) of each answer, without its text."""
        for key, place in self._places.items():
            yield key, place.prompt_sha256, place.image_sha256

    def read(self, keys: Sequence[AnswerKey]) -> Iterator[StoredAnswer]:
        """Answers in the order of `keys`, one in memory at a time; a key without an answer raises `KeyError`."""
        if not keys:
            return
        with self.path.open("rb") as file:
            for key in keys:
                file.seek(self._places[key].offset)
                yield _parse(file.readline())

    def append(self, answer: StoredAnswer) -> None:
        """Write one answer at the end, at once; it is forced to the disk within half a second of answers."""
        if answer.key in self._places:
            raise ValueError(f"{self.path}: a second answer for {answer.key}")
        if self._writer is None:
            self._writer = self.path.open("ab")
        offset = self._writer.seek(0, os.SEEK_END)
        self._writer.write(json.dumps(answer._asdict(), allow_nan=False).encode("ascii") + b"\n")
        self._writer.flush()
        self._places[answer.key] = _Place.of(offset, answer)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def tally(self) -> Tally:
        seconds: dict[int, float] = {}
        for place in self._places.values():
            seconds[place.session] = max(seconds.get(place.session, 0.0), place.at)
        tokens = [place.tokens for place in self._places.values() if place.tokens is not None]
        return Tally(
            answers=len(self._places),
            tokens=sum(tokens) if len(tokens) == len(self._places) else None,
            wall_seconds=round(sum(seconds.values()), 3),
            sessions=max(seconds, default=0),
        )

    def close(self) -> None:
        """Force everything to the disk."""
        if self._writer is not None:
            self.sync()
            self._writer.close()
            self._writer = None

    def delete(self) -> int:
        """Remove the file; how many answers went."""
        count = len(self._places)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self.path.unlink(missing_ok=True)
        self._places = {}
        return count

    def sync(self) -> None:
        """Force what was appended to the disk."""
        if self._writer is not None:
            os.fsync(self._writer.fileno())
        self._synced = time.monotonic()

    def _index(self) -> None:
        """Find every whole line, and cut a torn last one off."""
        end, size = 0, self.path.stat().st_size
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                answer = _whole_line(line, last=end + len(line) == size, where=f"{self.path}: line {number}")
                if answer is None:
                    break
                if answer.key in self._places:
                    raise InputError(
                        f"{self.path}: line {number}",
                        expected="one answer an image",
                        got=f"a second one for image {answer.image_id} of {answer.task}",
                        remedy="Delete that line, or start again with --fresh.",
                    )
                self._places[answer.key] = _Place.of(end, answer)
                end += len(line)
        if end < size:
            self.dropped_torn_line = True
            os.truncate(self.path, end)


class _Place(NamedTuple):
    """Where an answer's line begins, and what must be known without reading it again."""

    offset: int
    prompt_sha256: str
    image_sha256: str
    tokens: int | None
    session: int
    at: float

    @classmethod
    def of(cls, offset: int, answer: StoredAnswer) -> _Place:
        return cls(offset, answer.prompt_sha256, answer.image_sha256, answer.tokens, answer.session, answer.at)


def _whole_line(line: bytes, *, last: bool, where: str) -> StoredAnswer | None:
    """The answer on a line; None for a torn last line; `InputError` for a broken line anywhere else."""
    answer = _try_parse(line) if line.endswith(b"\n") else None
    if answer is None and not last:
        raise InputError(
            where,
            expected="an answer as JSON",
            got="something else",
            remedy="Delete that line, or start again with --fresh.",
        )
    return answer


def _try_parse(line: bytes) -> StoredAnswer | None:
    try:
        return _parse(line)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return None


def _parse(line: bytes) -> StoredAnswer:
    fields = json.loads(line)
    if not isinstance(fields, dict):
        raise TypeError(f"expected an object, got {type(fields)}")
    frame = fields.pop("frame_wh_px")
    answer = StoredAnswer(**fields, frame_wh_px=None if frame is None else (int(frame[0]), int(frame[1])))
    for value, kind in ((answer.task, str), (answer.image_id, int | str), (answer.text, str), (answer.at, int | float)):
        if not isinstance(value, kind):
            raise TypeError(f"expected {kind}, got {type(value)}")
    return answer
