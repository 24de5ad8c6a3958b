"""The redundancy paper's filters, each at its border, and every open choice of theirs."""

from __future__ import annotations

from typing import Any

import pytest

from boxlist.tasks.datasets.spatial_filters import PLACE_OPTIONS, Thing, eligible, places
from boxlist.tasks.datasets.spatial_words import Place, caption, expression, place_notes

SIZE = (200, 100)
DEFAULTS: dict[str, Any] = {option.name: option.default for option in PLACE_OPTIONS}


def thing(label: str, x: float, y: float, width: float, height: float, *, crowd: bool = False) -> Thing:
    return Thing(label, (x, y, x + width, y + height), crowd)


def names(things: list[Thing], **options: Any) -> list[str]:
    return [one.label for one in eligible(things, SIZE, DEFAULTS | options)]


@pytest.mark.parametrize(
    ("width", "height", "kept"),
    [(30, 20, True), (29.9, 20, False), (100, 60, True), (100.1, 60, False)],  # 3% and 30% of 20,000 pixels
)
def test_three_to_thirty_percent_both_included(width: float, height: float, kept: bool) -> None:
    assert names([thing("cat", 0, 0, width, height)], alpha=0.0) == ["cat"] * kept


def test_another_share_can_be_asked_for() -> None:
    assert names([thing("cat", 0, 0, 10, 10)], min_area=0.005) == ["cat"]


@pytest.mark.parametrize(
    ("centre", "both", "either"),
    [
        ((100, 50), False, False),
        ((80, 40), False, False),  # exactly a tenth of each side: not more
        ((79, 39), True, True),
        ((79, 50), False, True),  # off across only
        ((100, 61), False, True),  # off up and down only
        ((121, 61), True, True),
    ],
)
def test_not_centred(centre: tuple[float, float], both: bool, either: bool) -> None:
    one = thing("cat", centre[0] - 20, centre[1] - 15, 40, 30)
    assert names([one]) == ["cat"] * both
    assert names([one], off_centre="either") == ["cat"] * either


def test_alpha_may_be_of_the_box() -> None:
    one = thing("cat", 90, 20, 40, 30)  # 10 and 15 pixels off the middle
    assert names([one], alpha=0.2, alpha_of="box") == ["cat"]
    assert names([one], alpha=0.2) == []


def test_one_instance_of_a_class() -> None:
    cats = [thing("cat", 0, 0, 40, 30), thing("cat", 150, 60, 40, 30), thing("dog", 0, 60, 40, 30)]
    assert names(cats) == [], "the image goes"
    assert names(cats, repeated="class") == ["dog"], "only the class goes"
    tiny = [thing("cat", 0, 0, 40, 30), thing("cat", 150, 60, 1, 1)]
    assert names(tiny) == [], "an instance too small to be asked about is an instance"
    crowd = [thing("cat", 0, 0, 40, 30, crowd=True), thing("dog", 0, 60, 40, 30)]
    assert names(crowd, repeated="class") == ["dog"], "a crowd is several"


CAT, DOG, COW = thing("cat", 0, 0, 40, 30), thing("dog", 150, 10, 40, 30), thing("cow", 150, 65, 40, 30)


def asked(things: list[Thing], **options: Any) -> list[tuple[str, str, str | None]]:
    found = places(things, SIZE, DEFAULTS | options)
    return [(place.subject, place.relation, place.reference) for place in found]


def test_places_of_one_object_and_of_two() -> None:
    assert asked([CAT, DOG]) == [
        ("cat", "left", None),
        ("cat", "top", None),
        ("dog", "right", None),
        ("dog", "top", None),
        ("cat", "left", "dog"),
    ]
    assert asked([CAT, DOG], axes="larger", directions="both") == [
        ("cat", "left", None),  # 0.4 of the width against 0.35 of the height
        ("dog", "right", None),
        ("cat", "left", "dog"),
        ("dog", "right", "cat"),
    ]
    assert ("dog", "above", "cow") in asked([DOG, COW])


def test_two_objects_need_a_clear_direction() -> None:
    slanted = [CAT, thing("cow", 80, 65, 40, 30)]  # 80 across, 65 down
    assert ("cat", "above", "cow") not in asked(slanted)
    assert not [one for one in asked(slanted) if one[2]]
    assert ("cat", "left", "cow") in asked(slanted, clear=1.2)


@pytest.mark.parametrize(
    ("place", "right", "opposite", "words"),
    [
        (
            Place("dog", "left", (0, 0, 9, 9), SIZE),
            "A photo of a dog to the left",
            "A photo of a dog to the right",
            "dog on the left",
        ),
        (
            Place("dog", "bottom", (0, 0, 9, 9), SIZE),
            "A photo of a dog at the bottom",
            "A photo of a dog at the top",
            "dog on the bottom",
        ),
        (
            Place("dog", "right", (0, 0, 9, 9), SIZE, "car", (1, 2, 3, 4)),
            "A photo of a dog to the right of a car",
            "A photo of a dog to the left of a car",
            "dog to the right of car",
        ),
        (
            Place("dog", "above", (0, 0, 9, 9), SIZE, "car", (1, 2, 3, 4)),
            "A photo of a dog above a car",
            "A photo of a dog below a car",
            "dog above car",
        ),
    ],
)
def test_words(place: Place, right: str, opposite: str, words: str) -> None:
    assert caption(place, place.relation) == right
    assert expression(place) == words
    notes = place_notes(place, 2, [0, 1])
    assert sorted(notes["answer"]["options"]) == sorted([right, opposite])
    assert notes["answer"]["options"][notes["answer"]["right"]] == right
    four = place_notes(place, 4, [0, 1])["answer"]
    assert (len(four["options"]), four["options"][four["right"]]) == (4, right)
    assert notes["question"]["hint"] == ("[1, 2, 3, 4, 200, 100]" if place.reference else "")
    assert place.subject in notes["question"]["describe"]
