"""A Pascal VOC folder in COCO's terms: `Annotations/*.xml`, `JPEGImages/` and, where there are, `ImageSets/Main`.

The format counts pixels from 1 and includes the last one, so a box is xmin - 1, ymin - 1, xmax, ymax with exclusive
ends, as detectron2 and supervision read it too. Files that count from 0 come out a pixel larger at the left and top.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.metrics.regular_coco import CocoAnnotation, CocoCategory, CocoFile, CocoImage
from boxlist.tasks.datasets.own.image_sizes import ENDINGS
from boxlist.tasks.datasets.voc import read_voc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.voc import VocFile

ANNOTATIONS, IMAGES, SETS = "Annotations", "JPEGImages", "ImageSets/Main"


def read_voc_folder(root: Path) -> dict[str, CocoFile]:
    """The splits of a VOC folder, "train" and "test" (its own test, or else val); "all" where it lists none.

    Raises `InputError` for a folder without annotations, a list that names none, and XML that `read_voc` refuses.
    """
    paths = {path.stem: path for path in sorted((root / ANNOTATIONS).glob("*.xml"))}
    if not paths:
        expected = f"{ANNOTATIONS}/*.xml and {IMAGES}/"
        raise InputError(f"{root}", expected=expected, got="no annotations", remedy="Give the folder above them.")
    images = {path.stem: path.name for path in sorted((root / IMAGES).glob("*")) if path.suffix.lower() in ENDINGS}
    files = {stem: read_voc(path.read_bytes(), str(path), any_extent=True) for stem, path in paths.items()}
    names = sorted({item.name for file in files.values() for item in file.objects})
    categories = [CocoCategory(number, name) for number, name in enumerate(names, start=1)]
    train, val, test = (_listed(root, split, files) for split in ("train", "val", "test"))
    rest = test or val
    if train is None or rest is None:
        return {"all": _coco(sorted(files), files, images, categories)}
    return {"train": _coco(train, files, images, categories), "test": _coco(rest, files, images, categories)}


def _listed(root: Path, split: str, files: Mapping[str, VocFile]) -> list[str] | None:
    """The names that a split's list holds, sorted; None where there is no list, or none of its names has a file.

    The challenge's own test lists name images whose annotations were never given out.
    """
    path = root / SETS / f"{split}.txt"
    if not path.is_file():
        return None
    names = sorted({line.split()[0] for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()})
    missing = [name for name in names if name not in files]
    if len(missing) == len(names):
        return None
    if missing:
        raise InputError(
            f"{path}",
            expected="names of annotations",
            got=f"{len(missing)} without, such as {missing[0][:60]!r}",
            remedy="Remove them from the list.",
        )
    return names


def _coco(
    stems: Sequence[str], files: Mapping[str, VocFile], images: Mapping[str, str], categories: list[CocoCategory]
) -> CocoFile:
    numbers = {category.name: category.id for category in categories}
    coco = CocoFile([], categories, [])
    for image_id, stem in enumerate(stems, start=1):
        name = f"{IMAGES}/{images.get(stem, f'{stem}.jpg')}"
        coco.images.append(CocoImage(image_id, *files[stem].size_wh_px, name))
        for place, item in enumerate(files[stem].objects, start=1):
            x1, y1, x2, y2 = item.box_xyxy_px
            box = (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1)
            coco.annotations.append(CocoAnnotation(image_id, numbers[item.name], f"{stem}.xml object {place}", box))
    return coco
