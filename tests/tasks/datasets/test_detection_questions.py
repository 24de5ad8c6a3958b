"""Questions about photographs with boxes: which sort is asked, and that the answer is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.tasks.datasets.detection_questions import CENTRE, ask_about
from boxlist.tasks.datasets.split_folder import make_object

if TYPE_CHECKING:
    from boxlist.tasks.datasets.split_folder import DocumentObject

CLASSES = ("yoke", "plate", "spacer")
SIZE = (100, 100)


def thing(label: str, x: float, y: float, side: float = 10) -> DocumentObject:
    return make_object(label, [x, y, x + side, y + side])


def asked(*objects: DocumentObject, seed: int = 0) -> tuple[str, str, str]:
    found = ask_about(objects, SIZE, CLASSES, [seed, 1])
    assert found is not None
    return found["question"]["subject"], found["question"]["reference"], found["answer"]["relation"]


def test_two_objects_that_occur_once() -> None:
    pairs = {asked(thing("yoke", 10, 40), thing("plate", 70, 45), seed=seed) for seed in range(20)}
    assert pairs == {("yoke", "plate", "left"), ("plate", "yoke", "right")}


def test_without_a_plain_direction_the_centre_is_the_reference() -> None:
    diagonal = thing("yoke", 10, 80), thing("plate", 50, 40)
    assert {asked(*diagonal, seed=seed)[1] for seed in range(20)} == {CENTRE}
    assert asked(thing("yoke", 45, 80)) == ("yoke", CENTRE, "below")


def test_where_nothing_occurs_once_the_largest_is_the_subject() -> None:
    assert asked(thing("yoke", 45, 80), thing("yoke", 5, 45, 20)) == ("largest yoke", CENTRE, "left")


def test_a_diagonal_is_asked_about_where_nothing_else_is() -> None:
    assert asked(thing("yoke", 5, 6)) == ("largest yoke", CENTRE, "left")


def test_nothing_to_ask_is_none() -> None:
    assert ask_about([thing("yoke", 45, 45)], SIZE, CLASSES, [0, 1]) is None
    assert ask_about([], SIZE, CLASSES, [0, 1]) is None


def test_counts_are_right_and_some_are_zero() -> None:
    objects = [thing("yoke", 10, 40), thing("plate", 70, 45), thing("plate", 70, 80)]
    counts = []
    for seed in range(300):
        found = ask_about(objects, SIZE, CLASSES, [seed])
        assert found is not None
        counted = found["question"]["counted"]
        assert found["answer"]["count"] == {"yoke": 1, "plate": 2, "spacer": 0}[counted]
        counts.append(found["answer"]["count"])
    assert 30 < counts.count(0) < 70, "one in six"
