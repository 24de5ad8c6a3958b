"""Prompts that name absent classes: drawn pictures, and any other set's."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets import absent, shapes_absent
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.datasets.dataset import Order, check_options
from boxlist.tasks.datasets.manifest import read_manifest
from boxlist.tasks.datasets.own.importing import import_own
from boxlist.tasks.datasets.own.spec import OwnSpec
from boxlist.tasks.datasets.split_folder import read_split

if TYPE_CHECKING:
    from boxlist.tasks.datasets.dataset import Dataset
    from boxlist.tasks.datasets.split_folder import Document

FEW = {"blank_images": 4, "distractor_images": 3, "mixed_images": 6}


def build(row: Dataset, folder: Path, **options: Any) -> list[Document]:
    folder.mkdir()
    row.build(Order(row, folder, None, check_options(row, options)))
    return read_split(folder / "test", row.name, "test", verify=True)


def others(folder: Path) -> dict[int, list[str]]:
    coco = json.loads((folder / "test" / "annotations.json").read_bytes())
    return {image["id"]: image["others"] for image in coco["images"]}


def check_question(document: Document, also_there: list[str]) -> None:
    """What is asked for and there is what is to be found; what is absent is nowhere."""
    answer = document["answer"]
    there = {item["label"] for item in document["objects"]}
    assert there == set(answer["asked"]) - set(answer["absent"])
    assert not set(answer["asked"]) & set(also_there)
    for name in answer["asked"]:
        assert name in document["question"]["asked"]
    assert (answer["condition"] == "mixed") == bool(there)


def test_each_condition_is_what_it_says(tmp_path: Path) -> None:
    found = build(shapes_absent.DATASET, tmp_path / "a", **FEW)
    also = others(tmp_path / "a")
    assert Counter(document["answer"]["condition"] for document in found) == {"blank": 4, "distractors": 3, "mixed": 6}
    assert {document["answer"]["condition"] for document in found[:4]} == {"blank", "distractors", "mixed"}
    for document in found:
        check_question(document, also[document["image_id"]])
        condition = document["answer"]["condition"]
        assert (condition == "blank") == (not document["objects"] and not also[document["image_id"]])
        with Image.open(document["file"]) as image:
            assert (len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) == 1) == (condition == "blank")
    assert sum(document["question"]["asked"] == "every object" for document in found) == 2
    counts = read_manifest(tmp_path / "a" / "test")["counts"]
    assert counts["boxes"] == sum(len(document["objects"]) for document in found)


def test_half_of_the_absent_classes_are_easily_mistaken(tmp_path: Path) -> None:
    options = {"blank_images": 0, "distractor_images": 4, "mixed_images": 0}
    found = build(shapes_absent.DATASET, tmp_path / "a", **options)
    also = others(tmp_path / "a")
    for document in found:
        parts = [label.split() for label in also[document["image_id"]]]
        near = {f"{colour} {shape}" for colour, _ in parts for _, shape in parts}
        assert len(near & set(document["answer"]["absent"])) >= 2


def test_another_build_has_the_same_bytes(tmp_path: Path) -> None:
    for row, options in ((shapes_absent.DATASET, FEW), (absent.DATASET, {})):
        written = []
        for name in ("a", "b"):
            folder = tmp_path / f"{row.name}-{name}"
            build(row, folder, **options)
            written.append([(folder / "test" / part).read_bytes() for part in ("annotations.json", "manifest.json")])
        assert written[0] == written[1]


def test_the_images_of_another_set_are_asked_where_they_lie(shapes: Path, tmp_path: Path) -> None:
    found = build(absent.DATASET, tmp_path / "a")
    own = {document["image_id"]: document for document in documents("shapes", "test")}
    assert {document["image_id"] for document in found} == own.keys()
    also = others(tmp_path / "a")
    for document in found:
        check_question(document, also[document["image_id"]])
        source = own[document["image_id"]]
        assert document["file"] == source["file"]
        assert len(document["answer"]["absent"]) == 2
        assert [item for item in source["objects"] if item in document["objects"]] == document["objects"]
    assert {document["answer"]["condition"] for document in found[1::2]} == {"mixed"}
    assert {document["answer"]["condition"] for document in found[::2]} == {"distractors"}


def test_a_coco_file_of_the_users_own_is_asked_too(
    shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    split = shapes / "test"
    name = import_own(OwnSpec("coco", str(split / "annotations.json"), images=str(split / "images")), "mine")
    found = build(absent.DATASET, tmp_path / "a", of=name)
    assert len(found) == 80
    assert {str(Path(document["file"]).parent) for document in found} == {str(split / "images")}
    assert {document["answer"]["condition"] for document in found} == {"mixed", "distractors"}


def test_a_set_of_one_class_has_nothing_to_be_absent(trees: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data absent of trees: expected images that lack 2 of its classes, got none"):
        build(absent.DATASET, tmp_path / "a", of="trees")


def test_a_set_of_itself_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--option of: expected another data set, got absent"):
        build(absent.DATASET, tmp_path / "a", of="absent")
