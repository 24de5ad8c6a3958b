"""The data sets by name: built on first use under $BOXLIST_DATA or ~/.cache/boxlist/data, opened and checked here.

A set is built in a hidden folder beside its place and renamed into it, so a place that exists was finished: a build
that was interrupted leaves nothing there, and of two builds at once the first to finish is kept. The version is in the
folder's name, so that no release takes another's data for its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.errors import InputError, unknown_name
from boxlist.tasks.datasets import shapes_split, trees
from boxlist.tasks.datasets.split_folder import Document, read_manifest, read_split, split_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "DATASETS",
    "SPLITS",
    "Document",
    "build_dataset",
    "check_dataset",
    "data_root",
    "dataset_folder",
    "dataset_named",
    "dataset_sha256",
    "describe_dataset",
    "documents",
]

SPLITS = ("train", "test")
_STALE_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Dataset:
    """A data set: `build(folder)` writes one folder a split into a new folder."""

    name: str
    version: int
    licence: str
    source: str
    build: Callable[[Path], None]

    @property
    def folder_name(self) -> str:
        return f"{self.name}-v{self.version}"


_ROWS = (
    Dataset("shapes", shapes_split.VERSION, shapes_split.LICENCE, shapes_split.SOURCE, shapes_split.build),
    Dataset("trees", trees.VERSION, trees.LICENCE, trees.SOURCE, trees.build),
)
DATASETS: dict[str, Dataset] = {row.name: row for row in _ROWS}


def dataset_named(name: str) -> Dataset:
    """Look a data set up; an unknown name is an `InputError` with near matches."""
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return DATASETS[name]


def data_root() -> Path:
    """Where data sets live: $BOXLIST_DATA, or ~/.cache/boxlist/data."""
    chosen = os.environ.get("BOXLIST_DATA")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "boxlist" / "data"


def dataset_folder(name: str, split: str) -> Path:
    """The folder of a split, building the data set if it is not there yet."""
    row = dataset_named(name)
    if split not in SPLITS:
        raise unknown_name(f"split of {name}", split, SPLITS)
    place = data_root() / row.folder_name
    return (place if place.is_dir() else build_dataset(name)) / split


def documents(name: str, split: str, *, verify: bool = False) -> list[Document]:
    """The documents of a split, in the order of their ids.

    The list of files, their sizes and the annotations' hash are always checked; `verify=True` hashes every image too.
    Raises `InputError` when the files are not those of the manifest.
    """
    return read_split(dataset_folder(name, split), name, split, verify=verify)


def dataset_sha256(name: str, split: str) -> str:
    """What identifies a split: the hash of its annotations, which hold the hash of every image's pixels."""
    return str(read_manifest(dataset_folder(name, split))["content_sha256"])


def describe_dataset(name: str) -> list[str]:
    """What a data set holds, one line a split, for people to read."""
    lines = []
    for split in SPLITS:
        counts = read_manifest(dataset_folder(name, split))["counts"]
        lines.append(f"{name} {split}: {counts['images']} images, {counts['boxes']} boxes")
        lines += [
            f"  {photo['name']}: {photo['tiles']} tiles, {photo['boxes_in']} boxes in, {photo['boxes_kept']} kept, "
            f"{photo['boxes_dropped']} dropped, {photo['boxes_shown_below_60_percent']} shown below 60%"
            for photo in counts.get("photographs", [])
        ]
    return lines


def build_dataset(name: str) -> Path:
    """Build a data set and return its folder; a whole one that is there already is kept, a damaged one is replaced."""
    row = dataset_named(name)
    place = data_root() / row.folder_name
    if place.is_dir() and not _problems(place):
        return place
    try:
        with _staging(place) as staging:
            fresh = staging / "fresh"
            fresh.mkdir()
            row.build(fresh)
            _refuse_problems(name, fresh)
            _publish(fresh, place, staging / "replaced")
    except OSError as error:
        raise InputError(
            f"data {name}: {error.filename or place}",
            expected="a folder to build in",
            got=error.strerror or str(error),
            remedy="Free some space there, or set BOXLIST_DATA to another folder.",
        ) from error
    return place


def check_dataset(name: str) -> list[str]:
    """What is wrong with a data set, one line each: files, sizes, every hash, and images that are in both splits."""
    place = data_root() / dataset_named(name).folder_name
    if not place.is_dir():
        return [f"{place}: not built; run: boxlist data build {name}"]
    return _problems(place)


def _problems(place: Path) -> list[str]:
    found = [problem for split in SPLITS for problem in split_problems(place / split, verify=True)]
    return found or _shared_images(place)


def _shared_images(place: Path) -> list[str]:
    """Images that occur twice, in one split or in both, by their pixels."""
    seen: dict[str, str] = {}
    problems = []
    for split in SPLITS:
        for entry in read_manifest(place / split)["files"]:
            pixels = entry.get("pixels_sha256")
            if pixels is None:
                continue
            path = f"{split}/{entry['path']}"
            if pixels in seen:
                problems.append(f"{place / path}: the same picture as {seen[pixels]}")
            seen[pixels] = path
    return problems


def _refuse_problems(name: str, fresh: Path) -> None:
    problems = _problems(fresh)
    if problems:
        remedy = "Report it: the builder is wrong."
        raise InputError(f"data {name}", expected="a whole data set", got=problems[0], remedy=remedy)


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place`, removed at the end, whatever happens; old ones of killed builds go too."""
    place.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{place.name}.building-"
    for left in place.parent.glob(f"{prefix}*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=place.parent))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(fresh: Path, place: Path, replaced: Path) -> None:
    """Rename a finished build into place. A damaged set there is moved away; a whole one, another process's, stays."""
    if place.is_dir():
        if not _problems(place):
            return
        place.rename(replaced)
    try:
        fresh.rename(place)
    except OSError:
        if _problems(place):
            raise
