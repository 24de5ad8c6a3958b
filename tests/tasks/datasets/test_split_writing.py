"""Splits whose images stay where they are. Those with images of their own are in test_catalog."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets import catalog
from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset, documents, list_datasets
from boxlist.tasks.datasets.dataset import Dataset, Needs, Option, Order, check_options, read_options
from boxlist.tasks.datasets.image_files import read_image_files
from boxlist.tasks.datasets.split_folder import make_object
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from pathlib import Path

NAMES = {"train": ["a.png"], "test": ["sub/b.png", "c.png"]}


def build(order: Order) -> None:
    """Each image is asked about twice, with and without a question."""
    root = order.source_folder / "images"
    files = read_image_files(root, [name for names in NAMES.values() for name in names], "few").good
    for split, names in NAMES.items():
        entries: list[Entry] = []
        for name in names:
            box = make_object("cup", [0.5, 1, 3.25, 2], crowd=True)
            asked = {"question": {"word": "cup"}, "answer": {"count": order.options["count"]}}
            entries.append(Entry(2 * len(entries) + 1, files[name], [box], asked))
            entries.append(Entry(2 * len(entries) + 2, files[name], [], {}))
        heading = order.heading(split, ["cup"], made_from={"source_sha256": "0" * 64}, notes=["all kept"])
        write_index(order.folder / split, heading, root, entries, {"LICENCE.txt": "free\n"})


ROW = Dataset(
    "cups",
    1,
    "free",
    "drawn",
    build,
    needs=Needs("the cups folder with images/", "https://example.org/cups"),
    options=(
        Option("count", 1, "How many cups"),
        Option("share", 0.5, "How much"),
        Option("crowd", "drop", "Which crowds", ("drop", "keep")),
        Option("strict", False, "Whether to refuse"),
    ),
)


@pytest.fixture
def cups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three pictures, and a row that asks about them."""
    source = tmp_path / "cups"
    (source / "images" / "sub").mkdir(parents=True)
    for name, colour in (("a.png", "red"), ("sub/b.png", "green"), ("c.png", "blue")):
        Image.new("RGB", (6, 4), colour).save(source / "images" / name)
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(catalog.DATASETS, "cups", ROW)
    return source


def files_of(place: Path) -> dict[str, bytes]:
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_documents_point_to_the_images_where_they_are(cups: Path) -> None:
    place = build_dataset("cups", cups)
    assert not (place / "test" / "images").exists()
    first, second, third, _ = documents("cups", "test")
    assert first["file"] == second["file"] == str(cups / "images" / "sub" / "b.png")
    assert third["file"] == str(cups / "images" / "c.png")
    assert (first["image_id"], first["width"], first["height"]) == (1, 6, 4)
    assert first["objects"] == [{"label": "cup", "box_xyxy_px": [0.5, 1, 3.25, 2], "crowd": True}]
    assert (first["question"], first["answer"]) == ({"word": "cup"}, {"count": 1})
    assert (second["objects"], second["question"], second.get("answer")) == ([], {}, None)
    assert len({document["pixels_sha256"] for document in (first, second, third)}) == 2
    assert describe_dataset("cups") == [
        "cups train: 1 images, 1 boxes",
        "  all kept",
        "cups test: 2 images, 2 boxes",
        "  all kept",
    ]
    assert check_dataset("cups") == []


def test_a_second_build_is_the_same_byte_for_byte(cups: Path, tmp_path: Path) -> None:
    first = files_of(build_dataset("cups", cups))
    assert files_of(build_dataset("cups", cups, force=True)) == first
    moved = cups.rename(tmp_path / "elsewhere")
    second = files_of(build_dataset("cups", moved, force=True))
    assert {name for name in first if first[name] != second[name]} == {"train/manifest.json", "test/manifest.json"}
    old, new = (json.loads(built["test/manifest.json"]) for built in (first, second))
    assert (old["in_place"].pop("root"), new["in_place"].pop("root")) == (str(cups / "images"), str(moved / "images"))
    assert old == new
    assert b"elsewhere" not in second["test/annotations.json"]


def lengthen(path: Path) -> str:
    path.write_bytes(path.read_bytes() + b"x")
    return f"{path}: {path.stat().st_size} bytes, {path.stat().st_size - 1} in the manifest"


def remove(path: Path) -> str:
    path.unlink()
    return f"{path}: missing"


def replace_by_link(path: Path) -> str:
    path.rename(path.parents[2] / "c.png")
    path.symlink_to(path.parents[2] / "c.png")
    return f"{path}: a link out of the image folder"


@pytest.mark.parametrize("damage", [lengthen, remove, replace_by_link])
def test_a_changed_image_is_refused(cups: Path, damage: Any) -> None:
    build_dataset("cups", cups)
    problem = damage(cups / "images" / "c.png")
    with pytest.raises(InputError) as caught:
        documents("cups", "test")
    assert str(caught.value) == (
        f"data cups, test split: expected the files that its manifest lists, got {problem}. "
        "Run: boxlist data build cups"
    )
    assert len(documents("cups", "train")) == 2


def test_altered_bytes_of_equal_size_are_found_by_check(cups: Path) -> None:
    build_dataset("cups", cups)
    path = cups / "images" / "c.png"
    content = bytearray(path.read_bytes())
    content[-13] ^= 1  # in the pixels' checksum
    path.write_bytes(content)
    assert len(documents("cups", "test")) == 4
    assert [problem.partition(": ")[0] for problem in check_dataset("cups")] == [str(path)]
    Image.new("RGB", (6, 4), "cyan").save(path)
    path.write_bytes(path.read_bytes().ljust(len(content), b"\0")[: len(content)])
    assert check_dataset("cups") == [f"{path}: its bytes have another hash than the manifest says"]


def test_images_that_are_gone_are_one_line(cups: Path, tmp_path: Path) -> None:
    build_dataset("cups", cups)
    cups.rename(tmp_path / "gone")
    assert check_dataset("cups") == 2 * [
        f"{cups / 'images'}: no such folder; the images were there when the data was built"
    ]


def test_a_manifest_that_leads_out_is_refused(cups: Path) -> None:
    place = build_dataset("cups", cups)
    path = place / "test" / "manifest.json"
    path.write_text(path.read_text().replace('"sub/b.png"', '"../../secret"'))
    with pytest.raises(InputError, match=r"\.\./\.\./secret: an absolute name, or one with \.\."):
        documents("cups", "test")


def test_the_same_picture_in_two_splits_is_refused(cups: Path) -> None:
    (cups / "images" / "a.png").write_bytes((cups / "images" / "c.png").read_bytes())
    with pytest.raises(InputError, match=r"test/c\.png: the same picture as train/a\.png"):
        build_dataset("cups", cups)


def test_a_source_that_is_needed_is_asked_for(cups: Path) -> None:
    for origin, got in ((None, "none"), (cups / "x", f"{cups / 'x'}, which is no folder")):
        with pytest.raises(InputError) as caught:
            build_dataset("cups", origin)
        assert str(caught.value) == (
            f"data cups: expected --from DIR, the cups folder with images/, got {got}. "
            "Get it from https://example.org/cups, then run: boxlist data build cups --from DIR"
        )
    with pytest.raises(InputError, match="data cups: expected --from DIR"):
        documents("cups", "test")
    assert check_dataset("cups")[0].endswith("cups-v1: not built; run: boxlist data build cups --from DIR")
    with pytest.raises(InputError, match=r"--from .*: expected none: shapes needs none, got one"):
        build_dataset("shapes", cups)


def test_another_build_of_the_same_name_is_not_made_unasked(cups: Path, tmp_path: Path) -> None:
    place = build_dataset("cups", cups, {"count": 2})
    assert documents("cups", "test")[0]["answer"] == {"count": 2}
    assert build_dataset("cups") == place  # nothing said: kept as it is
    with pytest.raises(InputError) as caught:
        build_dataset("cups", cups, {"count": 3})
    assert str(caught.value) == (
        f"{place}: expected a data set built as asked, or none, got one with count=2. "
        "Add --force to build it anew, or leave the options out to keep it."
    )
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="got one with images under"):
        build_dataset("cups", tmp_path / "other")
    build_dataset("cups", cups, {"count": 3}, force=True)
    assert documents("cups", "test")[0]["answer"] == {"count": 3}


def test_a_damaged_set_is_built_again_with_its_options(cups: Path) -> None:
    place = build_dataset("cups", cups, {"count": 2})
    (place / "test" / "LICENCE.txt").unlink()
    build_dataset("cups", cups)
    assert documents("cups", "test")[0]["answer"] == {"count": 2}


def test_options_are_read_by_their_table() -> None:
    words = ["count=7", "share=0.25", "crowd=keep", "strict=True"]
    assert read_options(ROW, words) == {"count": 7, "share": 0.25, "crowd": "keep", "strict": True}
    assert check_options(ROW, {"count": 7}) == {"count": 7, "share": 0.5, "crowd": "drop", "strict": False}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("count", r"--option 'count': expected name=value, got no =. Write name=value"),
        ("counts=1", r"option of cups 'counts': expected one of count, crowd, share, strict, .* Did you mean count"),
        ("count=1.5", r"--option count of cups: expected a whole number, got '1.5'. How many cups"),
        ("share=nan", r"--option share of cups: expected a finite number, got 'nan'. How much"),
        ("share=x", r"--option share of cups: expected a finite number, got 'x'"),
        ("crowd=some", r"--option crowd of cups: expected one of drop, keep, got 'some'. Which crowds"),
        ("strict=1", r"--option strict of cups: expected true or false, got '1'"),
    ],
)
def test_a_wrong_option_is_one_clear_line(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_options(ROW, [word])


def test_an_option_that_no_row_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"option of cups 'x'"):
        check_options(ROW, {"x": 1})


def test_the_list_says_what_is_built_and_what_is_needed(cups: Path) -> None:
    row = next(row for row in list_datasets() if row["name"] == "cups")
    assert row["images"] == {"train": None, "test": None}
    assert row["needs"] == {"what": "the cups folder with images/", "where": "https://example.org/cups"}
    build_dataset("cups", cups)
    row = next(row for row in list_datasets() if row["name"] == "cups")
    assert row["images"] == {"train": 1, "test": 2}
    assert row["options"][0] == {"name": "count", "default": 1, "meaning": "How many cups", "choices": ()}
