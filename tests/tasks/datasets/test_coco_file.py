"""COCO detection files as published, and what is wrong with others, in one line each."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.tasks.datasets.coco_file import CocoBox, CocoImage, read_coco_file

if TYPE_CHECKING:
    from pathlib import Path


def content() -> dict[str, Any]:
    return {
        "info": {"year": 2017},
        "licenses": [{"id": 1, "name": "x", "url": "y"}],
        "images": [{"id": 139, "file_name": "000000000139.jpg", "width": 640, "height": 426, "license": 2}],
        "annotations": [
            {"id": 1, "image_id": 139, "category_id": 62, "bbox": [1.5, 2, 3, 4], "iscrowd": 0, "segmentation": [[1]]}
        ],
        "categories": [{"id": 62, "name": "chair", "supercategory": "furniture"}],
    }


def test_a_published_file_is_read_with_names_and_crowds(coco_folder: Path) -> None:
    path = coco_folder / "annotations" / "instances_val2017.json"
    file = read_coco_file(path)
    assert file.images[0] == CocoImage(139, "000000000139.jpg", 64, 48)
    assert list(file.labels.items())[:3] == [(1, "person"), (3, "car"), (9, "boat")]
    assert sum(box.iscrowd for box in file.boxes) == 1
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_fields_that_detection_does_not_need_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content()))
    assert read_coco_file(path).boxes == [CocoBox(1, 139, 62, (1.5, 2, 3, 4))]


@pytest.mark.parametrize(
    ("where", "key", "value", "said"),
    [
        ("annotations", "image_id", 7, "annotation 1: expected an image_id that images has, got 7"),
        ("annotations", "category_id", 7, "annotation 1: expected a category_id that categories has, got 7"),
        ("annotations", "bbox", [1, 2, 3, 1e12], "annotation 1: expected a bbox of four numbers in pixels, got"),
        (
            "annotations",
            "bbox",
            [1, 2, 3],
            "images, annotations and categories, got Expected `array",
        ),
        ("annotations", "iscrowd", 2, "annotation 1: expected iscrowd of 0 or 1, got 2"),
        ("images", "width", 0, "image 139: expected a size above 0, got 0x426"),
        ("annotations", "bbox", None, "annotation 1: expected a bbox of four numbers in pixels, got None"),
        ("annotations", "id", "1", "annotation 1: expected a number as id, got '1'"),
        ("annotations", "id", None, "annotation None: expected a number as id, got None"),
        ("images", "id", -1, "image -1: expected a number from 0 as id, got -1"),
        ("images", "id", "139", "image 139: expected a number from 0 as id, got '139'"),
        ("images", "file_name", None, "image 139: expected a file_name, got none"),
        ("categories", "name", " ", "categories: expected a name for each, got an empty one"),
    ],
)
def test_what_is_wrong_is_one_line(tmp_path: Path, where: str, key: str, value: object, said: str) -> None:
    data = content()
    data[where][0][key] = value
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError) as refused:
        read_coco_file(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "said"), [("images", "image 139"), ("annotations", "annotation 1"), ("categories", "category 62")]
)
def test_an_id_stands_once(tmp_path: Path, key: str, said: str) -> None:
    data = content()
    data[key] *= 2
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=f"{said}: expected ids used once, got this one twice"):
        read_coco_file(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"images": []}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json: expected a COCO file .*, got "):
        read_coco_file(path)
    with pytest.raises(InputError, match=r"none\.json: expected a COCO file .*, got no such file"):
        read_coco_file(tmp_path / "none.json")
