"""The object-centric subset, built from files in the form in which COCO 2017 is given out."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.cli import main
from boxlist.errors import InputError
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents
from boxlist.tasks.datasets.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

SIZES = {"train_images": 18, "test_images": 8}
SMALL = {"train_images": 6, "test_images": 4, "of_train_images": 18, "of_test_images": 8}
CLASSES = ["chair", "book", "bird", "boat", "bottle", "bowl", "cup", "dining table", "handbag", "traffic light"]


def manifest_of(place: Path, split: str) -> dict[str, Any]:
    return read_manifest(place / split)


def names(dataset: str, split: str) -> set[str]:
    return {document["file"].rpartition("/")[2] for document in documents(dataset, split)}


def test_the_splits_and_what_is_in_them(own_data: Path, coco_folder: Path) -> None:
    place = build_dataset("coco", coco_folder, SIZES)
    train, test = documents("coco", "train"), documents("coco", "test", verify=True)
    assert (len(train), len(test)) == (18, 8)
    assert not names("coco", "train") & names("coco", "test")
    for document in (*train, *test):
        assert 2 <= len(document["objects"]) <= 6
        assert {item["label"] for item in document["objects"]} <= set(CLASSES)
        assert document["question"] == {"classes": ", ".join(CLASSES)}
        assert document["file"] == str(coco_folder / "val2017" / f"{document['image_id']:012}.jpg")
    assert place == own_data / "coco-v1"
    assert check_dataset("coco") == []


def test_the_boxes_are_those_of_the_file(own_data: Path, coco_folder: Path) -> None:
    build_dataset("coco", coco_folder, SIZES)
    coco = json.loads((coco_folder / "annotations" / "instances_val2017.json").read_bytes())
    by_id = {annotation["id"]: annotation for annotation in coco["annotations"]}
    labels = {category["id"]: category["name"] for category in coco["categories"]}
    for document in documents("coco", "test"):
        theirs = [a for a in coco["annotations"] if a["image_id"] == document["image_id"]]
        assert len(document["objects"]) == sum(labels[a["category_id"]] in CLASSES for a in theirs)
        for item in document["objects"]:
            source = by_id[dict(item)["source_id"]]
            x, y, width, height = source["bbox"]
            assert item["box_xyxy_px"] == pytest.approx([x, y, x + width, y + height], abs=1e-9)
            assert item["label"] == labels[source["category_id"]]


def test_the_manifest_says_all_that_decided_it(own_data: Path, coco_folder: Path) -> None:
    manifest = manifest_of(build_dataset("coco", coco_folder, SIZES), "test")
    options = manifest["options"]
    assert options["class_list"] == CLASSES
    assert [image["id"] for image in options["images"]] == [d["image_id"] for d in documents("coco", "test")]
    assert {image["file_name"] for image in options["images"]} == {f["path"] for f in manifest["in_place"]["files"]}
    assert all(len(file["sha256"]) == 64 for file in manifest["in_place"]["files"])
    assert (options["crowds"], options["exclude"], options["seed"]) == ("drop_image", "classes", 0)
    assert len(options["annotations"]["instances_val2017.json"]) == 64
    assert manifest["counts"]["funnel"]["images_left"] == 30


def test_image_folders_may_be_links(own_data: Path, coco_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    for part in ("annotations", "val2017"):
        (folder / part).symlink_to(coco_folder / part)
    place = build_dataset("coco", folder, SIZES)
    written = (place / "test" / "manifest.json").stat().st_mtime_ns
    assert build_dataset("coco", folder, SIZES) == place
    assert (place / "test" / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(InputError, match="expected a data set built as asked, or none, got one with images under "):
        build_dataset("coco", own_data, SIZES)


@pytest.mark.parametrize(("name", "options"), [("coco", SIZES), ("coco_80", SMALL)])
def test_a_second_build_is_byte_identical(
    own_data: Path, coco_folder: Path, tmp_path: Path, name: str, options: dict[str, int]
) -> None:
    def content() -> dict[str, bytes]:
        place = own_data / f"{name}-v1"
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.json")}

    build_dataset(name, coco_folder, options)
    first = content()
    assert set(first) == {f"{split}/{file}.json" for split in ("train", "test") for file in ("annotations", "manifest")}
    build_dataset(name, coco_folder, options, force=True)
    assert content() == first
    elsewhere = shutil.copytree(coco_folder, tmp_path / "elsewhere")
    build_dataset(name, elsewhere, options, force=True)
    for file, data in content().items():
        assert data.replace(str(elsewhere).encode(), str(coco_folder).encode()) == first[file]


def test_the_small_split_lies_within_the_large_one_or_is_drawn_anew(own_data: Path, coco_folder: Path) -> None:
    build_dataset("coco", coco_folder, SIZES)
    build_dataset("coco_80", coco_folder, SMALL)
    nested = names("coco_80", "train"), names("coco_80", "test")
    assert nested[0] < names("coco", "train")
    assert nested[1] < names("coco", "test")
    assert list(map(len, nested)) == [6, 4]
    build_dataset("coco_80", coco_folder, {**SMALL, "nested": False}, force=True)
    anew = names("coco_80", "train"), names("coco_80", "test")
    assert anew != nested
    assert list(map(len, anew)) == [6, 4]
    assert not anew[0] & anew[1]


def test_prompts_may_name_only_what_is_there(own_data: Path, coco_folder: Path) -> None:
    build_dataset("coco", coco_folder, {**SIZES, "named": "present"})
    for document in documents("coco", "test"):
        named = document["question"]["classes"].split(", ")
        assert set(named) == {item["label"] for item in document["objects"]}
        assert named == [name for name in CLASSES if name in named]


def test_a_picture_that_is_there_twice_is_passed_over(own_data: Path, coco_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(coco_folder, tmp_path / "twins")
    build_dataset("coco", folder, SIZES)
    test, train = sorted(names("coco", "test")), sorted(names("coco", "train"))
    shutil.copy(folder / "val2017" / test[0], folder / "val2017" / train[0])
    build_dataset("coco", folder, SIZES, force=True)
    assert train[0] not in names("coco", "train")
    assert len(names("coco", "train")) == 18
    twin = f"  passed over: val2017/{train[0]} is the same picture as val2017/{test[0]}"
    assert twin in describe_dataset("coco")


def test_whats_up_is_compared_where_it_is_given(own_data: Path, coco_folder: Path, tmp_path: Path) -> None:
    build_dataset("coco", coco_folder, SIZES)
    assert sum("What's Up: not checked" in line for line in describe_dataset("coco")) == 2
    asked = [document["image_id"] for document in documents("coco", "test")[:2]]
    rows = [[number, "A cup on the left", "A cup on the right"] for number in (*asked, 999999)]
    (tmp_path / "COCO_QA_one_obj.json").write_text(json.dumps(rows))
    place = build_dataset("coco", coco_folder, {**SIZES, "whatsup": str(tmp_path)}, force=True)
    lines = describe_dataset("coco")
    shared = [f"{number:012}.jpg" for number in asked]
    where = f"test split ({', '.join(shared)}; all in the manifest)"
    assert f"  WARNING: What's Up asks about 2 of the 8 images of the {where}" in lines
    assert "  What's Up: no image of the train split is asked about in COCO_QA_one_obj.json" in lines
    assert manifest_of(place, "test")["options"]["asked_in_whatsup"]["shared"] == shared


def test_a_folder_without_whats_up_is_refused(own_data: Path, coco_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--option whatsup=.*: expected the folder with .*coco_qa_one_obj.json"):
        build_dataset("coco", coco_folder, {**SIZES, "whatsup": str(tmp_path)})
    assert not (own_data / "coco-v1").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "data coco: expected 120 images that fit the choices, got 30"),
        ({**SIZES, "train_images": 23}, "data coco: expected 23 images that fit the choices, got 22"),
        ({**SIZES, "train_images": 0}, "data coco: expected 1 image or more in a split, got 0"),
        (
            {**SIZES, "subset": "train2017"},
            "instances_train2017.json: expected a COCO file with images, annotations and categories, got no such file",
        ),
        ({**SIZES, "exclude": "images", "excluded": "chair"}, "expected 18 images that fit the choices, got 8"),
    ],
)
def test_too_few_images_are_no_data_set(
    own_data: Path, coco_folder: Path, options: dict[str, Any], said: str
) -> None:  # fmt: skip
    with pytest.raises(InputError) as refused:
        build_dataset("coco", coco_folder, options)
    assert said in str(refused.value)
    assert not (own_data / "coco-v1").exists()


def test_a_missing_or_other_image_is_refused(own_data: Path, coco_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(coco_folder, tmp_path / "broken")
    build_dataset("coco", folder, SIZES)
    lost = folder / "val2017" / min(names("coco", "test"))
    shutil.rmtree(own_data)
    kept = lost.read_bytes()
    lost.unlink()
    with pytest.raises(InputError, match=f"'{lost.name}': expected an image file, .*, got missing: no such file"):
        build_dataset("coco", folder, SIZES)
    lost.write_bytes(kept[: len(kept) // 2])
    with pytest.raises(InputError, match=f"'{lost.name}': expected an image file, .*, got unreadable: "):
        build_dataset("coco", folder, SIZES)
    from PIL import Image

    Image.new("RGB", (48, 64)).save(lost)
    with pytest.raises(InputError, match=f"{lost.name}: expected 64x48 pixels, as the annotations say, got 48x64"):
        build_dataset("coco", folder, SIZES)
    assert not own_data.exists() or not list(own_data.iterdir())


def test_without_the_data_one_line_says_what_to_do(own_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "build", "coco"]) == 2
    assert capsys.readouterr().err == (
        "boxlist: data coco: expected --from DIR, the COCO 2017 folder: annotations/instances_val2017.json and "
        "val2017/*.jpg, got none. Get it from https://cocodataset.org/#download, then run: boxlist data build coco "
        "--from DIR\n"
    )
