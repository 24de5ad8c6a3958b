"""The table of controls: reading, naming, and the errors."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.controls.table import CONTROLS, Controls, budget_sentence, parse_controls
from boxlist.errors import InputError

controls = st.builds(
    Controls,
    budget=st.none() | st.integers(1, 10_000),
    repetition_penalty=st.none() | st.floats(1e-6, 100, allow_nan=False),
    no_repeat_ngram_size=st.none() | st.integers(1, 10_000),
    repeat_stop=st.booleans(),
    repeat_limit=st.none() | st.integers(1, 10_000),
    stale_stop=st.none() | st.integers(1, 10_000),
    near_repeat_stop=st.none() | st.floats(1e-6, 1, allow_nan=False),
    drift_stop=st.none() | st.integers(3, 10_000),
    max_items=st.none() | st.integers(1, 10_000),
    repeat_skip=st.booleans(),
)


def test_fields_are_the_rows_of_the_table() -> None:
    assert [field.name for field in fields(Controls)] == list(CONTROLS)


@given(controls)
def test_name_and_kwargs_read_back(given_controls: Controls) -> None:
    assert parse_controls(given_controls.name) == given_controls
    kwargs = given_controls.to_kwargs()
    assert Controls.from_kwargs(kwargs) == given_controls
    assert Controls.from_kwargs({name: str(value) for name, value in kwargs.items()}) == given_controls
    assert all(type(value) in (int, float, bool) for value in kwargs.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Controls()),
        (" raw ", Controls()),
        ("budget=8,repeat_stop", Controls(budget=8, repeat_stop=True)),
        (" repeat_stop , budget = 8 ", Controls(budget=8, repeat_stop=True)),  # any order, spaces around
        ("budget=8.0", Controls(budget=8)),  # lmms-eval turns 8.0 into a float
        ("repeat_stop=true", Controls(repeat_stop=True)),
        ("repeat_stop=1", Controls(repeat_stop=True)),
        ("repeat_stop=False", Controls()),
        ("repetition_penalty=1", Controls(repetition_penalty=1.0)),
        ("no_repeat_ngram_size=5", Controls(no_repeat_ngram_size=5)),
    ],
)
def test_parse(text: str, expected: Controls) -> None:
    assert parse_controls(text) == expected


def test_names_are_in_the_order_of_the_table() -> None:
    assert (
        parse_controls("repeat_stop,repetition_penalty=1.05,budget=8").name
        == "budget=8,repetition_penalty=1.05,repeat_stop"
    )
    assert Controls().name == "raw"


def test_from_kwargs_leaves_other_kwargs_alone() -> None:
    kwargs = {"max_new_tokens": 5, "budget": 3, "repeat_stop": False, "repetition_penalty": None, "until": ["x"]}
    assert Controls.from_kwargs(kwargs) == Controls(budget=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("repeatstop", "control 'repeatstop': expected one of budget, class_list, drift_stop, drop_image_tokens, "),
        ("budget=8,,repeat_stop", "control '': expected one of"),
        ("budget", "control budget: expected a whole number from 1 to 10000, got no value. Write budget=8."),
        ("budget=", "control budget: expected a whole number from 1 to 10000, got ''."),
        ("budget=0", "control budget: expected a whole number from 1 to 10000, got 0.0. Correct the value, or leave"),
        ("budget=-3", "got -3.0."),
        ("budget=2.5", "got 2.5."),
        ("budget=nan", "got nan."),
        ("budget=inf", "got inf."),
        ("budget=true", "got True."),
        ("budget=eight", "got 'eight'."),
        ("budget=" + "9" * 5000, "control budget: expected a whole number from 1 to 10000, got '999"),
        ("repetition_penalty=0", "control repetition_penalty: expected a number above 0, at most 100, got 0.0."),
        ("repetition_penalty=nan", "got nan."),
        ("no_repeat_ngram_size=0", "control no_repeat_ngram_size: expected a whole number from 1 to 10000, got 0.0."),
        ("drift_stop=2", "control drift_stop: expected a whole number from 3 to 10000, got 2.0."),
        ("near_repeat_stop=1.5", "control near_repeat_stop: expected a number above 0, at most 1, got 1.5."),
        ("repeat_stop=2", "control repeat_stop: expected no value, true or false, got 2.0."),
        ("repeat_stop=maybe", "got 'maybe'."),
        ("budget=8,budget=9", "controls 'budget=8,budget=9': expected each control once, got budget twice. Drop one"),
        ("raw,repeat_stop", "controls 'raw,repeat_stop': expected raw alone, or controls, got raw beside others."),
    ],
)  # fmt: skip
def test_bad_controls_are_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_controls(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_the_dataclass_checks_its_own_values() -> None:
    with pytest.raises(InputError, match="control budget: expected a whole number"):
        Controls(budget=0)


def test_budget_sentence() -> None:
    assert budget_sentence(8) == "Return at most 8 objects."
    assert budget_sentence(1) == "Return at most 1 objects."  # the wording never changes, only the number
