"""Which images of a COCO detection file make a data set: the classes, how many objects, what is done with the rest.

Pure functions on a file that was read; no image is opened. What the paper (arXiv 2606.14507, section 3) leaves open is
a field of `Choices`; docs/decisions/007-coco-subset.md says why each default is what it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from boxlist.errors import InputError, unknown_name
from boxlist.tasks.datasets.split_folder import make_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.tasks.datasets.coco_file import CocoBox, CocoFile, CocoImage
    from boxlist.tasks.datasets.split_folder import DocumentObject


@dataclass(frozen=True)
class Choices:
    """Everything that decides which images may be drawn, and what their ground truth is.

    `excluded` classes are no targets; with `exclude` "images" no image that shows one stays either. Targets are the
    `classes` most frequent others (0: all). An image stays with `fewest` to `most` (0: any number) target objects.
    `min_area_px` is the area of the box, in square pixels.
    """

    excluded: tuple[str, ...] = ()
    exclude: Literal["classes", "images"] = "classes"
    classes: int = 0
    rank_by: Literal["instances", "images"] = "instances"
    rank_crowds: bool = False
    fewest: int = 1
    most: int = 0
    crowds: Literal["drop_image", "leave_out", "count"] = "drop_image"
    others: Literal["allow", "drop_image"] = "allow"
    min_area_px: float = 0.0
    clip: bool = True
    coordinates: Literal["exact", "whole"] = "exact"


class Candidate(NamedTuple):
    """An image that may be drawn, with its ground truth in the order of the file."""

    image: CocoImage
    objects: tuple[DocumentObject, ...]


class Selection(NamedTuple):
    """The target classes, most frequent first; the images by id; and how many went out at each step, and why."""

    classes: tuple[str, ...]
    candidates: list[Candidate]
    funnel: dict[str, Any]


def select(file: CocoFile, choices: Choices, where: str) -> Selection:
    """Choose classes and images. `where` names the file in errors; `InputError` for an excluded class it lacks."""
    for name in choices.excluded:
        if name not in file.labels.values():
            raise unknown_name(f"{where}: excluded class", name, list(file.labels.values()))
    if choices.most and choices.most < choices.fewest:
        got = f"fewest={choices.fewest}, most={choices.most}"
        raise InputError(where, expected="most at or above fewest, or 0", got=got, remedy="Change one of them.")
    boxes: Mapping[int, list[CocoBox]] = _by_image(file)
    staying = [image for image in file.images if not _shows_excluded(boxes[image.id], file, choices)]
    ranked = rank_classes(file, choices, {image.id for image in staying})
    targets = {name for name, _ in ranked}
    out: Counter[str] = Counter(images_with_an_excluded_class=len(file.images) - len(staying))
    candidates = []
    for image in sorted(staying, key=lambda image: image.id):
        candidate, reason = _judge(image, boxes[image.id], file, choices, targets, out)
        if candidate is None:
            out[reason] += 1
        else:
            candidates.append(candidate)
    funnel = {
        "images": len(file.images),
        "boxes": len(file.boxes),
        "classes": dict(ranked),
        "out": {reason: out[reason] for reason in _REASONS},
        "images_left": len(candidates),
    }
    return Selection(tuple(name for name, _ in ranked), candidates, funnel)


def rank_classes(file: CocoFile, choices: Choices, image_ids: set[int]) -> list[tuple[str, int]]:
    """The target classes with their instances (or images) among these images, most frequent first, ties by name."""
    counted = [box for box in file.boxes if box.image_id in image_ids and (choices.rank_crowds or not box.iscrowd)]
    if choices.rank_by == "images":
        numbers = Counter(category for _, category in {(box.image_id, box.category_id) for box in counted})
    else:
        numbers = Counter(box.category_id for box in counted)
    found = [(name, numbers[number]) for number, name in file.labels.items() if name not in choices.excluded]
    found.sort(key=lambda pair: (-pair[1], pair[0]))
    return [pair for pair in found[: choices.classes or None] if pair[1]]


def in_drawing_order(candidates: Sequence[Candidate], seed: int, stream: str) -> list[Candidate]:
    """Shuffled by a hash of seed, stream and image id: the same on any machine and with any version of anything, and an
    image's place against another does not depend on which further images there are."""

    def place(candidate: Candidate) -> bytes:
        return hashlib.sha256(f"{seed} {stream} {candidate.image.id}".encode()).digest()

    return sorted(candidates, key=place)


_FEW, _MANY, _OTHERS, _CROWD = ("images_with_fewer", "images_with_more", "images_with_others", "images_with_a_crowd")
_EMPTY, _SMALL, _LEFT_OUT = ("boxes_without_extent", "boxes_below_min_area", "crowd_boxes_left_out")
_REASONS = ("images_with_an_excluded_class", _OTHERS, _CROWD, _FEW, _MANY, _EMPTY, _SMALL, _LEFT_OUT)


def _by_image(file: CocoFile) -> Mapping[int, list[CocoBox]]:
    boxes: dict[int, list[CocoBox]] = defaultdict(list)
    for box in file.boxes:
        boxes[box.image_id].append(box)
    return boxes


def _shows_excluded(boxes: Sequence[CocoBox], file: CocoFile, choices: Choices) -> bool:
    return choices.exclude == "images" and any(file.labels[box.category_id] in choices.excluded for box in boxes)


def _judge(
    image: CocoImage,
    boxes: Sequence[CocoBox],
    file: CocoFile,
    choices: Choices,
    targets: set[str],
    out: Counter[str],
) -> tuple[Candidate | None, str]:
    """The image as a candidate, or None and why it is none. Counts the boxes that go out, of every image, in `out`."""
    theirs = [box for box in boxes if file.labels[box.category_id] in targets]
    crowds = [box for box in theirs if box.iscrowd]
    if choices.others == "drop_image" and len(theirs) < len(boxes):
        return None, _OTHERS
    if crowds and choices.crowds == "drop_image":
        return None, _CROWD
    counted = theirs if choices.crowds == "count" else [box for box in theirs if not box.iscrowd]
    out[_LEFT_OUT] += len(theirs) - len(counted)
    objects = []
    for box in counted:
        corners = _corners(box, image, choices)
        width, height = corners[2] - corners[0], corners[3] - corners[1]
        if width <= 0 or height <= 0:
            out[_EMPTY] += 1
        elif width * height < choices.min_area_px:
            out[_SMALL] += 1
        else:
            crowd = {"crowd": True} if box.iscrowd else {}
            objects.append(make_object(file.labels[box.category_id], corners, source_id=box.id, **crowd))
    if len(objects) < choices.fewest:
        return None, _FEW
    if choices.most and len(objects) > choices.most:
        return None, _MANY
    return Candidate(image, tuple(objects)), ""


def _corners(box: CocoBox, image: CocoImage, choices: Choices) -> list[float]:
    """xyxy in pixels of the image, clipped to it and rounded as chosen."""
    x, y, width, height = box.bbox
    corners = [x, y, x + width, y + height]
    if choices.clip:
        ends = (image.width, image.height, image.width, image.height)
        corners = [min(max(corner, 0.0), end) for corner, end in zip(corners, ends, strict=True)]
    return [float(round(corner)) for corner in corners] if choices.coordinates == "whole" else corners
