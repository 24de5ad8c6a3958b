"""The manifest of a split: what it holds and was made with, and the size and hashes of every file.

`files` lists what lies in the split's own folder. Images that stay where they are stand in `in_place` instead, by their
names under `root`, the only absolute path that is written anywhere. `content_sha256` identifies the split: it is the
hash of the annotations, which hold the hash of each image's pixels and no absolute path, so it is the same wherever
the images lie and whatever an image encoder makes of equal pixels.
"""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError
from boxlist.tasks.datasets.fingerprints import file_sha256, pixels_sha256
from boxlist.tasks.datasets.image_files import BadImage, ImageFile, ImageRoot, read_image_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

ANNOTATIONS, MANIFEST, IMAGES = "annotations.json", "manifest.json", "images"
MANIFEST_SCHEMA = 1
_LARGEST_JSON_BYTES = 256 * 2**20
_THREADS = 4


class Heading(NamedTuple):
    """What a manifest says beside its files. `counts` may be filled while the pictures are drawn."""

    dataset: str
    version: int
    split: str
    labels: Sequence[str]
    licence: str
    source: str
    options: Mapping[str, Any]
    counts: dict[str, Any]


def make_manifest(
    folder: Path, heading: Heading, pixels: Mapping[str, str], in_place: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The manifest of a written split; `pixels` has the hash of the pixels of each image in the folder, by its path."""
    files = []
    for path in sorted(split_files(folder)):
        name = path.relative_to(folder).as_posix()
        entry = {"path": name, "size": path.stat().st_size, "sha256": file_sha256(path)}
        files.append({**entry, "pixels_sha256": pixels[name]} if name in pixels else entry)
    return {
        "schema": MANIFEST_SCHEMA,
        "dataset": heading.dataset,
        "version": heading.version,
        "split": heading.split,
        "licence": heading.licence,
        "source": heading.source,
        "options": heading.options,
        "counts": {"images": len(pixels) if in_place is None else len(in_place["files"]), **heading.counts},
        "content_sha256": file_sha256(folder / ANNOTATIONS),
        "files": files,
        **({} if in_place is None else {"in_place": in_place}),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a split; `InputError` when it is missing or is not one."""
    path = folder / MANIFEST
    remedy = "Build the data again: boxlist data build NAME"
    try:
        if path.stat().st_size > _LARGEST_JSON_BYTES:
            raise InputError(f"{path}", expected="a small JSON file", got="a huge one", remedy=remedy)
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}", expected="a manifest", got=error.strerror or "nothing", remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}", expected="JSON", got="something else", remedy=remedy) from error
    if not _is_manifest(manifest):
        raise InputError(f"{path}", expected=f"a manifest of schema {MANIFEST_SCHEMA}", got="another", remedy=remedy)
    fields: dict[str, Any] = manifest
    return fields


def split_problems(folder: Path, *, verify: bool = False) -> list[str]:
    """What is wrong with a split's files, one line each; empty for a whole one.

    Always compares the list of files, their sizes and the hash of the annotations; `verify=True` also hashes every
    image, its bytes and its pixels.
    """
    try:
        manifest = read_manifest(folder)
    except InputError as error:
        return [str(error)]
    listed = {entry["path"]: entry for entry in manifest["files"]}
    present = {path.relative_to(folder).as_posix(): path for path in split_files(folder)}
    problems = [f"{folder / name}: missing" for name in sorted(listed.keys() - present.keys())]
    problems += [f"{folder / name}: in no manifest" for name in sorted(present.keys() - listed.keys())]

    def look(name: str) -> list[str]:
        return list(_file_problems(present[name], listed[name], verify=verify or name == ANNOTATIONS))

    with ThreadPoolExecutor(_THREADS) as pool:  # decoding and hashing let other threads run
        problems += chain.from_iterable(pool.map(look, sorted(listed.keys() & present.keys())))
    if "in_place" in manifest:
        problems += _in_place_problems(manifest["in_place"], f"{folder.parent.name} {folder.name}", verify)
    return problems


def split_files(folder: Path) -> Iterator[Path]:
    """Every file of a split but the manifest and what a file manager leaves behind."""
    for place in (folder, folder / IMAGES):
        if place.is_dir():
            yield from (p for p in place.iterdir() if p.is_file() and p.name != MANIFEST and not p.name.startswith("."))


def in_place_entry(file: ImageFile) -> dict[str, Any]:
    """An image file as the manifest lists it."""
    return {"path": file.name, "size": file.size, "sha256": file.sha256, "pixels_sha256": file.pixels_sha256}


def _is_manifest(value: object) -> bool:
    if not isinstance(value, dict) or value.get("schema") != MANIFEST_SCHEMA or not _are_files(value.get("files")):
        return False
    if "in_place" not in value:
        return True
    images = value["in_place"]
    return (
        isinstance(images, dict)
        and isinstance(images.get("root"), str)
        and _are_files(images.get("files"))
        and all(isinstance(entry.get("pixels_sha256"), str) for entry in images["files"])
    )


def _are_files(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("path"), str)
        and isinstance(entry.get("size"), int)
        and isinstance(entry.get("sha256"), str)
        for entry in value
    )


def _file_problems(path: Path, entry: Mapping[str, Any], *, verify: bool) -> Iterator[str]:
    from PIL import Image

    size = path.stat().st_size
    if size != entry["size"]:
        yield _other_size(str(path), size, entry)
        return
    if not verify:
        return
    if file_sha256(path) != entry["sha256"]:
        yield f"{path}: its bytes have another hash than the manifest says"
    elif "pixels_sha256" in entry:
        with Image.open(path) as image:
            if pixels_sha256(image) != entry["pixels_sha256"]:
                yield f"{path}: its pixels have another hash than the manifest says"


def _in_place_problems(images: Mapping[str, Any], label: str, verify: bool) -> Iterator[str]:
    root = images["root"]
    if not os.path.isdir(root):  # noqa: PTH112
        yield f"{root}: no such folder; the images were there when the data was built"
        return
    if verify:
        yield from _changed_images(images, label)
        return
    place = ImageRoot(root)
    for entry in images["files"]:
        found = place.find(entry["path"])
        if isinstance(found, BadImage):
            yield f"{root}/{entry['path']}: {found.detail}"
            continue
        try:
            size = os.stat(found).st_size  # noqa: PTH116 - 100,000 files: no path objects
        except OSError:
            yield f"{found}: missing"
            continue
        if size != entry["size"]:
            yield _other_size(found, size, entry)


def _changed_images(images: Mapping[str, Any], label: str) -> Iterator[str]:
    root = images["root"]
    read = read_image_files(root, [entry["path"] for entry in images["files"]], label)
    for entry in images["files"]:
        name = entry["path"]
        if name in read.bad:
            yield f"{root}/{name}: {read.bad[name].fault}: {read.bad[name].detail}"
        elif read.good[name].size != entry["size"]:
            yield _other_size(f"{root}/{name}", read.good[name].size, entry)
        elif read.good[name].sha256 != entry["sha256"]:
            yield f"{root}/{name}: its bytes have another hash than the manifest says"


def _other_size(path: str, size: int, entry: Mapping[str, Any]) -> str:
    return f"{path}: {size} bytes, {entry['size']} in the manifest"
