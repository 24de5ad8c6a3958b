"""The folder of a training under way: what it trains, and checkpoints of which only whole ones count.

It lies beside the adapter's folder as `<adapter>.training`. The adapter itself is put together inside it and appears
under its own name by one rename, so that a folder of that name is always a finished adapter.
"""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.folder_lock import LOCK_FILE, lock_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PLAN_FILE = "plan.json"
RESULT = "result"
LOSSES_FILE = "losses.json"
_COMPLETE = "complete"
_PREFIX = "checkpoint-"


def training_folder(out: Path) -> Path:
    """Where the training of the adapter `out` keeps its checkpoints."""
    return out.with_name(f"{out.name}.training")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a training's folder, making what is missing of its path; what stays empty goes again.

    Raises `InputError` while another process trains there.
    """
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = lock_folder(folder, what="training", remedy="Wait until it ends, or give another --out.")
    try:
        yield
    finally:
        if folder.is_dir() and {path.name for path in folder.iterdir()} == {LOCK_FILE}:
            shutil.rmtree(folder)
        for place in made[1:]:
            if any(place.iterdir()):
                break
            place.rmdir()
        lock.close()


def mark_complete(folder: Path, step: int) -> None:
    """Note that the checkpoint of `step` was written to its end."""
    (folder / f"{_PREFIX}{step}" / _COMPLETE).touch()


def last_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """The step and the folder of the last whole checkpoint; halves, left by a kill, are removed."""
    whole: list[tuple[int, Path]] = []
    for checkpoint in folder.glob(f"{_PREFIX}*"):
        step = checkpoint.name.removeprefix(_PREFIX)
        if step.isdecimal() and (checkpoint / _COMPLETE).exists():
            whole.append((int(step), checkpoint))
        else:
            shutil.rmtree(checkpoint)
    return max(whole, default=None)


def check(folder: Path, plan: Mapping[str, Any], *, resume: bool) -> None:
    """Raise `InputError` when a training lies there and `resume` was not asked for, or when its plan was another."""
    noted = folder / PLAN_FILE
    if not noted.is_file():
        return
    if not resume:
        raise InputError(
            str(folder),
            expected="no training under way",
            got="one that was interrupted",
            remedy="Continue it with --resume, or delete that folder.",
        )
    require_same_plan(json.loads(noted.read_text(encoding="utf-8")), plan, str(folder))


def begin(folder: Path, plan: Mapping[str, Any]) -> None:
    """Make the folder, and note the plan in it if none is noted yet."""
    folder.mkdir(parents=True, exist_ok=True)
    noted = folder / PLAN_FILE
    if not noted.is_file():
        fresh = noted.with_suffix(".part")
        fresh.write_text(json.dumps(plan), encoding="utf-8")
        fresh.replace(noted)


def require_same_plan(noted: Mapping[str, Any], plan: Mapping[str, Any], where: str) -> None:
    """Raise an `InputError` that names what differs between what was trained and what is asked for."""
    differing = plan_differences(noted, plan)
    if differing:
        raise InputError(
            where,
            expected="the same training as before",
            got="; ".join(differing[:5]),
            remedy="Give another --out, or delete the folder.",
        )


def plan_differences(noted: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """What differs, one short sentence each, by section and key; versions do not count."""
    wanted = json.loads(json.dumps(plan))  # as JSON reads it back
    differing = []
    for section in wanted.keys() - {"versions"}:
        before, now = noted.get(section), wanted[section]
        if not isinstance(before, dict):
            differing.append(f"{section} is not noted")
            continue
        differing += [
            f"{section}.{key} was {_short(before.get(key))}, now {_short(now.get(key))}"
            for key in sorted(before.keys() | now.keys())
            if before.get(key) != now.get(key)
        ]
    return sorted(differing)


def read_losses(adapter: Path) -> list[float]:
    """The loss of every step of a finished adapter; empty when they were not kept."""
    file = adapter / LOSSES_FILE
    return [float(loss) for loss in json.loads(file.read_text())["loss_per_step"]] if file.is_file() else []


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
