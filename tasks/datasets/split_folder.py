"""A split on disk: `annotations.json` (COCO), `manifest.json`, and `images/*.png` or images elsewhere, as documents.

The annotations are plain COCO; what boxlist adds lies in extra fields: an object's own attributes, and the question,
the answer and the hash of the pixels of an image. `split_writing` writes them, `manifest` knows the manifest.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, cast

from boxlist.errors import InputError
from boxlist.tasks.datasets.image_files import ImageRoot
from boxlist.tasks.datasets.manifest import ANNOTATIONS, IMAGES, read_manifest, split_problems

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["ANNOTATIONS", "Document", "DocumentObject", "make_object", "read_split"]


class DocumentObject(TypedDict):
    """One object; color, shape and size are attributes of shapes, name and visible (share in the tile) of trees.

    There may be others: `make_object` takes any.
    """

    label: str
    box_xyxy_px: Sequence[float]
    color: NotRequired[str]
    shape: NotRequired[str]
    size: NotRequired[str]
    name: NotRequired[str]
    visible: NotRequired[float]


class Document(TypedDict):
    """One question about one image. `image_id` is the document's own, unique in its split: documents that ask one image
    several things differ in it and share `file`, which is absolute. `answer` stands only where a question has one; each
    kind of probe reads its own keys of it. `picture` stands only in sets that may ask a picture several things, and is
    equal for equal pixels."""

    image_id: int
    file: str
    width: int
    height: int
    objects: list[DocumentObject]
    question: dict[str, str]
    answer: NotRequired[dict[str, Any]]
    sha256: str
    pixels_sha256: str
    picture: NotRequired[str]


def make_object(label: str, box_xyxy_px: Sequence[float], **attributes: Any) -> DocumentObject:
    """An object with any further attributes, which are kept in the annotations and come back in the document."""
    return cast("DocumentObject", {"label": label, "box_xyxy_px": list(box_xyxy_px), **attributes})


def read_split(folder: Path, dataset: str, split: str, *, verify: bool = False) -> list[Document]:
    """Read a split's documents in the order of their ids, after `split_problems`.

    Raises `InputError` for the first problem, with the command that builds the data anew.
    """
    problems = split_problems(folder, verify=verify)
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise InputError(
            f"data {dataset}, {split} split",
            expected="the files that its manifest lists",
            got=problems[0] + more,
            remedy=f"Run: boxlist data build {dataset}",
        )
    files = _image_files(folder)
    coco = json.loads((folder / ANNOTATIONS).read_bytes())
    labels = {category["id"]: category["name"] for category in coco["categories"]}
    objects: dict[int, list[DocumentObject]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        objects[annotation["image_id"]].append(_object(annotation, labels))
    found = [_document(image, objects[image["id"]], *files[image["file_name"]]) for image in coco["images"]]
    return sorted(found, key=lambda document: document["image_id"])


def _image_files(folder: Path) -> dict[str, tuple[str, str]]:
    """Where each image of the split lies and the hash of its bytes, by its name in the annotations."""
    manifest = read_manifest(folder)
    if "in_place" not in manifest:
        prefix = f"{IMAGES}/"
        return {
            entry["path"].removeprefix(prefix): (str((folder / entry["path"]).resolve()), entry["sha256"])
            for entry in manifest["files"]
            if entry["path"].startswith(prefix)
        }
    root = ImageRoot(manifest["in_place"]["root"])
    return {entry["path"]: (root.locate(entry["path"]), entry["sha256"]) for entry in manifest["in_place"]["files"]}


_COCO_KEYS = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd"})


def _object(annotation: Mapping[str, Any], labels: Mapping[int, str]) -> DocumentObject:
    x, y, width, height = annotation["bbox"]
    extra = {key: value for key, value in annotation.items() if key not in _COCO_KEYS}
    return make_object(labels[annotation["category_id"]], [x, y, x + width, y + height], **extra)


def _document(image: Mapping[str, Any], objects: list[DocumentObject], file: str, sha256: str) -> Document:
    document: Document = {
        "image_id": image["id"],
        "file": file,
        "width": image["width"],
        "height": image["height"],
        "objects": objects,
        "question": image.get("question", {}),
        "sha256": sha256,
        "pixels_sha256": image["pixels_sha256"],
    }
    if "answer" in image:
        document["answer"] = image["answer"]
    return document
