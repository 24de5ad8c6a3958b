"""A YOLO folder in COCO's terms: `data.yaml`, `images/` and `labels/`, with or without splits below or above them.

A line of a label file is `class x y width height`, of the centre and in shares of the image; more numbers are a
polygon, whose bounds count (Ultralytics' segmentation format). An image without a label file has no objects.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from boxlist.errors import InputError
from boxlist.metrics.regular_coco import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from boxlist.strict_yaml import read_strict_yaml
from boxlist.tasks.datasets.image_files import ImageRoot
from boxlist.tasks.datasets.own.image_sizes import ENDINGS, size_of_image

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml")
_LARGEST_BYTES = 16 * 2**20


def read_yolo_folder(root: Path) -> dict[str, CocoFile]:
    """The splits of a YOLO folder, "train" and "test" (its own test, or else val); "all" where it names none.

    Raises `InputError` for a folder without a `data.yaml`, and for a label that is none, with file and line.
    """
    data = _read_data_file(root)
    categories = _categories(data)
    named = {split: data[split] for split in ("train", "val", "test") if data.get(split)}
    folders = {split: _image_folder(root, data, value, split) for split, value in named.items()}
    present = {split: folder for split, folder in folders.items() if folder is not None}
    test = present.get("test") or present.get("val")
    if test is None or "train" not in present or test == present["train"]:
        only = test or present.get("train") or _plain_images(root)
        return {"all": _read_images(root, only, categories)}
    return {
        "train": _read_images(root, present["train"], categories),
        "test": _read_images(root, test, categories),
    }


def _read_data_file(root: Path) -> dict[str, Any]:
    path = next((root / name for name in DATA_FILES if (root / name).is_file()), None)
    if path is None:
        raise InputError(f"{root}", expected="a data.yaml with names", got="none", remedy="Give the folder above it.")
    return {**read_strict_yaml(path, "data.yaml", see="tasks/datasets/README.md"), "file": str(path)}


def _categories(data: Mapping[str, Any]) -> list[CocoCategory]:
    names = data.get("names")
    pairs = (
        list(enumerate(names)) if isinstance(names, list) else list(names.items()) if isinstance(names, dict) else []
    )
    if not pairs or not all(type(number) is int and isinstance(name, str) for number, name in pairs):
        _refuse(f"{data['file']}: names", "a list of class names, or numbers with names", repr(names)[:80])
    return [CocoCategory(number, name) for number, name in pairs]


def _image_folder(root: Path, data: Mapping[str, Any], value: object, split: str) -> PurePosixPath | None:
    """Where a split's images lie, under the root; None where there is no such folder.

    Exports of the same tool write `../train/images` from beside the splits, and `path: ../datasets/x` from elsewhere:
    what leads out is tried without its dots, and anything that is still not inside is refused.
    """
    if not isinstance(value, str) or value.endswith(".txt"):
        _refuse(f"{data['file']}: {split}", "a folder of images", repr(value)[:80])
    parts = PurePosixPath(value.replace("\\", "/")).parts
    inside = PurePosixPath(*[part for part in parts if part not in {".", ".."}])
    if inside.is_absolute():
        _refuse(f"{data['file']}: {split}", "a folder inside", repr(value)[:80])
    place = root / inside
    if not place.is_dir():
        return None
    if not place.resolve().is_relative_to(root.resolve()):
        _refuse(f"{data['file']}: {split}", "a folder inside", f"{value[:80]!r}, a link to elsewhere")
    return inside


def _plain_images(root: Path) -> PurePosixPath:
    if not (root / "images").is_dir():
        raise InputError(f"{root}", expected="images/ and labels/", got="no images/", remedy="Give the folder above.")
    return PurePosixPath("images")


def _read_images(root: Path, folder: PurePosixPath, categories: list[CocoCategory]) -> CocoFile:
    place = ImageRoot(root)
    paths = sorted(path for path in (root / folder).rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    file = CocoFile([], categories, [])
    known = {category.id for category in categories}
    for number, path in enumerate(paths, start=1):
        name = path.relative_to(root).as_posix()
        width, height = size_of_image(place, name)
        file.images.append(CocoImage(number, width, height, name))
        label_file = _label_file(root, PurePosixPath(name))
        if width and label_file.is_file():
            for line, (category, box) in _read_labels(label_file).items():
                if category not in known:
                    _refuse(f"{label_file}: line {line}", f"a class below {len(known)}", str(category))
                x, y, w, h = box[0] * width, box[1] * height, box[2] * width, box[3] * height
                file.annotations.append(
                    CocoAnnotation(number, category, f"{label_file.name}:{line}", (x - w / 2, y - h / 2, w, h))
                )
    return file


def _label_file(root: Path, image: PurePosixPath) -> Path:
    """The last `images` of the path becomes `labels`, as Ultralytics has it."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return root.joinpath(*parts).with_suffix(".txt")


def _read_labels(path: Path) -> dict[int, tuple[int, tuple[float, float, float, float]]]:
    """Class and box (centre x, centre y, width, height in shares) by line number; empty lines are passed over."""
    if path.stat().st_size > _LARGEST_BYTES:
        _refuse(str(path), f"at most {_LARGEST_BYTES >> 20} MiB", "more")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        _refuse(str(path), "text", "other bytes")
    found = {}
    for line, words in enumerate(map(str.split, text.split("\n")), start=1):
        if words:
            found[line] = _label(words, f"{path}: line {line}")
    return found


def _label(words: list[str], where: str) -> tuple[int, tuple[float, float, float, float]]:
    try:
        category, numbers = int(words[0]), [float(word) for word in words[1:]]
    except ValueError:
        _refuse(where, "a class number and numbers", repr(" ".join(words))[:80])
    if not all(map(math.isfinite, numbers)) or len(numbers) < 4 or (len(numbers) > 5 and len(numbers) % 2):
        _refuse(where, "class, x, y, width, height", repr(" ".join(words))[:80])
    if len(numbers) in (4, 5):  # a fifth number is a confidence
        return category, (numbers[0], numbers[1], numbers[2], numbers[3])
    xs, ys = numbers[::2], numbers[1::2]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    return category, (min(xs) + width / 2, min(ys) + height / 2, width, height)


def _refuse(where: str, expected: str, got: str) -> NoReturn:
    raise InputError(where, expected=expected, got=got, remedy="Fix the file.")
