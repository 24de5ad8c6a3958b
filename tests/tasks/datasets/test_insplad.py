"""InsPLAD-det, built from files in the form in which it is given out: doubled names, and a class too many."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from boxlist.metrics.inputs import GivenAnswer
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents
from boxlist.tasks.datasets.detection_questions import CENTRE
from boxlist.tasks.datasets.manifest import read_manifest
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import probe_named, probes, render_prompt, score_rows

SIZES = {"train_images": 16, "test_images": 6}
DOUBLED = {"DJI_0004_JPG.rf.jpg": [4, 22], "DJI_0009_JPG.rf.jpg": [9, 23]}
TWINS = set(DOUBLED)


def names(split: str) -> set[str]:
    return {Path(document["file"]).name for document in documents("insplad", split)}


def test_the_splits_keep_to_their_files(own_data: Path, insplad_folder: Path) -> None:
    build_dataset("insplad", insplad_folder, SIZES)
    train, test = documents("insplad", "train"), documents("insplad", "test")
    assert (len(train), len(test)) == (16, 6)
    assert {Path(document["file"]).parent for document in train} == {insplad_folder / "train"}
    assert {Path(document["file"]).parent for document in test} == {insplad_folder / "val"}
    assert not names("train") & names("test")
    assert check_dataset("insplad") == []


def test_doubled_names_are_quarantined_and_told(own_data: Path, insplad_folder: Path) -> None:
    place = build_dataset("insplad", insplad_folder, SIZES)
    assert not names("train") & TWINS
    assert read_manifest(place / "train")["options"]["doubled_file_names"] == DOUBLED
    assert read_manifest(place / "test")["options"]["doubled_file_names"] == {}
    told = describe_dataset("insplad")
    assert "  instances_train.json: 2 file names stand for 4 image records: quarantined (all in the manifest)" in told
    assert "  instances_val.json: no file name stands for several image records" in told
    assert "  left to draw from: 20 images" in told


def test_doubled_names_may_be_kept_record_by_record(own_data: Path, insplad_folder: Path) -> None:
    build_dataset("insplad", insplad_folder, {**SIZES, "train_images": 24, "doubled": "keep"})
    train = {document["image_id"]: document for document in documents("insplad", "train")}
    assert len(train) == 24
    for name, (first, second) in DOUBLED.items():
        assert Path(train[first]["file"]).name == Path(train[second]["file"]).name == name
        assert train[first]["objects"] != train[second]["objects"]
    assert check_dataset("insplad") == []


def test_the_eighteenth_class_is_left_out_and_told(own_data: Path, insplad_folder: Path) -> None:
    place = build_dataset("insplad", insplad_folder, SIZES)
    classes = read_manifest(place / "train")["options"]["class_list"]
    assert len(classes) == 17
    assert "sphere" not in classes
    assert read_manifest(place / "test")["options"]["class_list"] == classes
    assert "sphere" not in {item["label"] for document in documents("insplad", "train") for item in document["objects"]}
    told = describe_dataset("insplad")
    assert "  instances_train.json: 18 classes, 17 in the paper; left out: sphere (3 boxes)" in told
    assert "  instances_val.json: 18 classes, 17 in the paper; left out: sphere (0 boxes)" in told


def test_the_eighteenth_class_may_stay_or_take_its_images_along(own_data: Path, insplad_folder: Path) -> None:
    place = build_dataset("insplad", insplad_folder, {**SIZES, "excluded": ""})
    assert "sphere" in read_manifest(place / "train")["options"]["class_list"]
    assert "  WARNING: 18 classes are left, not 17; see --option excluded" in describe_dataset("insplad")
    build_dataset("insplad", insplad_folder, {**SIZES, "exclude": "images"}, force=True)
    funnel = read_manifest(place / "train")["counts"]["funnel"]
    assert funnel["out"]["images_with_an_excluded_class"] == 3


def test_the_test_split_may_come_from_the_train_file(own_data: Path, insplad_folder: Path) -> None:
    sizes: dict[str, int | str] = {"train_images": 14, "test_images": 6, "test_from": "train"}
    build_dataset("insplad", insplad_folder, sizes)
    assert {Path(document["file"]).parent.name for document in documents("insplad", "test")} == {"train"}
    assert not names("train") & names("test")


def test_a_second_build_is_byte_identical(own_data: Path, insplad_folder: Path) -> None:
    def content() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in (own_data / "insplad-v1").rglob("*.json")}

    build_dataset("insplad", insplad_folder, SIZES)
    first = content()
    build_dataset("insplad", insplad_folder, SIZES, force=True)
    assert content() == first
    assert len(first) == 4


def test_the_licence_is_said_and_no_image_is_copied(own_data: Path, insplad_folder: Path) -> None:
    place = build_dataset("insplad", insplad_folder, SIZES)
    assert "non-commercial" in read_manifest(place / "test")["licence"]
    assert {path.suffix for path in place.rglob("*") if path.is_file()} == {".json"}


def test_every_image_has_a_question_about_counts_and_places(own_data: Path, insplad_folder: Path) -> None:
    build_dataset("insplad", insplad_folder, SIZES)
    for document in documents("insplad", "test"):
        asked, answer = document["question"], document["answer"]
        labels = [item["label"] for item in document["objects"]]
        assert answer["count"] == labels.count(asked["counted"])
        assert labels.count(asked["subject"]) == 1 or asked["subject"].startswith("largest ")
        assert labels.count(asked["reference"]) == 1 or asked["reference"] == CENTRE
        assert asked["classes"].count(", ") == 16


@pytest.mark.parametrize("task", [name for name, probe in probes().items() if probe.dataset == "insplad"])
def test_the_right_answers_score_full(own_data: Path, insplad_folder: Path, task: str) -> None:
    build_dataset("insplad", insplad_folder, SIZES)
    probe, protocol, asked = probe_named(task), PROTOCOLS["pixel_xyxy"], documents("insplad", "test")
    texts = [KINDS[probe.kind].target(document, protocol) for document in asked]
    answers = [GivenAnswer(document["image_id"], text) for document, text in zip(asked, texts, strict=True)]
    for row, document in zip(score_rows(probe, answers, asked, protocol), asked, strict=True):
        prompt = render_prompt(probe.prompt, protocol, document["question"])
        if probe.kind == "dense_bbox":
            assert row["tp@0.3"] == row["n_gt"] == row["n_pred"] == len(document["objects"])
            assert all(item["label"] in prompt for item in document["objects"])
        else:
            assert row["target_shape_valid"] is True
            assert row.get("count_exact", True) is row.get("spatial_correct", True) is True


def test_numbers_of_a_file_may_differ_from_another(own_data: Path, insplad_folder: Path, tmp_path: Path) -> None:
    """Classes go by their names: the val file may number them otherwise, and lack one."""
    source = tmp_path / "insplad"
    source.mkdir()
    for part in ("train", "val"):
        (source / part).symlink_to(insplad_folder / part)
    (source / "annotations").mkdir()
    for part in ("train", "val"):
        data: dict[str, Any] = json.loads((insplad_folder / "annotations" / f"instances_{part}.json").read_bytes())
        if part == "val":
            for entry in data["categories"]:
                entry["id"] += 100
            for entry in data["annotations"]:
                entry["category_id"] += 100
            data["categories"] = [entry for entry in data["categories"] if entry["name"] != "sphere"]
        (source / "annotations" / f"instances_{part}.json").write_text(json.dumps(data))
    build_dataset("insplad", insplad_folder, SIZES)
    expected = [document["objects"] for document in documents("insplad", "test")]
    build_dataset("insplad", source, SIZES, force=True)
    assert [document["objects"] for document in documents("insplad", "test")] == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_ids_are_those_of_the_file(own_data: Path, insplad_folder: Path, split: str) -> None:
    build_dataset("insplad", insplad_folder, SIZES)
    part = "val" if split == "test" else "train"
    coco = json.loads((insplad_folder / "annotations" / f"instances_{part}.json").read_bytes())
    by_id = {image["id"]: image["file_name"] for image in coco["images"]}
    for document in documents("insplad", split):
        assert by_id[document["image_id"]] == Path(document["file"]).name
