"""Ground truth from a COCO file: `images`, `categories`, and `annotations` with boxes as x, y, width, height.

Nothing is guessed or passed over: whatever the file gets wrong is one `InputError` that names the place. Crowd regions
(`iscrowd`: 1) are left out and counted, since they are no single objects; COCO tools ignore them too.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.inputs import GroundTruth, ImageId
from boxlist.metrics.json_input import NotJsonError, is_finite_number, is_whole_number, parse_json, show
from boxlist.metrics.regular_coco import FARTHEST, CocoTruths, read_regular

_NUMBERS = {int, float}

_FIX = "Fix the file."
_FIX_OR_DROP = "Fix the file or pass --drop-invalid."


def read_coco(path: str | Path, *, drop_invalid: bool = False) -> CocoTruths:
    """Read a COCO ground-truth file.

    With `drop_invalid`, boxes that are not four finite numbers with a positive width and height are left out instead
    of refused. Images without annotations are kept: their ground truth is that there is nothing.
    """
    path = Path(path)
    text = read_text(path, "a COCO ground-truth file")
    regular = read_regular(text)
    return regular or read_every_word(text, path.name, drop_invalid=drop_invalid)


def read_every_word(text: str, name: str, *, drop_invalid: bool) -> CocoTruths:
    """The same for a file's text; `name` opens every message."""
    content = _load(text, name)
    reader = _Reader(name, drop_invalid=drop_invalid)
    sizes = reader.read_images(content["images"])
    labels = reader.read_categories(content["categories"])
    boxes, names = reader.read_annotations(content["annotations"], sizes, labels)
    truths = {
        image: GroundTruth(image, tuple(names[image]), np.array(boxes[image], dtype=np.float64).reshape(-1, 4), size)
        for image, size in sizes.items()
    }
    return CocoTruths(truths, reader.crowd_left_out, reader.invalid_left_out)


def read_text(path: Path, what: str) -> str:
    """A file as text; a folder, a missing file or one that is no text is an `InputError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            str(path), expected=f"{what} in UTF-8", got=f"another byte at {error.start}", remedy="Convert the file."
        ) from None
    except OSError as error:
        raise InputError(
            str(path), expected=what, got=(error.strerror or "an error").lower(), remedy="Check the path."
        ) from None


def is_image_id(value: object) -> TypeGuard[ImageId]:
    """Whether it can be an image id: a whole number or text."""
    return isinstance(value, str) or is_whole_number(value)


def _load(text: str, name: str) -> dict[str, list[Any]]:
    try:
        content = parse_json(text, unique_keys=False)
    except NotJsonError as error:
        raise InputError(name, expected="JSON", got=str(error), remedy=_FIX) from None
    if not isinstance(content, dict):
        raise InputError(
            name,
            expected="a JSON object with images, annotations and categories",
            got=_kind(content),
            remedy="Give the ground truth, not a list of results.",
        )
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            got = _kind(content[key]) if key in content else "nothing"
            raise InputError(f"{name}: {key}", expected="a list", got=got, remedy=_FIX)
        for index, entry in enumerate(content[key]):
            if not isinstance(entry, dict):
                raise InputError(f"{name}: {key}[{index}]", expected="an object", got=_kind(entry), remedy=_FIX)
    return content


class _Reader:
    """Checks the parts of one file against each other; `name` opens every message."""

    def __init__(self, name: str, *, drop_invalid: bool) -> None:
        self._name = name
        self._drop_invalid = drop_invalid
        self.crowd_left_out = 0
        self.invalid_left_out = 0

    def read_images(self, images: list[dict[str, Any]]) -> dict[ImageId, tuple[int, int]]:
        sizes: dict[ImageId, tuple[int, int]] = {}
        for index, image in enumerate(images):
            image_id = image.get("id")
            if not is_image_id(image_id):
                raise self._error(f"images[{index}]", "an id, a number or text", show(image_id))
            self._refuse_twice("image", image_id, again=image_id in sizes)
            for side in ("width", "height"):
                size = image.get(side)
                if not is_whole_number(size) or size <= 0:
                    raise self._error(f"image {image_id!r}", f"a {side} in whole pixels above 0", show(size))
            sizes[image_id] = (image["width"], image["height"])
        kinds = {type(image_id) for image_id in sizes}
        if len(kinds) > 1:
            number, text = (next(i for i in sizes if isinstance(i, kind)) for kind in (int, str))
            raise self._error("image ids", "all numbers or all text", f"both, such as {number} and {show(text)}")
        return sizes

    def read_categories(self, categories: list[dict[str, Any]]) -> dict[int, str]:
        labels: dict[int, str] = {}
        for index, category in enumerate(categories):
            number, name = category.get("id"), category.get("name")
            if not is_whole_number(number):
                raise self._error(f"categories[{index}]", "a whole number as id", show(number))
            self._refuse_twice("category", number, again=number in labels)
            if not isinstance(name, str) or not name.strip():
                raise self._error(f"category {number}", "a name", show(name))
            labels[number] = name
        return labels

    def read_annotations(
        self, annotations: list[dict[str, Any]], sizes: dict[ImageId, tuple[int, int]], labels: dict[int, str]
    ) -> tuple[dict[ImageId, list[list[float]]], dict[ImageId, list[str]]]:
        boxes: dict[ImageId, list[list[float]]] = defaultdict(list)
        names: dict[ImageId, list[str]] = defaultdict(list)
        seen: set[ImageId] = set()
        for index, annotation in enumerate(annotations):
            self._refuse_wrong_ids(index, annotation, sizes, labels, seen)
            if self._is_left_out(index, annotation):
                continue
            image, (x, y, width, height) = annotation["image_id"], annotation["bbox"]
            boxes[image].append([x, y, x + width, y + height])
            names[image].append(labels[annotation["category_id"]])
        return boxes, names

    def _refuse_wrong_ids(
        self,
        index: int,
        annotation: dict[str, Any],
        sizes: dict[ImageId, tuple[int, int]],
        labels: dict[int, str],
        seen: set[ImageId],
    ) -> None:
        number, image, category = map(annotation.get, ("id", "image_id", "category_id"))
        if number is not None:
            if not is_image_id(number):
                raise self._error(_named(index, annotation), "an id that is a number or text", show(number))
            self._refuse_twice("annotation", number, again=number in seen)
            seen.add(number)
        if not is_image_id(image) or image not in sizes:
            raise self._error(_named(index, annotation), "an image_id that images has", show(image))
        if not is_whole_number(category) or category not in labels:
            raise self._error(_named(index, annotation), "a category_id that categories has", show(category))

    def _is_left_out(self, index: int, annotation: dict[str, Any]) -> bool:
        """Whether it is a crowd, or an invalid box that may be dropped; one that may not is refused."""
        crowd = annotation.get("iscrowd", 0)
        wrong = None if crowd == 1 else _wrong_with(annotation.get("bbox"))
        if crowd not in (0, 1):
            wrong = "iscrowd of 0 or 1", show(crowd)
        if wrong and not self._drop_invalid:
            where = f"{self._name}: image {annotation['image_id']!r}, {_named(index, annotation)}"
            raise InputError(where, expected=wrong[0], got=wrong[1], remedy=_FIX_OR_DROP)
        self.crowd_left_out += crowd == 1
        self.invalid_left_out += wrong is not None
        return crowd == 1 or wrong is not None

    def _refuse_twice(self, kind: str, number: ImageId, *, again: bool) -> None:
        if again:
            raise self._error(f"{kind} {number!r}", "ids used once", "this one twice")

    def _error(self, where: str, expected: str, got: str) -> InputError:
        return InputError(f"{self._name}: {where}", expected=expected, got=got, remedy=_FIX)


def _named(index: int, annotation: dict[str, Any]) -> str:
    """How messages name an annotation."""
    number = annotation.get("id")
    return f"annotations[{index}]" if number is None else f"annotation {show(number)}"


def _wrong_with(box: object) -> tuple[str, str] | None:
    """What a box should have been and what it is, or None if it is right."""
    if type(box) is list and len(box) == 4 and _NUMBERS.issuperset(map(type, box)):
        x, y, width, height = box
        if -FARTHEST < x < FARTHEST and -FARTHEST < y < FARTHEST and 0 < width < FARTHEST and 0 < height < FARTHEST:
            return None  # told at once; what follows is slower and says what is wrong
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_finite_number, box)):
        return "bbox of four finite numbers", show(box)
    for side, size in (("width", box[2]), ("height", box[3])):
        if size <= 0:
            return f"{side} > 0", show(size)
    if not all(map(is_finite_number, (box[0] + box[2], box[1] + box[3]))):
        return "a box that ends at finite numbers", show(box)
    return None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
