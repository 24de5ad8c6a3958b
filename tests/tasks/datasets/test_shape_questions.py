from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.metrics.shape_questions import FORMS
from boxlist.tasks.datasets.shape_questions import QUESTION_TYPES, question_type_named

if TYPE_CHECKING:
    from boxlist.metrics.shape_questions import Reply

VALUES = ["star", "star", "star", "circle", "circle", "cross"]
COLOURS = ["red", "red", "blue"]


def test_every_type_has_a_form() -> None:
    assert QUESTION_TYPES.keys() == FORMS.keys()


@pytest.mark.parametrize(
    ("name", "values", "reply"),
    [
        ("dominant_shape", VALUES, "star"),
        ("dominant_shape", ["star"], "star"),
        ("dominant_shape", ["star", "circle"], None),
        ("dominant_color", ["red"] * 6 + ["blue"] * 5, "red"),
        ("dominant_color", ["red"] * 7 + ["blue"] * 6, None),  # no clear lead
        ("unique_shapes", VALUES, 3),
        ("unique_colors", COLOURS, 2),
        ("odd_shape", VALUES, "cross"),
        ("odd_shape", ["star", "circle"], None),  # two of them
        ("odd_color", ["red"], None),  # nothing to be odd among
        ("shape_variety", VALUES, ("circle", "cross", "star")),
        ("color_variety", COLOURS, ("blue", "red")),
        ("object_count", VALUES, 6),
    ],
)
def test_replies_by_hand(name: str, values: list[str], reply: Reply | None) -> None:
    assert QUESTION_TYPES[name].reply(values) == reply


def test_what_a_prompt_says_of_the_answer() -> None:
    assert QUESTION_TYPES["object_count"].form == "number"
    assert QUESTION_TYPES["dominant_shape"].form == '"circle", "square", "triangle", "star" or "cross"'
    assert QUESTION_TYPES["shape_variety"].form == (
        'a list of those that are there of "circle", "square", "triangle", "star" and "cross"'
    )


def test_an_unknown_type_lists_near_matches() -> None:
    with pytest.raises(InputError, match=r"question type 'odd_shapes'.*Did you mean odd_shape"):
        question_type_named("odd_shapes")
