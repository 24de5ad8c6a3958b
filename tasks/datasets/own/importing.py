"""Making a set of the user's own: what `boxlist data import` and `boxlist run --coco` both do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.tasks.datasets.catalog import DATASETS, build_row, data_root
from boxlist.tasks.datasets.manifest import read_manifest, split_problems
from boxlist.tasks.datasets.own.build import TASK_PREFIX, plan_own
from boxlist.tasks.datasets.own.faults import Tally
from boxlist.tasks.datasets.own.sets import OWN, own_row, own_set, read_spec
from boxlist.tasks.datasets.own.sources import source_sha256
from boxlist.tasks.datasets.own.spec import OwnSpec, automatic_name, check_own_name
from boxlist.tasks.probes import probes

if TYPE_CHECKING:
    from pathlib import Path


def import_own(spec: OwnSpec, name: str | None = None, *, force: bool = False) -> str:
    """Make the set of a spec and return its name, by default one that says what it was made from.

    A set that was made from the same already is kept where no file is gone or of another size: images are not hashed
    again here, since a run hashes those it asks about. Raises `InputError` where `name` is taken, by another set unless
    `force` says to replace it, or by one of boxlist's own.
    """
    chosen = check_own_name(name) if name is not None else automatic_name(spec, source_sha256(spec))
    if chosen in DATASETS or own_task(chosen) in probes():
        raise InputError(f"name {chosen}", expected="a name of your own", got="boxlist's own set", remedy="Choose one.")
    place = data_root() / OWN / chosen
    built = own_set(data_root(), chosen)
    if built is not None and not force:
        if read_spec(place) != spec and name is not None:
            raise InputError(
                str(place),
                expected="a new name, or the same files and choices",
                got="a set that was made from others",
                remedy="Choose another name, or add --force to replace it.",
            )
        if read_spec(place) == spec and not _has_changed(place, built.splits, spec):
            return chosen
    # A new set that another process makes at the same time is kept; a changed one is replaced.
    build_row(own_row(chosen, spec, ("test",)), force=built is not None)
    return chosen


def own_task(name: str) -> str:
    """The task that asks about a set."""
    return TASK_PREFIX + name


def own_folder(name: str) -> Path:
    """The folder of a set, which is what lmms-eval's --include_path takes."""
    return data_root() / OWN / name


def check_own(spec: OwnSpec) -> list[str]:
    """Everything that is wrong with annotated images, one line each kind, before any set is made of them."""
    tally = Tally()
    plan_own(spec, tally)
    return tally.lines()


def _has_changed(place: Path, splits: tuple[str, ...], spec: OwnSpec) -> bool:
    if any(split_problems(place / split) for split in splits):
        return True
    options = read_manifest(place / "test")["options"]
    return any(options.get(f"{name}_sha256") != value for name, value in source_sha256(spec).items())
