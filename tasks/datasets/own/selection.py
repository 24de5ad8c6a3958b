"""From what a COCO file says to the images and boxes that a set keeps, by the choices of its spec.

Boxes are looked at first, and images only of what the boxes left, so that a few classes of a large set are quick.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError, unknown_name
from boxlist.metrics.regular_coco import FARTHEST
from boxlist.records import normalise_label
from boxlist.tasks.datasets.split_folder import make_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from boxlist.metrics.regular_coco import CocoAnnotation, CocoCategory, CocoFile, CocoImage
    from boxlist.tasks.datasets.image_files import ImageFile, ImageFiles
    from boxlist.tasks.datasets.own.faults import Tally
    from boxlist.tasks.datasets.own.spec import OwnSpec
    from boxlist.tasks.datasets.split_folder import DocumentObject

ROUNDING_PX = 1.0
"""Boxes that reach this far outside come of rounding, in COCO's own files too: they are clipped and counted."""


class Chosen(NamedTuple):
    """An image and the boxes kept of it; `file` once it was read."""

    image: CocoImage
    objects: list[DocumentObject]


class Kept(NamedTuple):
    """A chosen image whose file is right."""

    image: CocoImage
    objects: list[DocumentObject]
    file: ImageFile


def class_labels(categories: Iterable[CocoCategory], spec: OwnSpec, where: str) -> dict[int, str]:
    """The label of each wanted category by its id, after aliases; in the order of the ids.

    Raises `InputError` for an unknown class or alias, for two labels that a comparison cannot tell apart, and for a
    label that a prompt cannot say.
    """
    names = {category.id: category.name for category in categories}
    aliases = dict(spec.aliases)
    for old in aliases.keys() - set(names.values()):
        raise unknown_name("--alias", old, set(names.values()))
    labels = {number: aliases.get(name, name) for number, name in sorted(names.items())}
    for label in spec.classes:
        if label not in labels.values():
            raise unknown_name("--classes", label, set(labels.values()))
    wanted = {number: label for number, label in labels.items() if not spec.classes or label in spec.classes}
    _refuse_unsayable(set(wanted.values()), where)
    return wanted


def choose_boxes(file: CocoFile, labels: dict[int, str], spec: OwnSpec, tally: Tally) -> list[Chosen]:
    """The images, in the order of their ids, with the boxes kept of each; counts what is wrong or left out."""
    declared = {category.id for category in file.categories}
    images = {image.id: image for image in file.images}
    found: dict[int | str, list[DocumentObject]] = {number: [] for number in images}
    crowded: set[int | str] = set()
    for place, annotation in enumerate(file.annotations):
        where = f"annotation {annotation.id if annotation.id is not None else f'number {place}'}"
        label = labels.get(annotation.category_id)
        if annotation.category_id not in declared:
            tally.add("unknown_category", f"{where}, category {annotation.category_id}")
        elif annotation.image_id not in images:
            tally.add("unknown_image", f"{where}, image {str(annotation.image_id)[:40]}")
        elif label is None:
            tally.left_out["boxes of other classes left out"] += 1
        elif annotation.iscrowd and spec.crowd != "keep":
            crowded.add(annotation.image_id)
            tally.left_out["crowd regions left out"] += 1
        else:
            box = _kept_box(annotation, images[annotation.image_id], spec, tally, where)
            if box is not None:
                found[annotation.image_id].append(make_object(label, box))
    dropped = crowded if spec.crowd == "drop-image" else set()
    chosen = [Chosen(images[number], _once(found[number], images[number], tally)) for number in sorted(found, key=_key)]
    return [one for one in chosen if _is_wanted(one, spec, dropped, tally)]


def _key(number: int | str) -> tuple[int, str]:
    return (number, "") if isinstance(number, int) else (0, number)


def keep_images(chosen: Sequence[Chosen], files: ImageFiles, tally: Tally) -> list[Kept]:
    """Those whose file is a whole image of the size that is annotated, and each picture once."""
    seen: dict[str, str] = {}
    kept = []
    for image, objects in chosen:
        name = image.file_name or ""
        where = f"image {str(image.id)[:40]}, {name}"
        if name in files.bad:
            bad = files.bad[name]
            tally.add(bad.fault, f"{where}: {bad.detail}")
            continue
        file = files.good[name]
        if (file.width, file.height) != (image.width, image.height):
            turned = " (turned, as by EXIF)" if (file.height, file.width) == (image.width, image.height) else ""
            tally.add("wrong_size", f"{where}: {image.width}x{image.height}, is {file.width}x{file.height}{turned}")
        elif file.pixels_sha256 in seen:
            tally.add("same_picture", f"{where}: as {seen[file.pixels_sha256]}")
        else:
            seen[file.pixels_sha256] = f"image {str(image.id)[:40]}"
            kept.append(Kept(image, objects, file))
    return kept


def split_by_content(kept: Sequence[Kept], share: float, seed: int) -> tuple[list[Kept], list[Kept]]:
    """Train and test: `share` of the images by the order of a hash of seed and pixels, so names and order do not count.

    >>> split_by_content([], 0.8, 0)
    ([], [])
    """
    ranked = sorted(kept, key=lambda one: hashlib.sha256(f"{seed}:{one.file.pixels_sha256}".encode()).digest())
    train = {one.file.pixels_sha256 for one in ranked[: round(share * len(kept))]}
    return (
        [one for one in kept if one.file.pixels_sha256 in train],
        [one for one in kept if one.file.pixels_sha256 not in train],
    )


def _kept_box(
    annotation: CocoAnnotation, image: CocoImage, spec: OwnSpec, tally: Tally, where: str
) -> list[float] | None:
    """x1 y1 x2 y2 in pixels, inside the image; None where the box is not kept."""
    where = f"image {str(image.id)[:40]}, {where}"
    box = annotation.bbox
    if box is None or not all(abs(number) < FARTHEST for number in box) or box[2] <= 0 or box[3] <= 0:
        tally.add("no_extent", f"{where}: {'no bbox' if box is None else _shown(box)}")
        return None
    x1, y1, x2, y2 = box[0], box[1], box[0] + box[2], box[1] + box[3]
    beyond = max(-x1, -y1, x2 - image.width, y2 - image.height)
    if beyond > 0:
        if beyond > ROUNDING_PX:
            tally.add("outside_image", f"{where}: {_shown(box)} in {image.width}x{image.height}")
            if spec.bad_boxes != "clip":
                return None
        else:
            tally.left_out["boxes clipped by a pixel or less"] += 1
        x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, image.width), min(y2, image.height)
    if x2 <= x1 or y2 <= y1:
        tally.left_out["boxes wholly outside left out"] += 1
        return None
    if (x2 - x1) * (y2 - y1) < spec.min_area:
        tally.left_out[f"boxes below {spec.min_area:g} square pixels left out"] += 1
        return None
    return [x1, y1, x2, y2]


def _once(objects: list[DocumentObject], image: CocoImage, tally: Tally) -> list[DocumentObject]:
    """The objects without exact copies: the same label and the same box."""
    kept: dict[tuple[str, tuple[float, ...]], DocumentObject] = {}
    for item in objects:
        key = item["label"], tuple(item["box_xyxy_px"])
        if key in kept:
            tally.add("same_box", f"image {str(image.id)[:40]}: {item['label']} at {_shown(key[1])}")
        kept.setdefault(key, item)
    return list(kept.values())


def _is_wanted(one: Chosen, spec: OwnSpec, dropped: set[int | str], tally: Tally) -> bool:
    count = len(one.objects)
    reasons = {
        "images with crowd regions left out": one.image.id in dropped,
        f"images with fewer than {spec.min_objects} boxes left out": count < spec.min_objects,
        f"images with more than {spec.max_objects} boxes left out": spec.max_objects is not None
        and count > spec.max_objects,
    }
    reason = next((reason for reason, holds in reasons.items() if holds), None)
    if reason is not None:
        tally.left_out[reason] += 1
    return reason is None


def _refuse_unsayable(labels: set[str], where: str) -> None:
    same: dict[str, str] = {}
    for label in sorted(labels):
        other = same.setdefault(normalise_label(label), label)
        if other != label:
            raise InputError(
                where,
                expected="classes that differ by more than case and white space",
                got=f"{other[:60]!r} and {label[:60]!r}",
                remedy=f"Make them one with --alias {label[:60]!r}={other[:60]!r}.",
            )
        if not normalise_label(label) or not label.isprintable() or "{" in label or "}" in label or len(label) > 100:
            raise InputError(
                where,
                expected="class names that a prompt can say: printable, without braces, at most 100 characters",
                got=repr(label[:60]),
                remedy=f"Rename it with --alias {label[:60]!r}=NAME.",
            )


def _shown(numbers: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"
