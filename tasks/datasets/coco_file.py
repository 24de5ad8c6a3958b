"""A COCO detection file as it is: images with their file names, categories, and every box, crowds among them.

Only the fields that detection needs are read, by type; segmentations, information and licences are passed over. What is
wrong is one `InputError` with its place. Boxes without extent are no error here: real files hold some.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FARTHEST = 1e9  # pixels; a coordinate beyond it is a mistake
_GET = "Get the file again from where it is published."


class CocoImage(msgspec.Struct, frozen=True):
    """One image record; a file name may occur in several."""

    id: int
    file_name: str
    width: int
    height: int


class CocoCategory(msgspec.Struct, frozen=True):
    """One class."""

    id: int
    name: str


class CocoBox(msgspec.Struct, frozen=True):
    """One annotation; `bbox` is x, y, width, height in pixels, `iscrowd` 1 for a region of many objects."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _Content(msgspec.Struct, frozen=True):
    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoBox]


class CocoFile(NamedTuple):
    """What a file says, and the hash of its bytes. `labels` are the classes by id, in the order of their ids."""

    images: Sequence[CocoImage]
    labels: dict[int, str]
    boxes: Sequence[CocoBox]
    sha256: str


_DECODER = msgspec.json.Decoder(_Content)


def read_coco_file(path: Path) -> CocoFile:
    """Read a COCO detection file. Raises `InputError` where it is missing or is none, or its parts do not fit."""
    try:
        data = path.read_bytes()
    except OSError as error:
        got = (error.strerror or "an error").lower()
        remedy = "Check the folder that --from names."
        raise InputError(f"{path}", expected="a COCO detection file", got=got, remedy=remedy) from error
    try:
        content = _DECODER.decode(data)
    except (ValueError, RecursionError) as error:
        got = " ".join(str(error).split())[:200]
        raise InputError(f"{path}", expected="a COCO detection file", got=got, remedy=_GET) from error
    _refuse_twice(path, "image", [image.id for image in content.images])
    _refuse_twice(path, "category", [category.id for category in content.categories])
    _refuse_twice(path, "annotation", [box.id for box in content.annotations])
    _refuse_twice(path, "category name", [category.name.strip() for category in content.categories])
    if not all(category.name.strip() for category in content.categories):
        raise InputError(f"{path}: categories", expected="a name for each", got="an empty one", remedy=_GET)
    _check_images(path, content.images)
    _check_boxes(path, content)
    labels = {category.id: category.name.strip() for category in sorted(content.categories, key=lambda c: c.id)}
    return CocoFile(content.images, labels, content.annotations, hashlib.sha256(data).hexdigest())


def _refuse_twice(path: Path, kind: str, values: Sequence[int | str]) -> None:
    value, times = next(iter(Counter(values).most_common(1)), ("", 1))
    if times > 1:
        raise InputError(f"{path}: {kind} {value!r}", expected="it once", got=f"it {times} times", remedy=_GET)


def _check_images(path: Path, images: Sequence[CocoImage]) -> None:
    for image in images:
        if image.id < 0:
            raise InputError(f"{path}: image {image.id}", expected="an id from 0", got=str(image.id), remedy=_GET)
        if image.width <= 0 or image.height <= 0:
            got = f"{image.width}x{image.height}"
            raise InputError(f"{path}: image {image.id}", expected="a size above 0", got=got, remedy=_GET)


def _check_boxes(path: Path, content: _Content) -> None:
    images, categories = {image.id for image in content.images}, {category.id for category in content.categories}
    for box in content.annotations:
        wrong = None
        if box.image_id not in images:
            wrong = "an image_id that images has", str(box.image_id)
        elif box.category_id not in categories:
            wrong = "a category_id that categories has", str(box.category_id)
        elif not all(-_FARTHEST < number < _FARTHEST for number in box.bbox):
            wrong = "a bbox of four numbers in pixels", str(list(box.bbox))
        elif box.iscrowd not in (0, 1):
            wrong = "iscrowd of 0 or 1", str(box.iscrowd)
        if wrong is not None:
            raise InputError(f"{path}: annotation {box.id}", expected=wrong[0], got=wrong[1], remedy=_GET)
