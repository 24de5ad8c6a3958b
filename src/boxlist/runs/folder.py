"""The run folder on disk: with `answers_file` the only module that knows its files, and how they survive a kill.

`run.json` and `scores.json` are written beside and renamed; `answers.jsonl` is appended. A lock keeps a second
process out.
"""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any, Self

from boxlist.errors import InputError
from boxlist.folder_lock import LOCK_FILE, lock_folder
from boxlist.runs.answers_file import AnswersFile
from boxlist.whole_files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SCHEMA = 1
RUN_FILE, ANSWERS_FILE, SCORES_FILE = "run.json", "answers.jsonl", "scores.json"
_OTHERS_ANSWERS = "answers.rank*.jsonl"


class RunFolder:
    """An open run folder. Use as a context manager: it holds the lock.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as out, RunFolder.open(Path(out) / "night") as folder:
    ...     folder.answers.tally().answers
    0
    """

    def __init__(self, path: Path, lock: IO[str], answers: AnswersFile, created: Sequence[Path]) -> None:
        self.path, self.answers = path, answers
        self._lock, self._created = lock, created

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make or open the folder and lock it; raises `InputError` when it is in use, or is no run folder."""
        created = [place for place in (path, *path.parents) if not place.exists()]
        if not created:
            _refuse_stranger(path)
        path.mkdir(parents=True, exist_ok=True)
        lock = lock_folder(path, what="run folder", remedy="Wait until it ends, or take another --name.")
        try:
            _clear_temporaries(path)
            return cls(path, lock, AnswersFile(path / ANSWERS_FILE), created)
        except BaseException:
            lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Flush what is open and let the lock go. What this process made and left without an answer is taken away."""
        self.answers.close()
        if self._created and not self.answers.keys():
            self.discard()
            (self.path / LOCK_FILE).unlink(missing_ok=True)
            _remove_empty(self._created)
        self._created = ()
        self._lock.close()

    def run(self) -> dict[str, Any] | None:
        """What `run.json` says; None before the first write."""
        return read_run(self.path) if (self.path / RUN_FILE).exists() else None

    def write_run(self, run: Mapping[str, Any]) -> None:
        write_json(self.path / RUN_FILE, {"schema": SCHEMA, **run})

    def write_scores(self, scores: Mapping[str, Any]) -> None:
        write_json(self.path / SCORES_FILE, {"schema": SCHEMA, **scores})

    def take_in(self) -> None:
        """Move the answers that other processes of the run left in files of their own into the run's file."""
        for path in sorted(self.path.glob(_OTHERS_ANSWERS)):
            others = AnswersFile(path)
            for answer in others.read(sorted(others.keys() - self.answers.keys(), key=str)):
                self.answers.append(answer)
            self.answers.sync()
            path.unlink()

    def discard(self) -> int:
        """Delete this run's answers, scores and `run.json`, and nothing else; how many answers went."""
        (self.path / SCORES_FILE).unlink(missing_ok=True)
        count = self.answers.delete()
        (self.path / RUN_FILE).unlink(missing_ok=True)
        return count


def answers_of_rank(path: Path, rank: int) -> AnswersFile:
    """The file that a process other than the first of a run writes to, in the run's folder."""
    return AnswersFile(path / _OTHERS_ANSWERS.replace("*", str(rank)))


def read_run(path: Path) -> dict[str, Any]:
    """The `run.json` of a run folder; `InputError` when there is none, or it is another schema's."""
    run = _read_json(path, RUN_FILE)
    if run.get("schema") != SCHEMA:
        raise InputError(
            f"{path / RUN_FILE}",
            expected=f"schema {SCHEMA}",
            got=f"schema {str(run.get('schema'))[:40]}",
            remedy="Use the boxlist that wrote it, or take another --name.",
        )
    return run


def read_scores(path: Path, name: str = SCORES_FILE) -> dict[str, Any]:
    """The scores of a run folder, or those that `boxlist score` wrote to the file `name` in a folder."""
    return _read_json(path, name)


def _read_json(path: Path, name: str) -> dict[str, Any]:
    file_path = path / name
    try:
        data = json.loads(file_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(
            str(path), expected=f"a run folder with {name}", got="none", remedy="Give a folder that boxlist run wrote."
        ) from None
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise InputError(
            str(file_path), expected="a JSON object", got="something else", remedy="Start again under another --name."
        )
    return data


def _refuse_stranger(path: Path) -> None:
    """A folder with anything in it but a run's files is not touched."""
    if not path.is_dir():
        raise InputError(str(path), expected="a folder", got="a file", remedy="Take another --name.")
    names = {child.name for child in path.iterdir()}
    strangers = sorted(name for name in names if not name.startswith("."))
    if strangers and RUN_FILE not in names:
        raise InputError(
            str(path),
            expected="a run folder or a new name",
            got=f"a folder with {strangers[0][:60]} and no {RUN_FILE}",
            remedy="Take another --name.",
        )


def _remove_empty(places: Sequence[Path]) -> None:
    for place in places:
        if any(place.iterdir()):
            return
        place.rmdir()


def _clear_temporaries(path: Path) -> None:
    """What a kill between writing and renaming left."""
    for name in (RUN_FILE, SCORES_FILE):
        for left in path.glob(f".{name}.*"):
            left.unlink()
