"""A COCO detection file as it is: images with their file names, categories, and every box, crowds among them.

What is wrong is one `InputError` with its place. `read_fields` leaves it to its caller what boxes may be like;
`read_coco_file` takes what is published, where ids are numbers and all fits. Boxes without extent are no error here:
real files hold some.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.metrics.regular_coco import FARTHEST, decode_coco
from boxlist.tasks.datasets.fingerprints import file_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from boxlist.metrics import regular_coco

_BOM = b"\xef\xbb\xbf"
_FIX = "Fix the file, or get it again."


class CocoImage(NamedTuple):
    """One image record; a file name may occur in several."""

    id: int
    file_name: str
    width: int
    height: int


class CocoBox(NamedTuple):
    """One annotation; `bbox` is x, y, width, height in pixels, `iscrowd` 1 for a region of many objects."""

    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class CocoFile(NamedTuple):
    """What a file says, and the hash of its bytes. `labels` are the classes by id, in the order of their ids."""

    images: Sequence[CocoImage]
    labels: dict[int, str]
    boxes: Sequence[CocoBox]
    sha256: str


def read_fields(path: Path) -> regular_coco.CocoFile:
    """A COCO file's fields, by type.

    Raises `InputError` for another file, an id that is used twice, and an image without a file name.
    """
    try:
        file = decode_coco(path.read_bytes().removeprefix(_BOM))
    except (OSError, ValueError) as error:
        got = (error.strerror or "an error").lower() if isinstance(error, OSError) else str(error)[:200]
        remedy = "Check the path." if isinstance(error, OSError) else _FIX
        expected = "a COCO file with images, annotations and categories"
        raise InputError(f"{path}", expected=expected, got=got, remedy=remedy) from None
    _refuse_twice(path, "image", [image.id for image in file.images])
    _refuse_twice(path, "category", [category.id for category in file.categories])
    nameless = next((image for image in file.images if not image.file_name), None)
    if nameless is not None:
        raise _wrong(path, f"image {str(nameless.id)[:40]}", "a file_name", "none")
    return file


def read_coco_file(path: Path) -> CocoFile:
    """Read a COCO file as published. Raises `InputError` where it is none, or its parts do not fit."""
    file = read_fields(path)
    names = [category.name.strip() for category in file.categories]
    _refuse_twice(path, "category name", names)
    if not all(names):
        raise _wrong(path, "categories", "a name for each", "an empty one")
    labels = dict(sorted(zip([category.id for category in file.categories], names, strict=True)))
    images = {image.id: _image(path, image) for image in file.images}
    _refuse_twice(path, "annotation", [annotation.id for annotation in file.annotations])
    boxes = [_box(path, annotation, images, labels) for annotation in file.annotations]
    return CocoFile(list(images.values()), labels, boxes, file_sha256(path))


def _image(path: Path, image: regular_coco.CocoImage) -> CocoImage:
    where = f"image {str(image.id)[:40]}"
    if not isinstance(image.id, int) or image.id < 0:
        raise _wrong(path, where, "a number from 0 as id", repr(image.id)[:40])
    if image.width <= 0 or image.height <= 0:
        raise _wrong(path, where, "a size above 0", f"{image.width}x{image.height}")
    return CocoImage(image.id, image.file_name or "", image.width, image.height)


def _box(
    path: Path,
    annotation: regular_coco.CocoAnnotation,
    images: dict[int | str, CocoImage],
    labels: dict[int, str],
) -> CocoBox:
    number, image, bbox = annotation.id, images.get(annotation.image_id), annotation.bbox
    where = f"annotation {str(number)[:40]}"
    if not isinstance(number, int):
        raise _wrong(path, where, "a number as id", repr(number)[:40])
    if image is None:
        raise _wrong(path, where, "an image_id that images has", repr(annotation.image_id)[:40])
    if annotation.category_id not in labels:
        raise _wrong(path, where, "a category_id that categories has", str(annotation.category_id))
    if bbox is None or not all(-FARTHEST < number < FARTHEST for number in bbox):
        raise _wrong(path, where, "a bbox of four numbers in pixels", str(bbox and list(bbox)))
    if annotation.iscrowd not in (0, 1):
        raise _wrong(path, where, "iscrowd of 0 or 1", str(annotation.iscrowd))
    return CocoBox(number, image.id, annotation.category_id, bbox, annotation.iscrowd)


def _refuse_twice(path: Path, kind: str, values: Sequence[int | str | None]) -> None:
    twice = next((value for value, times in Counter(values).items() if times > 1 and value is not None), None)
    if twice is not None:
        raise _wrong(path, f"{kind} {str(twice)[:40]}", "ids used once", "this one twice")


def _wrong(path: Path, where: str, expected: str, got: str) -> InputError:
    return InputError(f"{path}: {where}", expected=expected, got=got, remedy=_FIX)
