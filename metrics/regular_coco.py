"""The fast way to read a COCO file that has nothing wrong with it, which most have not.

It reads only the fields that boxlist uses, by type, and checks them all at once; a file that fails any check, it says
nothing about but that `coco` must read it, word for word. What it accepts `coco` reads alike (a property test).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from boxlist.metrics.inputs import GroundTruth, ImageId

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import NDArray

FARTHEST = 1e9
"""Coordinates and sizes below this are told to be right at once; their sums are exact, as Python's are."""


class CocoTruths(NamedTuple):
    """Ground truths by image id, in the file's order, and how many annotations were left out and why."""

    truths: dict[ImageId, GroundTruth]
    crowd_left_out: int
    invalid_left_out: int


class CocoImage(msgspec.Struct, gc=False):
    """An image of a COCO file; scoring needs no file."""

    id: int | str
    width: int
    height: int
    file_name: str | None = None


class CocoCategory(msgspec.Struct, gc=False):
    """A class of a COCO file."""

    id: int
    name: str


class CocoAnnotation(msgspec.Struct, gc=False):
    """A box of a COCO file, x y width height in pixels; masks and keypoints are passed over unread."""

    image_id: int | str
    category_id: int
    id: int | str | None = None
    bbox: tuple[float, float, float, float] | None = None
    iscrowd: int = 0


class CocoFile(msgspec.Struct):
    """What boxlist uses of a COCO file, by type and otherwise as it stands there."""

    images: list[CocoImage]
    categories: list[CocoCategory]
    annotations: list[CocoAnnotation]


_DECODER = msgspec.json.Decoder(CocoFile)


def decode_coco(text: str | bytes) -> CocoFile:
    """Read a COCO file's fields by type, and nothing else of it: no value is checked.

    Raises ValueError, which says where, for what is not JSON or has a field of another type.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("brackets nested too deeply") from None


def read_regular(text: str) -> CocoTruths | None:
    """What a COCO file says, or None where something is unusual or wrong."""
    try:
        file = decode_coco(text)
    except ValueError:
        return None
    sizes = {image.id: (image.width, image.height) for image in file.images}
    labels = {category.id: category.name for category in file.categories}
    ids = [annotation.id for annotation in file.annotations if annotation.id is not None]
    kept = [annotation for annotation in file.annotations if annotation.iscrowd == 0]
    are_right = (
        len(sizes) == len(file.images)
        and len(set(map(type, sizes))) <= 1
        and all(width > 0 and height > 0 for width, height in sizes.values())
        and len(labels) == len(file.categories)
        and all(map(str.strip, labels.values()))
        and len(set(ids)) == len(ids)
        and _are_among(sizes, (annotation.image_id for annotation in file.annotations))
        and _are_among(labels, (annotation.category_id for annotation in file.annotations))
        and _are_among((0, 1), (annotation.iscrowd for annotation in file.annotations))
        and all(annotation.bbox for annotation in kept)
    )
    if not are_right:
        return None
    numbers = chain.from_iterable(annotation.bbox or () for annotation in kept)
    boxes = np.fromiter(numbers, dtype=np.float64, count=4 * len(kept)).reshape(-1, 4)
    if not ((np.abs(boxes) < FARTHEST).all() and (boxes[:, 2:] > 0).all()):
        return None
    boxes[:, 2:] += boxes[:, :2]
    names = [labels[annotation.category_id] for annotation in kept]
    return CocoTruths(_by_image(sizes, [a.image_id for a in kept], names, boxes), len(file.annotations) - len(kept), 0)


def _are_among(known: Iterable[Hashable], used: Iterable[Hashable]) -> bool:
    return set(known).issuperset(used)


def _by_image(
    sizes: dict[ImageId, tuple[int, int]], images: list[ImageId], names: list[str], boxes: NDArray[np.float64]
) -> dict[ImageId, GroundTruth]:
    """Hand the boxes and their labels to their images, in the order of the file."""
    place = {image: index for index, image in enumerate(sizes)}
    of_box = np.fromiter(map(place.__getitem__, images), dtype=np.int64, count=len(images))
    order = np.argsort(of_box, kind="stable")
    boxes = boxes[order]
    names = [names[index] for index in order.tolist()]
    ends = np.cumsum(np.bincount(of_box, minlength=len(sizes))).tolist()
    truths = {}
    start = 0
    for (image, size), end in zip(sizes.items(), ends, strict=True):
        truths[image] = GroundTruth(image, tuple(names[start:end]), boxes[start:end], size)
        start = end
    return truths
