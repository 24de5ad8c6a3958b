"""Choices between options: by likelihood, by letter or words, in pairs and sets; cases worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics.choices import (
    LETTERS,
    ChoiceTruth,
    read_choice,
    score_choices,
    score_option_likelihoods,
    with_groups,
)
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.option_scores import OptionScore, option_scores_text
from boxlist.metrics.rows.choices import OPTION_LIKELIHOOD_METRICS
from boxlist.metrics.summary import summarise

OPTIONS = ("A mug on a table", "A mug under a table", "A mug to the left of a table")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("A", 0),
        ("b", 1),
        (" C. \n", 2),
        ("(B)", 1),
        ("(B).", 1),
        ("B:", 1),
        ("B)", 1),
        ("B. A mug under a table", 1),
        ("(C) a  mug to the LEFT of a table.", 2),
        ("A mug under a table", 1),
        ("A mug on a table.", 0),  # begins with a letter that is an option's
        ("D", None),  # no such option
        ("A mug", None),  # a letter and other words
        ("B. A mug on a table", None),  # says two things
        ("A or B", None),
        ("AB", None),
        ("The answer is B", None),  # strictly: the prompt asks for the letter alone
        ("", None),
        ("1", None),
        ("{", None),
    ],
)
def test_reading_a_choice(text: str, place: int | None) -> None:
    assert read_choice(text, OPTIONS) == place


@given(st.text(max_size=40))
def test_reading_survives_anything(text: str) -> None:
    assert read_choice(text, OPTIONS) in {None, 0, 1, 2}


@given(st.permutations(OPTIONS), st.integers(0, 2))
def test_every_option_is_read_wherever_it_stands(options: list[str], place: int) -> None:
    for text in (LETTERS[place], options[place], f"{LETTERS[place]}. {options[place]}"):
        assert read_choice(text, options) == place


def scored(logprobs: list[float], tokens: list[int] | None = None) -> str:
    counts = tokens or [1] * len(logprobs)
    return option_scores_text([OptionScore(*each, greedy=False) for each in zip(logprobs, counts, strict=True)])


@pytest.mark.parametrize(
    ("text", "correct", "per_token", "readable"),
    [
        (scored([-2.0, -1.0, -3.0]), True, True, True),
        (scored([-1.0, -2.0, -3.0]), False, False, True),
        (scored([-1.0, -1.0, -3.0]), False, False, True),  # a tie is no choice, wherever the right one stands
        (scored([-2.0, -3.0, -4.0], [2, 6, 4]), False, True, True),  # -1, -0.5 and -1 a token
        ("B", False, False, False),
        ("", False, False, False),
    ],
)
def test_the_right_option_must_be_the_likeliest_by_itself(
    text: str, correct: bool, per_token: bool, readable: bool
) -> None:
    (row,) = score_option_likelihoods([GivenAnswer(7, text)], [ChoiceTruth(7, OPTIONS, 1)])
    assert (row["choice_correct"], row["choice_correct_per_token"], row["choice_readable"]) == (
        correct,
        per_token,
        readable,
    )
    assert row["status"] == ("valid" if readable else "malformed" if text else "empty")


def test_unreadable_choices_are_wrong_and_counted() -> None:
    truths = [ChoiceTruth(number, OPTIONS, 1) for number in range(3)]
    rows = score_choices([GivenAnswer(0, "B"), GivenAnswer(1, "I think B"), GivenAnswer(2, "A")], truths)
    assert [row["choice_correct"] for row in rows] == [True, False, False]
    assert [row["choice_readable"] for row in rows] == [True, False, True]
    assert [row["chosen"] for row in rows] == [1, None, 0]


def test_an_image_without_an_answer_is_wrong() -> None:
    (row,) = score_choices([], [ChoiceTruth(1, OPTIONS, 0)])
    assert (row["choice_correct"], row["status"]) == (False, "empty")
    with pytest.raises(InputError, match="answer to image 9"):
        score_choices([GivenAnswer(9, "A")], [ChoiceTruth(1, OPTIONS, 0)])


def group(right: str) -> list[dict[str, Any]]:
    """Two sets of four images, two pairs each, and one image in no group; `right` has a 1 for each right choice."""
    truths = [
        ChoiceTruth(number, OPTIONS, 0, f"{name}|{axis}", name)
        for number, (name, axis) in enumerate((name, axis) for name in "xy" for axis in "aabb")
    ]
    truths.append(ChoiceTruth(8, OPTIONS, 0))
    return score_choices([GivenAnswer(n, "A" if c == "1" else "B") for n, c in enumerate(right)], truths)


@pytest.mark.parametrize(
    ("right", "pairs", "sets"),
    [
        ("111111111", 4, 2),
        ("111101111", 3, 1),
        ("101010101", 0, 0),
        ("110011000", 2, 0),
        ("000000001", 0, 0),
    ],
)
def test_pairs_and_sets_need_every_image(right: str, pairs: int, sets: int) -> None:
    rows = with_groups(group(right))
    assert sum(row["pairs"] for row in rows) == 4
    assert sum(row["pairs_correct"] for row in rows) == pairs
    assert sum(row["sets"] for row in rows) == 2
    assert sum(row["sets_correct"] for row in rows) == sets


@given(st.text("01", min_size=8, max_size=8))
def test_groups_are_those_of_the_authors_code(right: str) -> None:
    """Their dictionary of object pair to preposition to outcome, counted as `evaluate_scores` counts."""
    eval_dict = {
        name: dict(zip("lruo", map(int, right[4 * n : 4 * n + 4]), strict=True)) for n, name in enumerate("xy")
    }
    pairs = sum(bool(d["l"] and d["r"]) + bool(d["u"] and d["o"]) for d in eval_dict.values())
    sets = sum(sum(d.values()) == 4 for d in eval_dict.values())
    rows = with_groups(group(right + "1"))
    assert sum(row["pairs_correct"] for row in rows) / sum(row["pairs"] for row in rows) == pairs / (8 / 2)
    assert sum(row["sets_correct"] for row in rows) / sum(row["sets"] for row in rows) == sets / (8 / 4)


def test_a_pair_of_which_one_image_was_asked_counts_for_nothing() -> None:
    rows = with_groups(group("111111111")[1:])
    assert sum(row["pairs"] for row in rows) == 3
    assert sum(row["sets"] for row in rows) == 1


def test_grouping_again_changes_nothing_and_the_rows_given_stay() -> None:
    rows = group("111101111")
    once = with_groups(rows)
    assert with_groups(once) == once
    assert all(row["pairs"] == 0 for row in rows)


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_figures() -> None:
    rows = with_groups([{**row, "choice_correct_per_token": False} for row in group("111101110")])
    figures = summarise(rows, OPTION_LIKELIHOOD_METRICS)
    assert figures["choice_accuracy"]["value"] == pytest.approx(7 / 9)
    assert figures["pair_accuracy"]["value"] == 0.75
    assert (figures["set_accuracy"]["value"], figures["set_accuracy"]["n"]) == (0.5, 2)
    assert figures["choice_readable"]["interval"] == "wilson"
    none = summarise(with_groups([{**row, "pair": None, "set": None} for row in rows]), ("pair_accuracy",))
    assert none["pair_accuracy"]["value"] is None


def test_chance_is_what_a_coin_gives() -> None:
    """Where scores say nothing the accuracy is that of guessing: no place of the right option is favoured."""
    rng = np.random.default_rng(0)
    truths = [ChoiceTruth(n, OPTIONS, int(rng.integers(3))) for n in range(3000)]
    answers = [GivenAnswer(n, scored((-rng.random(3) - 0.01).tolist())) for n in range(3000)]
    share = np.mean([row["choice_correct"] for row in score_option_likelihoods(answers, truths)])
    assert abs(share - 1 / 3) < 0.03
