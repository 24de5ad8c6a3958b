"""The complexity set on disk: the same bytes each time, in however many processes, and what its documents say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.metrics.shape_questions import FORMS
from boxlist.tasks.datasets import shapes_full
from boxlist.tasks.datasets.complexity import ComplexityOptions, Configuration, base_looks, draw
from boxlist.tasks.datasets.dataset import Order, check_options, read_options
from boxlist.tasks.datasets.manifest import read_manifest, split_problems
from boxlist.tasks.datasets.shape_questions import QUESTION_TYPES
from boxlist.tasks.datasets.shapes import render
from boxlist.tasks.datasets.shapes_full import FULL, QUESTIONS
from boxlist.tasks.datasets.split_folder import read_split

if TYPE_CHECKING:
    from boxlist.tasks.datasets.dataset import Dataset, Value
    from boxlist.tasks.datasets.split_folder import Document

SMALL: dict[str, Value] = {"side_px": 200, "sample_counts": "1 2 6", "sample_images": 3}


def build(row: Dataset, folder: Path, **options: Any) -> list[Document]:
    folder.mkdir()
    row.build(Order(row, folder, None, check_options(row, {**SMALL, **options})))
    return read_split(folder / "test", row.name, "test", verify=True)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_option_of_the_set_is_one_of_the_row() -> None:
    assert {option.name: option.default for option in FULL.options} == vars(ComplexityOptions())
    assert read_options(FULL, ["sample=all", "seed=3", "counts=1-5"]) == {"sample": "all", "seed": 3, "counts": "1-5"}
    with pytest.raises(InputError, match="--option sample of shapes_full: expected one of balanced, all, got 'some'"):
        read_options(FULL, ["sample=some"])


def test_pictures_are_those_of_their_configurations(tmp_path: Path) -> None:
    found = build(FULL, tmp_path / "a")
    options = ComplexityOptions(side_px=200, sample_counts="1 2 6", sample_images=3)
    assert [len(document["objects"]) for document in found] == [1, 2, 6] * 3
    notes = read_notes(tmp_path / "a")
    for document in found:
        configuration = Configuration(**notes[document["image_id"]]["configuration"])
        scene = draw(configuration, options, base_looks(options))
        with Image.open(document["file"]) as image:
            assert (np.asarray(image.convert("RGB")) == render(scene)).all()
        assert [tuple(item["box_xyxy_px"]) for item in document["objects"]] == [o.box_xyxy_px for o in scene.objects]
        assert [item["label"] for item in document["objects"]] == [o.label for o in scene.objects]
    manifest = read_manifest(tmp_path / "a" / "test")
    assert manifest["counts"] == {"images": 9, "documents": 9, "boxes": 27}
    assert manifest["options"]["sides_px"] == "20 30 42"


def test_another_build_has_the_same_bytes_and_another_seed_has_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        build(QUESTIONS, tmp_path / name)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    build(QUESTIONS, tmp_path / "c", seed=1)
    ours, others = content(tmp_path / "a"), content(tmp_path / "c")
    assert all(ours[name] != others[name] for name in ours.keys() & others.keys())


def test_processes_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(FULL, tmp_path / "a")
    monkeypatch.setattr(shapes_full, "_MANY", 1)
    build(FULL, tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_questions_share_pictures_and_have_their_right_replies(tmp_path: Path) -> None:
    pictures = {Path(document["file"]).name: document["objects"] for document in build(FULL, tmp_path / "full")}
    found = build(QUESTIONS, tmp_path / "questions")
    assert [document["image_id"] for document in found] == list(range(1, len(found) + 1))
    assert len({document["file"] for document in found[:9]}) == 9  # each picture once, before any again
    for document in found:
        answer, objects = document["answer"], pictures[Path(document["file"]).name]
        row = QUESTION_TYPES[answer["type"]]
        reply = row.reply([item["shape"] if row.attribute == "shape" else item["color"] for item in objects])
        assert answer["reply"] == (list(reply) if isinstance(reply, tuple) else reply)
        assert document["question"] == {"asked": row.asked, "answer_form": row.form}
    counted = Counter(document["answer"]["type"] for document in found)
    assert counted["object_count"] == counted["unique_shapes"] == 9
    assert read_manifest(tmp_path / "questions" / "test")["counts"]["questions"] == {n: counted[n] for n in FORMS}


def test_a_picture_that_is_touched_is_found(tmp_path: Path) -> None:
    build(FULL, tmp_path / "a")
    picture = tmp_path / "a" / "test" / "images" / "0003.png"
    picture.write_bytes(picture.read_bytes()[:-1] + b"x")
    (problem,) = split_problems(tmp_path / "a" / "test", verify=True)
    assert problem == f"{picture}: its bytes have another hash than the manifest says"


def read_notes(folder: Path) -> dict[int, dict[str, Any]]:
    coco = json.loads((folder / "test" / "annotations.json").read_bytes())
    return {image["id"]: image for image in coco["images"]}
