"""A split on disk: `images/*.png`, `annotations.json` (COCO) and `manifest.json` (sizes and hashes of every file).

This module alone knows those files. The annotations are plain COCO; what boxlist adds lies in extra fields: an
object's own attributes, and the question, the answer and the hash of the pixels of an image.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from boxlist.errors import InputError
from boxlist.tasks.datasets.fingerprints import file_sha256, pixels_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from boxlist.metrics.spatial_count import Relation

ANNOTATIONS, MANIFEST, IMAGES = "annotations.json", "manifest.json", "images"
MANIFEST_SCHEMA = 1
_LARGEST_JSON_BYTES = 64 * 2**20


class DocumentObject(TypedDict):
    """One object; color, shape and size are attributes of shapes, name and visible (share in the tile) of trees."""

    label: str
    box_xyxy_px: list[int]
    color: NotRequired[str]
    shape: NotRequired[str]
    size: NotRequired[str]
    name: NotRequired[str]
    visible: NotRequired[float]


class SpatialAnswer(TypedDict):
    """The right answer to an image's question."""

    count: int
    relation: Relation


class Document(TypedDict):
    """One image, what is in it and what is asked about it. `file` is absolute; `answer` only where a question is."""

    image_id: int
    file: str
    width: int
    height: int
    objects: list[DocumentObject]
    question: dict[str, str]
    answer: NotRequired[SpatialAnswer]
    sha256: str
    pixels_sha256: str


class Picture(NamedTuple):
    """One image on its way to disk: RGB pixels `(height, width, 3)`, its objects, and what else is to be noted."""

    image_id: int
    pixels: NDArray[np.uint8]
    objects: Sequence[DocumentObject]
    notes: Mapping[str, Any]


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


def write_split(folder: Path, heading: Heading, pictures: Iterable[Picture], texts: Mapping[str, str]) -> None:
    """Write a split into a new folder; `texts` are further files by name, such as a licence."""
    from PIL import Image

    (folder / IMAGES).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    category_ids = {label: number for number, label in enumerate(heading.labels, start=1)}
    for picture in pictures:
        image = Image.fromarray(picture.pixels)
        name = f"{picture.image_id:04d}.png"
        image.save(folder / IMAGES / name, format="PNG")
        entry = {"id": picture.image_id, "file_name": name, "width": image.width, "height": image.height}
        images.append({**entry, "pixels_sha256": pixels_sha256(image), **picture.notes})
        for item in picture.objects:
            number = len(annotations) + 1
            annotations.append(_annotation(number, picture.image_id, category_ids[item["label"]], item))
    coco = {
        "info": {"description": f"boxlist {heading.dataset}, {heading.split} split", "version": str(heading.version)},
        "licenses": [{"id": 1, "name": heading.licence, "url": ""}],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in category_ids.items()],
    }
    _write_json(folder / ANNOTATIONS, coco)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    _write_json(folder / MANIFEST, _manifest(folder, heading))


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
    hashes = {entry["path"]: entry["sha256"] for entry in read_manifest(folder)["files"]}
    coco = json.loads((folder / ANNOTATIONS).read_bytes())
    labels = {category["id"]: category["name"] for category in coco["categories"]}
    objects: dict[int, list[DocumentObject]] = {image["id"]: [] for image in coco["images"]}
    for annotation in coco["annotations"]:
        objects[annotation["image_id"]].append(_object(annotation, labels))
    found = [_document(folder, image, objects[image["id"]], hashes) for image in coco["images"]]
    return sorted(found, key=lambda document: document["image_id"])


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
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    problems = [f"{folder / name}: missing" for name in sorted(listed.keys() - present.keys())]
    problems += [f"{folder / name}: in no manifest" for name in sorted(present.keys() - listed.keys())]
    for name in sorted(listed.keys() & present.keys()):
        problems += _file_problems(present[name], listed[name], verify=verify or name == ANNOTATIONS)
    return problems


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


def _manifest(folder: Path, heading: Heading) -> dict[str, Any]:
    pixels = {
        f"{IMAGES}/{image['file_name']}": image["pixels_sha256"]
        for image in json.loads((folder / ANNOTATIONS).read_bytes())["images"]
    }
    files = []
    for path in sorted(_files(folder)):
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
        "counts": {"images": len(pixels), **heading.counts},
        # The annotations hold the hash of each image's pixels, so their hash stands for the whole split,
        # whatever the PNG encoder of a machine makes of equal pixels.
        "content_sha256": file_sha256(folder / ANNOTATIONS),
        "files": files,
    }


def _is_manifest(value: object) -> bool:
    if (
        not isinstance(value, dict)
        or value.get("schema") != MANIFEST_SCHEMA
        or not isinstance(value.get("files"), list)
    ):
        return False
    return all(
        isinstance(entry, dict)
        and isinstance(entry.get("path"), str)
        and isinstance(entry.get("size"), int)
        and isinstance(entry.get("sha256"), str)
        for entry in value["files"]
    )


def _file_problems(path: Path, entry: Mapping[str, Any], *, verify: bool) -> Iterator[str]:
    from PIL import Image

    size = path.stat().st_size
    if size != entry["size"]:
        yield f"{path}: {size} bytes, {entry['size']} in the manifest"
        return
    if not verify:
        return
    if file_sha256(path) != entry["sha256"]:
        yield f"{path}: its bytes have another hash than the manifest says"
    elif "pixels_sha256" in entry:
        with Image.open(path) as image:
            if pixels_sha256(image) != entry["pixels_sha256"]:
                yield f"{path}: its pixels have another hash than the manifest says"


def _files(folder: Path) -> Iterator[Path]:
    """Every file of a split but the manifest and what a file manager leaves behind."""
    for place in (folder, folder / IMAGES):
        if place.is_dir():
            yield from (p for p in place.iterdir() if p.is_file() and p.name != MANIFEST and not p.name.startswith("."))


def _annotation(number: int, image_id: int, category_id: int, item: DocumentObject) -> dict[str, Any]:
    x1, y1, x2, y2 = item["box_xyxy_px"]
    box = [x1, y1, x2 - x1, y2 - y1]
    plain = {"id": number, "image_id": image_id, "category_id": category_id, "bbox": box, "area": box[2] * box[3]}
    extra = {key: value for key, value in item.items() if key not in {"label", "box_xyxy_px"}}
    return {**plain, "iscrowd": 0, **extra}


_COCO_KEYS = frozenset({"id", "image_id", "category_id", "bbox", "area", "iscrowd"})


def _object(annotation: Mapping[str, Any], labels: Mapping[int, str]) -> DocumentObject:
    x, y, width, height = annotation["bbox"]
    extra = {key: value for key, value in annotation.items() if key not in _COCO_KEYS}
    item: DocumentObject = {
        "label": labels[annotation["category_id"]],
        "box_xyxy_px": [x, y, x + width, y + height],
        **extra,  # type: ignore[typeddict-item]
    }
    return item


def _document(
    folder: Path, image: Mapping[str, Any], objects: list[DocumentObject], hashes: Mapping[str, str]
) -> Document:
    document: Document = {
        "image_id": image["id"],
        "file": str((folder / IMAGES / image["file_name"]).resolve()),
        "width": image["width"],
        "height": image["height"],
        "objects": objects,
        "question": image.get("question", {}),
        "sha256": hashes[f"{IMAGES}/{image['file_name']}"],
        "pixels_sha256": image["pixels_sha256"],
    }
    if "answer" in image:
        document["answer"] = image["answer"]
    return document


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8", newline="\n")
