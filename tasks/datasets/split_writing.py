"""Writing a split: with its images (`write_split`), around images that were drawn into it (`write_drawn`), or with the
names of images that stay where they are (`write_index`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.tasks.datasets.fingerprints import pixels_sha256
from boxlist.tasks.datasets.manifest import ANNOTATIONS, IMAGES, MANIFEST, Heading, in_place_entry, make_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from boxlist.tasks.datasets.image_files import ImageFile
    from boxlist.tasks.datasets.split_folder import DocumentObject

_NO_TEXTS: Mapping[str, str] = {}


class Picture(NamedTuple):
    """One image on its way to disk: RGB pixels `(height, width, 3)`, its objects, and what else is to be noted."""

    image_id: int
    pixels: NDArray[np.uint8]
    objects: Sequence[DocumentObject]
    notes: Mapping[str, Any]


class Entry(NamedTuple):
    """One document about an image that is a file already. `image_id` is the document's own, unique in the split;
    several documents may name one file. `notes` may hold `question`, `answer` and anything else to be kept."""

    image_id: int
    file: ImageFile
    objects: Sequence[DocumentObject]
    notes: Mapping[str, Any]


def write_split(folder: Path, heading: Heading, pictures: Iterable[Picture], texts: Mapping[str, str]) -> None:
    """Write a split into a new folder; `texts` are further files by name, such as a licence."""
    from PIL import Image

    (folder / IMAGES).mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    category_ids = _category_ids(heading)
    for picture in pictures:
        image = Image.fromarray(picture.pixels)
        name = f"{picture.image_id:04d}.png"
        image.save(folder / IMAGES / name, format="PNG")
        entry = {"id": picture.image_id, "file_name": name, "width": image.width, "height": image.height}
        images.append({**entry, "pixels_sha256": pixels_sha256(image), **picture.notes})
        for item in picture.objects:
            number = len(annotations) + 1
            annotations.append(_annotation(number, picture.image_id, category_ids[item["label"]], item))
    coco = {**_about(heading), "images": images, "annotations": annotations, "categories": _categories(heading)}
    _write_json(folder / ANNOTATIONS, coco)
    _write_texts(folder, texts)
    pixels = {f"{IMAGES}/{image['file_name']}": image["pixels_sha256"] for image in images}
    _write_json(folder / MANIFEST, make_manifest(folder, heading, pixels))


def write_index(
    folder: Path, heading: Heading, root: Path, entries: Iterable[Entry], texts: Mapping[str, str] = _NO_TEXTS
) -> None:
    """Write a split whose images stay under `root`, in the order of the entries; `read_image_files` read them before.

    Equal entries give equal annotations, byte for byte, and a manifest that differs only in `in_place.root`.
    """
    folder.mkdir(parents=True)
    used, counts = _write_entries(folder, heading, entries)
    _write_texts(folder, texts)
    in_place = {"root": str(root.resolve()), "files": [in_place_entry(used[name]) for name in sorted(used)]}
    _write_json(folder / MANIFEST, make_manifest(folder, heading._replace(counts=counts), {}, in_place))


def write_drawn(folder: Path, heading: Heading, entries: Iterable[Entry], texts: Mapping[str, str] = _NO_TEXTS) -> None:
    """Write a split around the images that lie in its folder `images` by then; each entry's file is named as there."""
    used, counts = _write_entries(folder, heading, entries)
    _write_texts(folder, texts)
    pixels = {f"{IMAGES}/{name}": file.pixels_sha256 for name, file in used.items()}
    _write_json(folder / MANIFEST, make_manifest(folder, heading._replace(counts=counts), pixels))


def _write_entries(
    folder: Path, heading: Heading, entries: Iterable[Entry]
) -> tuple[dict[str, ImageFile], dict[str, Any]]:
    """Write the annotations; the files that the entries name, and the heading's counts with those of the entries."""
    used: dict[str, ImageFile] = {}
    images: list[str] = []
    annotations: list[str] = []
    category_ids = _category_ids(heading)
    for entry in entries:
        file = entry.file
        used[file.name] = file
        image = {"id": entry.image_id, "file_name": file.name, "width": file.width, "height": file.height}
        images.append(json.dumps({**image, "pixels_sha256": file.pixels_sha256, **entry.notes}))
        for item in entry.objects:
            number = len(annotations) + 1
            annotations.append(json.dumps(_annotation(number, entry.image_id, category_ids[item["label"]], item)))
    with (folder / ANNOTATIONS).open("w", encoding="ascii", newline="\n") as out:
        out.writelines(_one_a_line(_about(heading), images, annotations, _categories(heading)))
    return used, {**heading.counts, "documents": len(images), "boxes": len(annotations)}


def _one_a_line(
    about: Mapping[str, Any], images: Sequence[str], annotations: Sequence[str], categories: Sequence[Any]
) -> Iterator[str]:
    """COCO with an image, or an annotation, a line: a tenth of the time and half the bytes of indented JSON."""
    for name, value in about.items():
        yield f'{"{" if name == next(iter(about)) else ""}"{name}": {json.dumps(value)},\n'
    for name, lines in (("images", images), ("annotations", annotations)):
        yield f'"{name}": [\n' + ",\n".join(lines) + "\n],\n"
    yield f'"categories": {json.dumps(categories)}}}\n'


def _about(heading: Heading) -> dict[str, Any]:
    return {
        "info": {"description": f"boxlist {heading.dataset}, {heading.split} split", "version": str(heading.version)},
        "licenses": [{"id": 1, "name": heading.licence, "url": ""}],
    }


def _category_ids(heading: Heading) -> dict[str, int]:
    return {label: number for number, label in enumerate(heading.labels, start=1)}


def _categories(heading: Heading) -> list[dict[str, Any]]:
    return [{"id": number, "name": label} for label, number in _category_ids(heading).items()]


def _annotation(number: int, image_id: int, category_id: int, item: DocumentObject) -> dict[str, Any]:
    x1, y1, x2, y2 = item["box_xyxy_px"]
    box = [x1, y1, x2 - x1, y2 - y1]
    plain = {"id": number, "image_id": image_id, "category_id": category_id, "bbox": box, "area": box[2] * box[3]}
    extra = {key: value for key, value in item.items() if key not in {"label", "box_xyxy_px"}}
    return {**plain, "iscrowd": 0, **extra}


def _write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=True) + "\n", encoding="utf-8", newline="\n")
