from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from boxlist.tasks.datasets import catalog
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset
from boxlist.tasks.datasets.dataset import Dataset, Order
from boxlist.tasks.datasets.document_faults import document_faults
from boxlist.tasks.datasets.image_files import read_image_files
from boxlist.tasks.datasets.split_folder import Document, make_object
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from pathlib import Path

DO = "Build it anew, from corrected annotations or with other options."


@pytest.fixture
def document(tmp_path: Path) -> Document:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    return {
        "image_id": 3,
        "file": str(tmp_path / "a.png"),
        "width": 6,
        "height": 4,
        "objects": [make_object("cup", [0, 0, 6.5, 4]), make_object("cup", [1, 1, 2, 2])],
        "question": {},
        "sha256": "",
        "pixels_sha256": "",
    }


def test_a_document_without_fault_says_nothing(document: Document) -> None:
    assert document_faults([document, document], "set test") == []
    assert document_faults([], "set test") == []


@pytest.mark.parametrize(
    ("box", "line"),
    [
        ([1, 1, 1, 2], "no_extent: 1 boxes without four finite numbers and an extent, such as document 3: cup at 1"),
        ([1, 1, math.nan, 2], "no_extent: 1 boxes without four finite numbers and an extent, such as document 3"),
        ([1, 1, 8, 2], "outside_image: 1 boxes that reach outside their image, such as document 3: cup at 1, 1, 8, 2"),
        ([1, 1, 2, 2], "same_box: 1 boxes that occur twice, such as document 3: cup at 1, 1, 2, 2"),
    ],
)
def test_a_bad_box_is_named(document: Document, box: list[float], line: str) -> None:
    document["objects"].append(make_object("cup", box))
    (found,) = document_faults([document], "set test")
    assert found.startswith(f"set test: {line}")
    assert found.endswith(DO)


def test_another_size_is_named(document: Document) -> None:
    document["width"] = 7
    assert document_faults([document], "set test") == [
        f"set test: wrong_size: 1 images of another size than annotated, such as document 3: 7x4, is 6x4. {DO}"
    ]


def test_check_finds_what_a_builder_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")

    def build(order: Order) -> None:
        (file,) = read_image_files(tmp_path, ["a.png"], "one").good.values()
        entry = Entry(1, file, [make_object("cup", [1, 1, 9, 2])], {})
        write_index(order.folder / "test", order.heading("test", ["cup"]), tmp_path, [entry])

    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(catalog.DATASETS, "cups", Dataset("cups", 1, "free", "drawn", build, splits=("test",)))
    build_dataset("cups")
    assert check_dataset("cups") == [
        f"cups test: outside_image: 1 boxes that reach outside their image, such as document 1: cup at 1, 1, 9, 2. {DO}"
    ]
