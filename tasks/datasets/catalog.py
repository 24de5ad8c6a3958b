"""The data sets by name: built under $BOXLIST_DATA or ~/.cache/boxlist/data, opened and checked here.

What needs nothing from the user is built on first use. A set is built in a hidden folder beside its place and renamed
into it, so a place that exists was finished: a build that was interrupted leaves nothing there, and of two builds at
once the first to finish is kept. The version is in the folder's name, so that no release takes another's data for its
own; a name has one build at a time, and its manifests say with which options.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError, unknown_name
from boxlist.tasks.datasets import (
    absent,
    coco,
    coco_spatial,
    gqa_spatial,
    insplad,
    pixmo_points,
    shapes_absent,
    shapes_full,
    shapes_pointing,
    shapes_spatial,
    shapes_split,
    trees,
    whatsup,
)
from boxlist.tasks.datasets.dataset import Dataset, Order, check_options
from boxlist.tasks.datasets.document_faults import document_faults
from boxlist.tasks.datasets.manifest import ANNOTATIONS, read_manifest, split_problems
from boxlist.tasks.datasets.own.sets import own_names, own_set
from boxlist.tasks.datasets.split_folder import Document, read_split
from boxlist.tasks.datasets.staging import publish, staging_beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.tasks.datasets.dataset import Value

__all__ = [
    "DATASETS",
    "Dataset",
    "Document",
    "build_dataset",
    "build_row",
    "check_dataset",
    "class_names",
    "data_root",
    "dataset_folder",
    "dataset_named",
    "dataset_sha256",
    "describe_dataset",
    "documents",
    "list_datasets",
    "made_from",
]

_ROWS = (
    shapes_split.DATASET,
    shapes_pointing.DATASET,
    pixmo_points.DATASET,
    shapes_spatial.DATASET,
    trees.DATASET,
    *whatsup.DATASETS,
    *coco.DATASETS,
    insplad.DATASET,
    coco_spatial.DATASET,
    gqa_spatial.DATASET,
    shapes_full.FULL,
    shapes_full.QUESTIONS,
    shapes_absent.DATASET,
    absent.DATASET,
)
DATASETS: dict[str, Dataset] = {row.name: row for row in _ROWS}
_AS_BUILT: Mapping[str, Value] = {}
_PICTURE_DIGITS = 16


def dataset_named(name: str) -> Dataset:
    """Look a data set up, the user's own too; an unknown name is an `InputError` with near matches."""
    row = DATASETS.get(name) or own_set(data_root(), name)
    if row is None:
        raise unknown_name("data set", name, [*DATASETS, *own_names(data_root())])
    return row


def data_root() -> Path:
    """Where data sets live: $BOXLIST_DATA, or ~/.cache/boxlist/data."""
    chosen = os.environ.get("BOXLIST_DATA")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "boxlist" / "data"


def dataset_folder(name: str, split: str) -> Path:
    """The folder of a split, building the data set if it is not there yet."""
    row = dataset_named(name)
    if split not in row.splits:
        raise unknown_name(f"split of {name}", split, row.splits)
    place = data_root() / row.folder_name
    return (place if place.is_dir() else build_dataset(name)) / split


def documents(name: str, split: str, *, verify: bool = False) -> list[Document]:
    """The documents of a split, in the order of their ids.

    The list of files, their sizes and the annotations' hash are always checked; `verify=True` hashes every image too.
    Raises `InputError` when the files are not those of the manifest.
    """
    found = read_split(dataset_folder(name, split), name, split, verify=verify)
    if dataset_named(name).shares_pictures:
        for document in found:
            document["picture"] = document["pixels_sha256"][:_PICTURE_DIGITS]
    return found


def dataset_sha256(name: str, split: str) -> str:
    """What identifies a split: the hash of its annotations, which hold the hash of every image's pixels."""
    return str(read_manifest(dataset_folder(name, split))["content_sha256"])


def class_names(name: str, split: str) -> list[str]:
    """The classes of a data set, in the order of its annotations; none where its objects have no names."""
    coco = json.loads((dataset_folder(name, split) / ANNOTATIONS).read_bytes())
    return [category["name"] for category in coco["categories"] if category["name"]]


def made_from(name: str, split: str) -> dict[str, Any]:
    """What a split was made from and with: its options, and the hashes of its source where it has one."""
    options: dict[str, Any] = read_manifest(dataset_folder(name, split))["options"]
    return options


def describe_dataset(name: str) -> list[str]:
    """What a data set holds, one line a split, for people to read."""
    lines = []
    for split in dataset_named(name).splits:
        counts = read_manifest(dataset_folder(name, split))["counts"]
        lines.append(f"{name} {split}: {counts['images']} images, {counts['boxes']} boxes")
        lines += [f"  {line}" for line in counts.get("notes", [])]
    return lines


def list_datasets() -> list[dict[str, Any]]:
    """Every data set: name, splits with their images (None where it is not built), licence, and what it needs."""
    rows = []
    for row in [*DATASETS.values(), *map(dataset_named, own_names(data_root()))]:
        place = data_root() / row.folder_name
        built = place.is_dir()
        images = {s: read_manifest(place / s)["counts"]["images"] if built else None for s in row.splits}
        needs = None if row.needs is None else row.needs._asdict()
        options = [option._asdict() for option in row.options]
        rows.append({"name": row.name, "images": images, "licence": row.licence, "needs": needs, "options": options})
    return rows


def build_dataset(
    name: str, origin: Path | None = None, options: Mapping[str, Value] = _AS_BUILT, *, force: bool = False
) -> Path:
    """Build a data set and return its folder. `origin` is the folder that it needs; options not given have defaults.

    A whole one that is there already is kept, a damaged one is replaced, as it was built. Raises `InputError` where
    the one that is there was built otherwise, unless `force` says to replace it.
    """
    return build_row(dataset_named(name), origin, options, force=force)


def build_row(
    row: Dataset, origin: Path | None = None, options: Mapping[str, Value] = _AS_BUILT, *, force: bool = False
) -> Path:
    """As `build_dataset`, for a row that need not be among the known ones yet."""
    place = data_root() / row.folder_name
    if place.is_dir() and not force:
        _refuse_other_build(row, place, origin, options)
        if not _problems(row, place):
            return place
        options = {**_built_options(row, place), **options}
    order_options = check_options(row, options)
    try:
        with staging_beside(place) as staging:
            fresh = staging / "fresh"
            fresh.mkdir()
            row.build(Order(row, fresh, _checked_origin(row, origin), order_options))
            _refuse_problems(row, fresh)
            publish(fresh, place, staging / "replaced", is_whole=lambda: not force and not _problems(row, place))
    except OSError as error:
        raise InputError(
            f"data {row.name}: {error.filename or place}",
            expected="a folder to build in",
            got=error.strerror or str(error),
            remedy="Free some space there, or set BOXLIST_DATA to another folder.",
        ) from error
    return place


def check_dataset(name: str) -> list[str]:
    """What is wrong with a data set, one line each: files, sizes, every hash, images in both splits, and boxes."""
    row = dataset_named(name)
    place = data_root() / row.folder_name
    if not place.is_dir():
        return [f"{place}: not built; run: {_build_command(row)}"]
    return _problems(row, place) or [
        line for split in row.splits for line in document_faults(documents(name, split), f"{name} {split}")
    ]


def _build_command(row: Dataset) -> str:
    return f"boxlist data build {row.name}" + ("" if row.needs is None else " --from DIR")


def _checked_origin(row: Dataset, origin: Path | None) -> Path | None:
    """The source folder that the row needs; `InputError` where one is missing, or is given to a row that needs none."""
    if row.needs is None:
        if origin is None:
            return None
        raise InputError(f"--from {origin}", expected=f"none: {row.name} needs none", got="one", remedy="Drop it.")
    if origin is None or not origin.is_dir():
        raise InputError(
            f"data {row.name}",
            expected=f"--from DIR, {row.needs.what}",
            got="none" if origin is None else f"{origin}, which is no folder",
            remedy=f"Get it from {row.needs.where}, then run: {_build_command(row)}",
        )
    return origin.resolve()


def _built_options(row: Dataset, place: Path) -> dict[str, Value]:
    """The options that the set in `place` was built with; none where its manifest cannot be read."""
    try:
        written = read_manifest(place / row.splits[0]).get("options")
    except InputError:
        return {}
    known = {option.name for option in row.options}
    return {name: value for name, value in written.items() if name in known} if isinstance(written, dict) else {}


def _refuse_other_build(row: Dataset, place: Path, origin: Path | None, options: Mapping[str, Value]) -> None:
    built = _built_options(row, place)
    other = [f"{name}={built[name]}" for name, value in options.items() if name in built and built[name] != value]
    root = _built_root(row, place)
    if origin is not None and root is not None and not _leads_to(origin, root):
        other.append(f"images under {root}")
    if other:
        raise InputError(
            f"{place}",
            expected="a data set built as asked, or none",
            got=f"one with {', '.join(other)}",
            remedy="Add --force to build it anew, or leave the options out to keep it.",
        )


def _leads_to(origin: Path, root: Path) -> bool:
    """Whether a folder lies in another, or in one that a link of the other's names: image folders often are links."""
    links = [entry for entry in origin.glob("*") if entry.is_symlink()]
    return any(root.is_relative_to(entry.resolve()) for entry in (origin, *links))


def _built_root(row: Dataset, place: Path) -> Path | None:
    try:
        in_place = read_manifest(place / row.splits[0]).get("in_place")
    except InputError:
        return None
    return None if in_place is None else Path(in_place["root"])


def _problems(row: Dataset, place: Path, *, verify: bool = True) -> list[str]:
    found = [problem for split in row.splits for problem in split_problems(place / split, verify=verify)]
    return found or _shared_images(row, place)


def _shared_images(row: Dataset, place: Path) -> list[str]:
    """Images that occur in two splits, or twice in a split of boxlist's own making, by their pixels.

    A folder of somebody else's images may hold a picture twice; that is for its builder to report.
    """
    seen: dict[str, tuple[str, str]] = {}
    problems = []
    for split in row.splits:
        manifest = read_manifest(place / split)
        theirs = manifest.get("in_place", {}).get("files", [])
        for entry, own in [(e, True) for e in manifest["files"]] + [(e, False) for e in theirs]:
            pixels = entry.get("pixels_sha256")
            if pixels is None:
                continue
            other, path = seen.setdefault(pixels, (split, entry["path"]))
            if other != split or (own and path != entry["path"]):
                problems.append(f"{place / split / entry['path']}: the same picture as {other}/{path}")
    return problems


def _refuse_problems(row: Dataset, fresh: Path) -> None:
    # what stays in place was hashed a moment ago, by the builder
    problems = _problems(row, fresh, verify="in_place" not in read_manifest(fresh / row.splits[0]))
    if problems:
        remedy = "Report it: the builder is wrong."
        raise InputError(f"data {row.name}", expected="a whole data set", got=problems[0], remedy=remedy)
