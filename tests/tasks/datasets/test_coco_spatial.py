"""COCO-spatial from COCO's own files: drawn images, both splits, the paper's sizes beside ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from pathlib import Path

CATEGORIES = [{"id": 17, "name": "cat", "supercategory": "animal"}, {"id": 18, "name": "dog"}, {"id": 3, "name": "car"}]
# image id -> (category id, x, y, width, height, iscrowd)
VAL: dict[int, list[tuple[int, float, float, float, float, int]]] = {
    285: [(17, 0, 0, 40.5, 30, 0), (18, 150, 10, 40, 30, 0)],
    139: [(18, 150, 65, 40, 30, 0)],
    632: [(17, 0, 0, 40, 30, 0), (17, 150, 60, 40, 30, 0)],  # a class twice
    724: [],
}
TRAIN: dict[int, list[tuple[int, float, float, float, float, int]]] = {
    9: [(3, 0, 0, 40, 30, 0)],
    25: [(18, 150, 65, 40, 30, 0)],  # the picture of 139 again
}


BOX: dict[str, Any] = {"id": 1, "image_id": 139, "category_id": 17, "bbox": [1, 2, 3, 4]}


def write_coco(folder: Path, name: str, images: dict[int, Any], seeds: dict[int, int]) -> None:
    content: dict[str, Any] = {"info": {}, "licenses": [], "categories": CATEGORIES, "images": [], "annotations": []}
    for image_id, objects in images.items():
        file = f"{image_id:012}.jpg"
        content["images"].append({"id": image_id, "file_name": file, "width": 200, "height": 100, "license": 1})
        for category, x, y, width, height, crowd in objects:
            annotation = {"id": len(content["annotations"]) + 1, "image_id": image_id, "category_id": category}
            box = {"bbox": [x, y, width, height], "area": width * height, "iscrowd": crowd, "segmentation": []}
            content["annotations"].append(annotation | box)
        (folder / name).mkdir(exist_ok=True)
        pixels = np.random.default_rng(seeds[image_id]).integers(0, 256, (100, 200, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / file, format="JPEG")
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "built"))
    coco = tmp_path / "coco"
    coco.mkdir()
    write_coco(coco, "val2017", VAL, {image_id: image_id for image_id in VAL})
    write_coco(coco, "train2017", TRAIN, {9: 9, 25: 139})
    return coco


def test_the_test_split(folder: Path) -> None:
    build_dataset("coco_spatial", folder)
    found = documents("coco_spatial", "test", verify=True)
    told = [(d["file"].rpartition("/")[2], d["question"]["expression"]) for d in found]
    assert told == [
        ("000000000139.jpg", "dog on the right"),
        ("000000000139.jpg", "dog on the bottom"),
        ("000000000285.jpg", "cat on the left"),
        ("000000000285.jpg", "cat on the top"),
        ("000000000285.jpg", "dog on the right"),
        ("000000000285.jpg", "dog on the top"),
        ("000000000285.jpg", "cat to the left of dog"),
    ]
    assert found[-1]["answer"]["box_xyxy_px"] == [0, 0, 40.5, 30]
    assert found[-1]["objects"] == [{"label": "cat", "box_xyxy_px": [0, 0, 40.5, 30]}]
    assert check_dataset("coco_spatial") == []


def test_the_papers_sizes_stand_beside_ours_and_no_test_picture_is_trained_on(folder: Path) -> None:
    build_dataset("coco_spatial", folder)
    told = describe_dataset("coco_spatial")
    assert "  7 questions; 2862 in the redundancy paper" in told
    assert "  2 questions; 69348 in the redundancy paper" in told
    assert "  2 questions dropped: the picture is in the test split" in told
    assert {d["question"]["expression"] for d in documents("coco_spatial", "train")} == {
        "car on the left",
        "car on the top",
    }


def test_the_same_every_time(folder: Path) -> None:
    def built(**options: Any) -> list[bytes]:
        place = build_dataset("coco_spatial", folder, options, force=True)
        return [(place / s / n).read_bytes() for s in ("train", "test") for n in ("annotations.json", "manifest.json")]

    assert built() == built()
    assert built(seed=3) != built()


def test_without_training_images(folder: Path) -> None:
    (folder / "annotations" / "instances_train2017.json").unlink()
    with pytest.raises(InputError, match=r"instances_train2017.json: expected a COCO .* add --option train=false"):
        build_dataset("coco_spatial", folder)
    build_dataset("coco_spatial", folder, {"train": False})
    assert documents("coco_spatial", "train") == []
    assert "  left out: train=false" in describe_dataset("coco_spatial")


def test_images_that_are_not_as_annotated_are_dropped_and_counted(folder: Path) -> None:
    (folder / "val2017" / "000000000139.jpg").write_bytes(b"no image")
    Image.new("RGB", (20, 10)).save(folder / "val2017" / "000000000285.jpg")
    with pytest.raises(InputError, match="expected images for the questions of its annotations, got none for 7"):
        build_dataset("coco_spatial", folder)
    Image.new("RGB", (200, 100)).save(folder / "val2017" / "000000000285.jpg")
    build_dataset("coco_spatial", folder)
    assert "  2 questions dropped: no image, or one of another size" in describe_dataset("coco_spatial")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": [BOX | {"image_id": 1}]}, "annotation 1: expected an image_id that images has, got 1"),
        (
            {"annotations": [BOX | {"category_id": 9}]},
            "annotation 1: expected a category_id that categories has, got 9",
        ),
        ({"annotations": [BOX | {"bbox": [1, 2, 3]}]}, "expected a COCO file with images, annotations and categories"),
        ({"images": "none"}, "instances_val2017.json: expected a COCO file with images, annotations and categories"),
    ],
)
def test_a_wrong_file_is_one_line(folder: Path, change: dict[str, Any], message: str) -> None:
    path = folder / "annotations" / "instances_val2017.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError) as caught:
        build_dataset("coco_spatial", folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_prompts_with_and_without_the_hint(folder: Path) -> None:
    build_dataset("coco_spatial", folder)
    one, *_, two = documents("coco_spatial", "test")
    plain, hinted = (probe_named(f"boxlist_referring{hint}_coco").prompt for hint in ("", "_hint"))
    pixel, norm, gemini = (PROTOCOLS[name] for name in ("pixel_xyxy", "norm1000_xyxy", "norm1000_yxyx"))
    assert render_prompt(plain, norm, two["question"]).startswith("Point to the cat to the left of dog. Answer")
    assert "Point to the cat to the left of dog at [150, 10, 190, 40]. " in render_prompt(
        hinted, pixel, two["question"]
    )
    assert "of dog at [750, 100, 950, 400]. " in render_prompt(hinted, norm, two["question"])
    assert "of dog at [100, 750, 400, 950]. " in render_prompt(hinted, gemini, two["question"])
    assert render_prompt(hinted, norm, one["question"]) == render_prompt(plain, norm, one["question"])
    with pytest.raises(InputError, match="protocol resized_pixel_xyxy: expected the size of the resized image"):
        render_prompt(hinted, PROTOCOLS["resized_pixel_xyxy"], two["question"])
    assert KINDS["referring"].target(two, pixel) == '[{"bbox_2d": [0, 0, 40, 30], "label": "cat"}]'
    assert KINDS["referring"].target(two, PROTOCOLS["resized_pixel_xyxy"]) == KINDS["referring"].target(two, pixel)


def test_the_papers_words(folder: Path) -> None:
    build_dataset("coco_spatial", folder)
    one, *_, two = documents("coco_spatial", "test")
    prompt = probe_named("boxlist_spatial_caption_coco").prompt
    told = [render_prompt(prompt, PROTOCOLS["pixel_xyxy"], document["question"]) for document in (one, two)]
    assert told == [
        "Describe the spatial relationship of the dog relative to the image.",
        "Describe the spatial relationship between the cat and the dog in the image.",
    ]
