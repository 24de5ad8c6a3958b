"""Reading COCO ground truth: what is kept, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics import coco
from boxlist.metrics.coco import read_coco
from boxlist.metrics.regular_coco import read_regular

if TYPE_CHECKING:
    from pathlib import Path


def content() -> dict[str, Any]:
    return {
        "images": [{"id": 17, "width": 100, "height": 80}, {"id": 4, "width": 10, "height": 10}],
        "categories": [{"id": 3, "name": "traffic light"}, {"id": 1, "name": "Dog"}],
        "annotations": [
            {"id": 1, "image_id": 17, "category_id": 1, "bbox": [1, 2.5, 10, 20]},
            {"id": 2, "image_id": 17, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 0},
        ],
    }


def write(folder: Path, data: object) -> Path:
    path = folder / "truth.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_what_a_file_says(tmp_path: Path) -> None:
    truths = read_coco(write(tmp_path, content())).truths
    assert list(truths) == [17, 4]
    assert truths[17].labels == ("Dog", "traffic light")
    assert truths[17].boxes_xyxy_px.tolist() == [[1, 2.5, 11, 22.5], [0, 0, 5, 5]]
    assert truths[17].size_wh_px == (100, 80)
    assert truths[4].labels == ()
    assert truths[4].boxes_xyxy_px.shape == (0, 4)


def test_text_ids_and_a_byte_order_mark(tmp_path: Path) -> None:
    data = content()
    data["images"] = [{"id": "a.jpg", "width": 9, "height": 9}]
    data["annotations"] = [{"image_id": "a.jpg", "category_id": 1, "bbox": [1, 2, 3, 4]}]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(data), encoding="utf-8-sig")
    assert read_coco(path).truths["a.jpg"].labels == ("Dog",)


def test_crowds_are_left_out_and_counted(tmp_path: Path) -> None:
    data = content()
    data["annotations"][0].update(iscrowd=1, bbox=None)
    read = read_coco(write(tmp_path, data))
    assert read.truths[17].labels == ("traffic light",)
    assert read.crowd_left_out == 1


def test_invalid_boxes_can_be_dropped(tmp_path: Path) -> None:
    data = content()
    data["annotations"][0]["bbox"][2] = -4.0
    read = read_coco(write(tmp_path, data), drop_invalid=True)
    assert (read.truths[17].labels, read.invalid_left_out) == (("traffic light",), 1)


def changed(where: tuple[Any, ...], value: object) -> dict[str, Any]:
    """The file with one entry set; `...` as value removes it."""
    data: Any = content()
    target = data
    for key in where[:-1]:
        target = target[key]
    if value is ...:
        del target[where[-1]]
    elif isinstance(target, list) and where[-1] == len(target):
        target.append(value)
    else:
        target[where[-1]] = value
    changed_data: dict[str, Any] = data
    return changed_data


BOX = ("annotations", 0, "bbox")
FIX, FIX_OR_DROP = "Fix the file.", "Fix the file or pass --drop-invalid."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed((*BOX, 2), -4.0), f"image 17, annotation 1: expected width > 0, got -4.0. {FIX_OR_DROP}"),
        (changed((*BOX, 3), 0), f"image 17, annotation 1: expected height > 0, got 0. {FIX_OR_DROP}"),
        (changed(BOX, [1, 2, 3]), "annotation 1: expected bbox of four finite numbers, got [1, 2, 3]."),
        (changed(BOX, None), "annotation 1: expected bbox of four finite numbers, got null."),
        (changed(BOX, [1, 2, 3, True]), "expected bbox of four finite numbers, got [1, 2, 3, true]."),
        (changed(BOX, [1, 2, 3, "4"]), 'expected bbox of four finite numbers, got [1, 2, 3, "4"].'),
        (changed(BOX, [1.7e308, 2, 1.7e308, 4]), "expected a box that ends at finite numbers, got [1.7e+308, 2, 1.7e+"),
        (changed(BOX, [10**400, 2, 3, 4]), "expected bbox of four finite numbers, got [1000000000"),
        (
            changed(("annotations", 0, "category_id"), 9),
            "annotation 1: expected a category_id that categories has, got 9",
        ),
        (changed(("annotations", 0, "category_id"), True), "expected a category_id that categories has, got true"),
        (changed(("annotations", 0, "image_id"), 5), "annotation 1: expected an image_id that images has, got 5."),
        (changed(("annotations", 0, "image_id"), "17"), 'expected an image_id that images has, got "17".'),
        (changed(("annotations", 0, "image_id"), [17]), "expected an image_id that images has, got [17]."),
        (changed(("annotations", 0, "id"), 2), "annotation 2: expected ids used once, got this one twice."),
        (changed(("annotations", 0, "id"), {}), "annotation {}: expected an id that is a number or text, got {}."),
        (changed(("annotations", 0, "iscrowd"), 2), "image 17, annotation 1: expected iscrowd of 0 or 1, got 2."),
        (changed(("annotations", 0), []), "annotations[0]: expected an object, got a list."),
        (changed(("images", 0, "width"), 0), "image 17: expected a width in whole pixels above 0, got 0."),
        (changed(("images", 0, "height"), ...), "image 17: expected a height in whole pixels above 0, got null."),
        (changed(("images", 0, "id"), 4), "image 4: expected ids used once, got this one twice."),
        (changed(("images", 0, "id"), 1.5), "images[0]: expected an id, a number or text, got 1.5."),
        (
            changed(("images", 0, "id"), "17"),
            'image ids: expected all numbers or all text, got both, such as 4 and "17".',
        ),
        (changed(("categories", 0, "id"), 1), "category 1: expected ids used once, got this one twice."),
        (changed(("categories", 0, "id"), "x"), 'categories[0]: expected a whole number as id, got "x".'),
        (changed(("categories", 0, "name"), " "), 'category 3: expected a name, got " ".'),
        (changed(("categories",), ...), "categories: expected a list, got nothing."),
        (changed(("images",), {}), "images: expected a list, got an object."),
        ([], "expected a JSON object with images, annotations and categories, got a list."),
        ("{", "expected JSON, got Expecting property name enclosed in double quotes at line 1 column 2. Fix the file."),
        ('{"a": NaN}', "expected JSON, got NaN, which is no JSON number."),
        ("[" * 100_000, "expected JSON, got brackets nested too deeply."),
        ("[" + "1" * 5_000 + "]", "expected JSON, got a number of too many digits."),
    ],
)
def test_one_line_says_what_is_wrong(data: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_coco(write(tmp_path, data))
    assert str(refused.value).startswith("truth.json")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none.json: expected a COCO ground-truth file, got no such file"):
        read_coco(tmp_path / "none.json")
    with pytest.raises(InputError, match="expected a COCO ground-truth file, got is a directory"):
        read_coco(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match=r"expected a COCO ground-truth file in UTF-8, got another byte at 7"):
        read_coco(tmp_path / "bytes.json")


def test_a_broken_box_of_infinity(tmp_path: Path) -> None:
    text = json.dumps(content()).replace("2.5", "1e999")
    with pytest.raises(InputError, match=r"annotation 1: expected bbox of four finite numbers, got \[1, Infinity"):
        read_coco(write(tmp_path, text))


ODD_BOXES: list[object] = [
    *([1, 2, 3, 4], [1, 2, 3.5, 4], [1, 2, 3], [1, 2, 3, 0], [1, 2, 3, "4"], [1, 2, 3, True]),
    *([0, 0, 1e9, 1], [10**9, 1, 1, 1], [2**53 + 1, 1, 1, 1]),
]
ODD = st.sampled_from(
    [*ODD_BOXES, 0, 1, -1, 1.0, 2.5, 3, 4, 17, 2**70, -(2**70), True, False, None, "", " ", "17", "a", [], {}]
)
PLACES = [(part, entry, key) for part, entries in content().items() for entry, of in enumerate(entries) for key in of]


@given(st.lists(st.tuples(st.sampled_from([*PLACES, ("annotations", 0, "iscrowd")]), ODD), max_size=3), st.booleans())
@settings(deadline=None, max_examples=300)
def test_the_fast_way_reads_what_the_slow_way_reads(changes: list[tuple[Any, Any]], drop_invalid: bool) -> None:
    data = content()
    for (part, entry, key), value in changes:
        data[part][entry][key] = value
    text = json.dumps(data)
    fast = read_regular(text)
    try:
        slow = coco.read_every_word(text, "truth.json", drop_invalid=drop_invalid)
    except InputError:
        assert fast is None
        return
    if fast is not None:
        assert repr(fast) == repr(slow)
        assert all(truth.boxes_xyxy_px.dtype == np.float64 for truth in fast.truths.values())


def test_what_is_regular_is_read_the_fast_way() -> None:
    """Otherwise it would be of no use; what it does not know may be there."""
    data = content()
    data["info"] = {"year": 2026}
    data["annotations"][0].update(iscrowd=1, segmentation=[[1, 2.5]], bbox=None)
    data["images"][0]["file_name"] = "café.jpg"
    read = read_regular(json.dumps(data, ensure_ascii=False))
    assert read is not None
    assert (read.truths[17].labels, read.crowd_left_out) == (("traffic light",), 1)
