from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.rows.shape_questions import SHAPE_QUESTION_METRICS
from boxlist.metrics.shape_questions import (
    FORMS,
    ShapeQuestionTruth,
    read_reply,
    score_shape_questions,
)
from boxlist.metrics.summary import summarise

if TYPE_CHECKING:
    from boxlist.metrics.shape_questions import Form, Reply

SHAPES = ("circle", "square", "star")


@pytest.mark.parametrize(
    ("text", "form", "reply"),
    [
        ('{"answer": 200}', "number", 200),
        ('```json\n{"answer": 3}\n```', "number", 3),
        ('{"answer": "3"}', "number", None),  # a number in quotes
        ('{"answer": 3.0}', "number", None),
        ('{"answer": true}', "number", None),
        ('{"answer": -1}', "number", None),
        ('{"answer": 1000001}', "number", None),
        ("3", "number", None),  # no object
        ("There are 3.", "number", None),
        ('{"answer": 3, "why": "I counted"}', "number", None),  # another key
        ('{"answer": 3, "answer": 4}', "number", None),
        ('{"answer": "star"}', "word", "star"),
        ('{"answer": " Star "}', "word", "star"),
        ('{"answer": ["star"]}', "word", None),
        ('{"answer": "stars"}', "word", None),  # no word of the vocabulary
        ('{"answer": {"answer": "star"}}', "word", None),
        ('{"answer": ["star", "circle"]}', "words", ("circle", "star")),
        ('{"answer": []}', "words", ()),
        ('{"answer": ["star", "STAR"]}', "words", None),  # twice
        ('{"answer": ["star", 3]}', "words", None),
        ('{"answer": "star"}', "words", None),
        ('{"answer": ["star", "hexagon"]}', "words", None),
        ("", "words", None),
        ('{"answer": ' + "[" * 100_000, "words", None),
    ],
)
def test_what_an_answer_says(text: str, form: Form, reply: Reply | None) -> None:
    assert read_reply(text, form, SHAPES) == reply


@given(st.text(max_size=60), st.sampled_from(list(FORMS)))
def test_any_text_gives_a_row(text: str, name: str) -> None:
    rights: dict[Form, Reply] = {"number": 3, "word": "star", "words": ("star",)}
    right = rights[FORMS[name]]
    (row,) = score_shape_questions([GivenAnswer(1, text)], [ShapeQuestionTruth(1, name, right, SHAPES)])
    assert row["question_correct"] is row[f"{name}_correct"]
    assert row["status"] in {"valid", "malformed", "empty"}


def test_figures_by_hand() -> None:
    truths = [
        ShapeQuestionTruth(1, "dominant_shape", "star", SHAPES),
        ShapeQuestionTruth(2, "dominant_shape", "circle", SHAPES),
        ShapeQuestionTruth(3, "shape_variety", ("star", "circle"), SHAPES),
        ShapeQuestionTruth(4, "object_count", 200),
        ShapeQuestionTruth(5, "object_count", 12),
        ShapeQuestionTruth(6, "object_count", 7),
    ]
    texts = [
        '{"answer": "star"}',
        '{"answer": "star"}',
        '{"answer": ["circle", "star"]}',
        '{"answer": 150}',
        '{"answer": 12}',
        "many",
    ]
    rows = score_shape_questions([GivenAnswer(i, text) for i, text in enumerate(texts, 1)], truths)
    with pytest.warns(UserWarning, match="6 images are fewer than 30"):
        figures = summarise(rows, SHAPE_QUESTION_METRICS)
    assert {name: (found["value"], found["n"]) for name, found in figures.items() if found["n"]} == {
        "question_accuracy": (0.5, 6),
        "dominant_shape_accuracy": (0.5, 2),
        "shape_variety_accuracy": (1.0, 1),
        "object_count_accuracy": (pytest.approx(1 / 3), 3),
        "count_mae": (25.0, 2),  # of the two that say a number
        "count_exact": (pytest.approx(1 / 3), 3),  # unreadable is wrong
        "target_shape_valid": (pytest.approx(5 / 6), 6),
    }
    assert figures["odd_color_accuracy"]["value"] is None


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(InputError, match="question type 'size'"):
        score_shape_questions([], [ShapeQuestionTruth(1, "size", "large")])
