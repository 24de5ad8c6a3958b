"""The forms that annotated images come in, one row each. Every form is read into COCO's terms, and checked as COCO."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.tasks.datasets.coco_file import read_fields
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.tasks.datasets.own.voc_folder import read_voc_folder
from boxlist.tasks.datasets.own.yolo import read_yolo_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boxlist.metrics.regular_coco import CocoFile
    from boxlist.tasks.datasets.own.spec import OwnSpec


class Source(NamedTuple):
    """What a set is made from: annotations and image folder of each of its own splits, or of "all" where it has none.

    `sha256` holds the hashes of the annotation files, by what they are.
    """

    parts: Mapping[str, tuple[CocoFile, Path]]
    sha256: Mapping[str, str]


def read_source(spec: OwnSpec) -> Source:
    """Read the annotations of a spec. Raises `InputError` for what is not of its form."""
    return FORMS[spec.form](spec)


def source_sha256(spec: OwnSpec) -> dict[str, str]:
    """The hashes of the annotation files, without reading what they say."""
    if spec.form == "coco":
        files = {"annotations": spec.annotations, "train_annotations": spec.train_annotations}
        return {name: file_sha256(_file(path)) for name, path in files.items() if path is not None}
    root = _folder(spec.annotations, "the folder of the annotations")
    return {"annotations": folder_sha256(root, (".txt", ".yaml", ".xml"))}


def folder_sha256(root: Path, endings: tuple[str, ...]) -> str:
    """One hash of the names and bytes of all files in a folder that end so, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in endings and path.is_file()):
        digest.update(f"{path.relative_to(root).as_posix()}\0{file_sha256(path)}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _coco(spec: OwnSpec) -> Source:
    if spec.images is None:
        raise InputError("--images", expected="the folder that the file names count from", got="none", remedy="Add it.")
    images = _folder(spec.images, "the folder of the images")
    parts = {"all": (read_fields(_file(spec.annotations)), images)}
    if spec.train_annotations is not None:
        train = images if spec.train_images is None else _folder(spec.train_images, "the folder of training images")
        parts = {"train": (read_fields(_file(spec.train_annotations)), train), "test": parts["all"]}
    return Source(parts, source_sha256(spec))


def _yolo(spec: OwnSpec) -> Source:
    root = _folder(spec.annotations, "a YOLO folder")
    return Source({split: (file, root) for split, file in read_yolo_folder(root).items()}, source_sha256(spec))


def _voc(spec: OwnSpec) -> Source:
    root = _folder(spec.annotations, "a Pascal VOC folder")
    return Source({split: (file, root) for split, file in read_voc_folder(root).items()}, source_sha256(spec))


FORMS: dict[str, Callable[[OwnSpec], Source]] = {"coco": _coco, "yolo": _yolo, "voc": _voc}


def _file(path: str) -> Path:
    if not Path(path).is_file():
        raise InputError(path, expected="a COCO file", got="no such file", remedy="Check the path.")
    return Path(path)


def _folder(path: str, what: str) -> Path:
    if not Path(path).is_dir():
        raise InputError(path, expected=what, got="no such folder", remedy="Check the path.")
    return Path(path)
