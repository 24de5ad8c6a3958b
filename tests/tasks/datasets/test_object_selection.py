"""Which images make a data set, each choice on a file small enough to work out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.tasks.datasets.coco_file import CocoBox, CocoFile, CocoImage
from boxlist.tasks.datasets.detection_split import choices_of
from boxlist.tasks.datasets.object_selection import Candidate, Choices, in_drawing_order, select

if TYPE_CHECKING:
    from collections.abc import Sequence

LABELS = {1: "person", 2: "cup", 5: "dog", 9: "boat"}
CHOICES = Choices(excluded=("person",), classes=2, fewest=1, most=3)


def file_of(*images: Sequence[tuple[int, tuple[float, float, float, float], int]]) -> CocoFile:
    """Image 1, 2, ... of 100x80 pixels with (category, bbox, iscrowd)."""
    boxes = [(number, *box) for number, image in enumerate(images, start=1) for box in image]
    return CocoFile(
        [CocoImage(number, f"{number:012}.jpg", 100, 80) for number in range(1, len(images) + 1)],
        LABELS,
        [
            CocoBox(place, number, category, bbox, crowd)
            for place, (number, category, bbox, crowd) in enumerate(boxes)
        ],
        "0",
    )  # fmt: skip


def box(category: int, *bbox: float, crowd: int = 0) -> tuple[int, tuple[float, float, float, float], int]:
    x, y, width, height = bbox or (10, 10, 20, 20)
    return category, (x, y, width, height), crowd


# cups in images 1, 1, 2, 4, 4; dogs in 2, 3; boats in 3, 4, 5; the dog of 5 is a crowd; 6 is a person, 7 is empty
FILE = file_of(
    [box(2), box(2), box(1)],
    [box(2), box(5)],
    [box(5), box(9)],
    [box(2), box(2), box(9)],
    [box(9), box(5, crowd=1), box(5, crowd=1)],
    [box(1)],
    [],
)


def chosen(choices: Choices, file: CocoFile = FILE) -> tuple[tuple[str, ...], list[int]]:
    found = select(file, choices, "test")
    return found.classes, [candidate.image.id for candidate in found.candidates]


def test_classes_by_instances_and_images_that_hold_some() -> None:
    # cup 5, boat 3, dog 2 and two in crowds
    assert chosen(CHOICES) == (("cup", "boat"), [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("choices", "classes", "images"),
    [
        ({"exclude": "images"}, ("boat", "cup"), [2, 3, 4, 5]),  # without image 1, boat 3 and cup 3: by name
        ({"rank_by": "images", "classes": 1}, ("boat",), [3, 4, 5]),  # in three images each: by name
        ({"rank_crowds": True, "crowds": "leave_out"}, ("cup", "dog"), [1, 2, 3, 4]),  # dog 4
        ({"rank_crowds": True, "crowds": "count"}, ("cup", "dog"), [1, 2, 3, 4, 5]),
        ({"classes": 0}, ("cup", "boat", "dog"), [1, 2, 3, 4]),  # image 5 has a crowd of a target now
        ({"classes": 0, "crowds": "leave_out"}, ("cup", "boat", "dog"), [1, 2, 3, 4, 5]),
        ({"fewest": 2}, ("cup", "boat"), [1, 4]),
        ({"most": 1}, ("cup", "boat"), [2, 3, 5]),
        ({"most": 0, "fewest": 3}, ("cup", "boat"), [4]),
        ({"others": "drop_image"}, ("cup", "boat"), [4]),
        ({"excluded": ()}, ("cup", "boat"), [1, 2, 3, 4, 5]),
        ({"excluded": (), "classes": 3}, ("cup", "boat", "dog"), [1, 2, 3, 4]),  # person 2 and dog 2: by name
        ({"min_area_px": 400.0}, ("cup", "boat"), [1, 2, 3, 4, 5]),
        ({"min_area_px": 400.5}, ("cup", "boat"), []),
    ],
)
def test_each_choice(choices: dict[str, Any], classes: tuple[str, ...], images: list[int]) -> None:
    assert chosen(replace(CHOICES, **choices)) == (classes, images)


def test_the_funnel_adds_up() -> None:
    funnel = select(FILE, replace(CHOICES, classes=0, fewest=2), "test").funnel
    assert funnel["images"] == 7
    assert funnel["boxes"] == 14
    assert funnel["classes"] == {"cup": 5, "boat": 3, "dog": 2}
    gone = {name: number for name, number in funnel["out"].items() if number and name.startswith("images")}
    assert gone == {"images_with_a_crowd": 1, "images_with_fewer": 2}
    assert funnel["images_left"] == 7 - sum(gone.values())


def test_boxes_are_clipped_rounded_and_dropped_without_extent() -> None:
    file = file_of([box(2, -3.6, 70.5, 20.0, 20.0), box(2, 100, 5, 10, 10), box(2, 10, 10, 0, 5), box(2, 5, 5, 9.4, 1)])
    found = select(file, replace(CHOICES, most=0), "test")
    assert [item["box_xyxy_px"] for item in found.candidates[0].objects] == [[0, 70.5, 16.4, 80], [5, 5, 14.4, 6]]
    assert found.funnel["out"]["boxes_without_extent"] == 2
    whole = select(file, replace(CHOICES, most=0, coordinates="whole"), "test")
    assert [item["box_xyxy_px"] for item in whole.candidates[0].objects] == [[0, 70, 16, 80], [5, 5, 14, 6]]
    outside = select(file, replace(CHOICES, most=0, clip=False), "test")
    assert outside.candidates[0].objects[0]["box_xyxy_px"] == [-3.6, 70.5, 16.4, 90.5]
    assert outside.funnel["out"]["boxes_without_extent"] == 1


def test_a_crowd_that_counts_says_so() -> None:
    found = select(FILE, replace(CHOICES, classes=0, crowds="count"), "test")
    crowds = [item.get("crowd") for candidate in found.candidates for item in candidate.objects if "crowd" in item]
    assert crowds == [True, True]


def test_what_cannot_be_chosen_is_said() -> None:
    with pytest.raises(InputError, match=r"test: excluded class 'persn': expected one of .* Did you mean person\?"):
        select(FILE, replace(CHOICES, excluded=("persn",)), "test")
    with pytest.raises(InputError, match="test: expected most at or above fewest, or 0, got fewest=3, most=2"):
        select(FILE, replace(CHOICES, fewest=3, most=2), "test")
    with pytest.raises(InputError, match="--option fewest: expected 0 or more, got -1"):
        choices_of({"excluded": "", "fewest": -1})


def test_the_drawing_order_is_a_shuffle_that_further_images_do_not_disturb() -> None:
    images = [Candidate(CocoImage(number, "", 1, 1), ()) for number in range(200)]
    order = [candidate.image.id for candidate in in_drawing_order(images, 0, "")]
    assert sorted(order) == list(range(200))
    assert order != list(range(200))
    assert order[:3] == [160, 148, 159], "pinned: by the SHA-256 of the text '0  ID'"
    assert [i for i in order if i < 100] == [c.image.id for c in in_drawing_order(images[:100], 0, "")]
    assert in_drawing_order(images[::-1], 0, "") == in_drawing_order(images, 0, "")
    assert in_drawing_order(images, 1, "") != in_drawing_order(images, 0, "")
    assert in_drawing_order(images, 0, "anew") != in_drawing_order(images, 0, "")
