"""What's Up in its own file formats: drawn images, the names and captions that its authors write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.protocols import protocol_named
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents
from boxlist.tasks.datasets.manifest import read_manifest
from boxlist.tasks.datasets.whatsup import SUBSETS, read_questions
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.truths import choice_truth

if TYPE_CHECKING:
    from pathlib import Path

BY_NAME = {subset.name: subset for subset in SUBSETS}
ACROSS = {"A": ("left_of", "right_of", "on", "under"), "B": ("left_of", "right_of", "in-front_of", "behind")}
WORDS = {
    "left_of": "to the left of",
    "right_of": "to the right of",
    "on": "on",
    "under": "under",
    "in-front_of": "in front of",
    "behind": "behind",
}


def controlled(letter: str, images: str) -> list[dict[str, Any]]:
    """Two sets of four, as in `controlled_images_dataset.json`, indefinite articles and all."""
    rows = []
    for subject, reference in (("beer-bottle", "armchair"), ("mug", "table")):
        for place in ACROSS[letter]:
            order = [place, *(other for other in ACROSS[letter] if other != place)]
            captions = [f"A {subject.replace('-', ' ')} {WORDS[each]} a {reference}" for each in order]
            name = f"{subject}_{place}_{reference}.jpeg"
            rows.append({"image_path": f"data/{images}/{name}", "caption_options": captions})
    return rows


FILES: dict[str, list[Any]] = {
    "controlled_images_dataset.json": controlled("A", "controlled_images"),
    "controlled_clevr_dataset.json": controlled("B", "controlled_clevr"),
    "coco_qa_one_obj.json": [
        [139, "A photo of a tv on the left", "A photo of a tv on the right"],
        [285, "A photo of a bear on the bottom", "A photo of a bear on the top"],
        [139, "A photo of a vase on the right", "A photo of a vase on the left"],
    ],
    "coco_qa_two_obj.json": [
        [285, "A photo of a bear above a bird", "A photo of a bear below a bird"],
    ],
    "vg_qa_one_obj.json": [
        [2317619, "A photo of a bench on the left", "A photo of a bench on the right"],
    ],
    "vg_qa_two_obj.json": [
        ["2317619", "A photo of a man in front of a bus", "A photo of a man behind a bus"],
    ],
}


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format="JPEG")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What's Up's `data` folder, and an empty place for data sets."""
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "built"))
    data = tmp_path / "data"
    data.mkdir()
    for name, rows in FILES.items():
        (data / name).write_text(json.dumps(rows))
    images = [row["image_path"].removeprefix("data/") for rows in FILES.values() for row in rows if "image_path" in row]
    images += ["val2017/000000000139.jpg", "val2017/000000000285.jpg", "vg_images/2317619.jpg"]
    for seed, name in enumerate(images):
        draw(data / name, seed)
    return data


@pytest.mark.parametrize("subset", SUBSETS, ids=lambda subset: subset.name)
def test_every_subset_is_built_from_its_own_format(folder: Path, subset: Any) -> None:
    build_dataset(subset.name, folder)
    rows = FILES[subset.file]
    found = documents(subset.name, "test", verify=True)
    assert [document["image_id"] for document in found] == list(range(1, len(rows) + 1))
    for document, row in zip(found, rows, strict=True):
        captions = row["caption_options"] if isinstance(row, dict) else row[1:]
        truth = choice_truth(document)
        assert truth.options[truth.right] == captions[0], "the first caption is the right one"
        assert sorted(truth.options) == sorted(captions)
        assert KINDS["option_choice"].target(document, protocol_named("pixel_xyxy")) == captions[0]
        letters = document["question"]["options"].strip().split("\n")
        assert [line[3:] for line in letters] == list(truth.options)
        assert [line[:3] for line in letters] == ["A. ", "B. ", "C. ", "D. "][: len(captions)]
    assert check_dataset(subset.name) == []
    told = f"{len(rows)} questions; {subset.size} in the redundancy paper, where it is called {subset.shorthand}"
    assert any(told in line for line in describe_dataset(subset.name))


def test_several_questions_share_an_image(folder: Path) -> None:
    build_dataset("whatsup_coco_one", folder)
    first, _, third = documents("whatsup_coco_one", "test")
    assert first["file"] == third["file"] == str(folder / "val2017" / "000000000139.jpg")


@pytest.mark.parametrize(("name", "axes"), [("whatsup_a", ("across", "up")), ("whatsup_b", ("across", "depth"))])
def test_sets_and_pairs_are_the_authors(folder: Path, name: str, axes: tuple[str, str]) -> None:
    build_dataset(name, folder)
    truths = [choice_truth(document) for document in documents(name, "test")]
    assert [truth.set for truth in truths] == ["beer-bottle|armchair"] * 4 + ["mug|table"] * 4
    assert [truth.pair for truth in truths[:4]] == [f"beer-bottle|armchair|{axes[n // 2]}" for n in range(4)]


def test_a_build_is_the_same_every_time_and_its_seed_orders_the_captions(folder: Path) -> None:
    def built(**options: Any) -> tuple[bytes, bytes]:
        place = build_dataset("whatsup_a", folder, options, force=True) / "test"
        return (place / "annotations.json").read_bytes(), (place / "manifest.json").read_bytes()

    assert built() == built() == built(seed=0)
    assert built(seed=1)[0] != built()[0]
    rights = {choice_truth(document).right for document in documents("whatsup_a", "test")}
    assert len(rights) > 1, "the right caption has no place of its own"


def test_right_options_stand_everywhere_alike() -> None:
    """Over many documents, each letter is right about as often as another."""
    from boxlist.tasks.datasets.spatial_words import option_notes

    rights = [option_notes(["a", "b", "c", "d"], [0, number])["answer"]["right"] for number in range(2000)]
    assert all(abs(rights.count(place) - 500) < 80 for place in range(4))


def test_a_missing_image_drops_its_question_and_is_told(folder: Path) -> None:
    (folder / "val2017" / "000000000285.jpg").unlink()
    build_dataset("whatsup_coco_one", folder)
    assert [document["image_id"] for document in documents("whatsup_coco_one", "test")] == [1, 3]
    assert "  1 questions dropped: their image is missing" in describe_dataset("whatsup_coco_one")
    with pytest.raises(InputError, match=r"val2017: expected the images that coco_qa_two_obj.json names, got no such"):
        build_dataset("whatsup_coco_two", folder)


def test_the_manifest_says_what_it_was_made_from(folder: Path) -> None:
    place = build_dataset("whatsup_gqa_two", folder)
    options = read_manifest(place / "test")["options"]
    assert options["seed"] == 0
    assert len(options["annotations_sha256"]) == 64


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("whatsup_a", {"image_path": "x"}, "row 0: expected a list"),
        ("whatsup_a", [["x", "y"]], 'row 1: expected {"image_path": ..., "caption_options": [four captions]}'),
        ("whatsup_a", [{"image_path": "data/x/mug.jpeg", "caption_options": list("abcd")}], "OBJECT_PREPOSITION_OB"),
        ("whatsup_a", [{"image_path": "x/mug_near_a.jpeg", "caption_options": list("abcd")}], "OBJECT_PREPOSITION_OB"),
        ("whatsup_a", [{"image_path": "mug_on_a.jpeg", "caption_options": ["a", "b", "c"]}], "[four captions]"),
        ("whatsup_coco_one", [[1, "a"]], "row 1: expected [image id, right caption, wrong caption]"),
        ("whatsup_coco_one", [[1, "a", "b"], [1, "a", 7]], "row 2: expected [image id, right caption, wrong caption]"),
        ("whatsup_coco_one", [["../1", "a", "b"]], "row 1: expected an image id that is a whole number, got '../1'"),
        ("whatsup_coco_one", [[1.5, "a", "b"]], "an image id that is a whole number, got 1.5"),
        ("whatsup_coco_one", [[True, "a", "b"]], "an image id that is a whole number"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, name: str, rows: Any, message: str) -> None:
    path = tmp_path / BY_NAME[name].file
    path.write_text(json.dumps(rows))
    with pytest.raises(InputError) as caught:
        list(read_questions(path, BY_NAME[name]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_that_cannot_be_told_apart_are_refused(folder: Path) -> None:
    (folder / "coco_qa_two_obj.json").write_text(json.dumps([[285, "A dog", "a  dog."]]))
    with pytest.raises(InputError, match="expected 2 to 8 captions that differ, got 2, 1 of them different"):
        build_dataset("whatsup_coco_two", folder)


def test_no_folder_and_no_file_are_one_line(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match=r"--from DIR, What's Up's data folder.* got none"):
        build_dataset("whatsup_a")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        InputError, match=r"controlled_images_dataset.json: expected What's Up's JSON, got No such file"
    ):
        build_dataset("whatsup_a", tmp_path / "empty")
    assert not list((tmp_path / "built").glob("*")), "nothing half-written stays"
