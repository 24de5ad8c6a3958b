from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from boxlist.tasks.datasets.catalog import dataset_sha256, documents
from boxlist.tasks.datasets.shapes import COLOURS, SHAPES, SIZES
from boxlist.tasks.datasets.shapes_split import LABELS, ShapesOptions, ask, build, relation_between

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document

pytestmark = pytest.mark.usefixtures("shapes")

# What seed 20260615 draws. A change here is a change of the benchmark: raise the version.
CONTENT = {
    "train": "8b5e245fa28232f57a25072909627b34626864a5b9aaccc4d298ad57a8f7e72a",
    "test": "d486fb265f603e9d582e4dc87a03cf9ef9ca4030edcb4406c4412e7cbe46fae3",
}

CODE = np.array([65536, 256, 1])
WHITE = 0xFFFFFF


def both_splits() -> list[Document]:
    return documents("shapes", "train") + documents("shapes", "test")


def centre(document: Document, label: str) -> tuple[float, float]:
    (box,) = [item["box_xyxy_px"] for item in document["objects"] if item["label"] == label]  # the label occurs once
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def test_160_train_and_80_test_images_of_224_pixels() -> None:
    train, test = documents("shapes", "train"), documents("shapes", "test")
    assert [document["image_id"] for document in train] == list(range(1, 161))
    assert [document["image_id"] for document in test] == list(range(1001, 1081))
    assert {(document["width"], document["height"]) for document in train + test} == {(224, 224)}
    assert {len(document["objects"]) for document in train + test} == set(range(3, 11))


def test_the_vocabulary_is_5_shapes_10_colours_3_sizes() -> None:
    objects = [item for document in both_splits() for item in document["objects"]]
    assert {item["shape"] for item in objects} == set(SHAPES)
    assert {item["color"] for item in objects} == set(COLOURS)
    assert {item["size"] for item in objects} == set(SIZES)
    assert {item["label"] for item in objects} == set(LABELS)
    assert all(item["label"] == f"{item['color']} {item['shape']}" for item in objects)
    assert len(LABELS) == 50


def test_every_box_is_the_extent_of_its_pixels() -> None:
    """Shapes do not touch, so each is one region of what is not white, of one colour, in one box."""
    for document in both_splits():
        pixels = np.asarray(Image.open(document["file"]).convert("RGB")) @ CODE
        regions, _ = ndimage.label(pixels != WHITE, structure=np.ones((3, 3)))
        found = []
        for number, (rows, columns) in enumerate(ndimage.find_objects(regions), start=1):
            (colour,) = set(pixels[rows, columns][regions[rows, columns] == number].tolist())
            found.append((colour, [columns.start, rows.start, columns.stop, rows.stop]))
        listed = [(int(np.dot(COLOURS[i["color"]], CODE)), i["box_xyxy_px"]) for i in document["objects"]]
        assert sorted(found) == sorted(listed), document["file"]


def test_no_picture_occurs_twice() -> None:
    hashes = [
        hashlib.sha256(np.asarray(Image.open(document["file"]).convert("RGB")).tobytes()).hexdigest()
        for document in both_splits()
    ]
    assert len(set(hashes)) == 240


def test_two_builds_are_equal_to_the_byte(shapes: Path, tmp_path: Path) -> None:
    build(tmp_path)
    for split in ("train", "test"):
        again, first = (folder / split / "manifest.json" for folder in (tmp_path, shapes))
        assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(first.read_bytes()).digest()


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_benchmark_has_not_changed(split: str) -> None:
    assert dataset_sha256("shapes", split) == CONTENT[split]


def test_another_seed_draws_other_scenes(shapes: Path, tmp_path: Path) -> None:
    build(tmp_path, ShapesOptions(seed=1, train_images=2, test_images=2))
    manifest = json.loads((tmp_path / "train" / "manifest.json").read_bytes())
    listed = {entry.get("pixels_sha256") for entry in manifest["files"]}
    original = {
        entry.get("pixels_sha256") for entry in json.loads((shapes / "train" / "manifest.json").read_bytes())["files"]
    }
    assert manifest["options"]["seed"] == 1
    assert listed & original == {None}


def test_counts_are_right() -> None:
    for document in both_splits():
        shapes_there = [item["shape"] for item in document["objects"]]
        assert document["question"]["counted"] in SHAPES
        assert document["answer"]["count"] == shapes_there.count(document["question"]["counted"])


def test_about_one_count_in_six_is_zero() -> None:
    zeros = sum(document["answer"]["count"] == 0 for document in both_splits())
    assert 240 / 10 <= zeros <= 240 / 4


def test_relations_are_right_and_clear() -> None:
    for document in both_splits():
        subject_x, subject_y = centre(document, document["question"]["subject"])
        reference_x, reference_y = centre(document, document["question"]["reference"])
        right, below = subject_x - reference_x, subject_y - reference_y
        clear = {
            "right": right >= 1.5 * abs(below),
            "left": -right >= 1.5 * abs(below),
            "below": below >= 1.5 * abs(right),
            "above": -below >= 1.5 * abs(right),
        }
        assert [name for name, holds in clear.items() if holds] == [document["answer"]["relation"]]


@pytest.mark.parametrize(
    ("subject", "relation"),
    [
        ((0, 50, 10, 60), "left"),
        ((90, 50, 100, 60), "right"),
        ((50, 0, 60, 10), "above"),
        ((50, 90, 60, 100), "below"),
        ((80, 70, 90, 80), "right"),  # 30 right, 20 down: exactly 1.5 times
        ((79, 70, 89, 80), None),  # 29 right, 20 down
        ((50, 50, 60, 60), None),  # on top of each other
    ],
)
def test_relation_by_hand(subject: tuple[int, int, int, int], relation: str | None) -> None:
    assert relation_between(subject, (50, 50, 60, 60)) == relation


def test_a_scene_that_carries_no_question_is_asked_none() -> None:
    rng = np.random.default_rng(0)
    assert ask(rng, [], count_zero=False) is None


def test_scenes_that_cannot_carry_their_question_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no scene of 1 objects carries its question after 200 attempts"):
        build(tmp_path, ShapesOptions(fewest_objects=1, most_objects=1))
