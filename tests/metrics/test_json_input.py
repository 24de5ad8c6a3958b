"""JSON of others: what is let in, and that nothing crashes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.metrics.json_input import (
    MAX_ANSWER_BYTES,
    NotJsonError,
    is_finite_number,
    parse_json,
    parse_json_answer,
    show,
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(values)
@settings(deadline=None)
def test_json_is_read_as_json(value: object) -> None:
    assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ['{"a": 1}', ' \n{"a": 1}\n ', '```json\n{"a": 1}\n```', '```\n{"a": 1}```', '  ```JSON {"a": 1} ```  ']
)
def test_an_answer_may_stand_in_one_fence(text: str) -> None:
    assert parse_json_answer(text) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("```json\n```", "Expecting value"),
        ('Here: {"a": 1}', "Expecting value"),
        ('{"a": 1} done', "Extra data"),
        ('```json\n{"a": 1}', "a fence that is not closed"),
        ("```", "a fence that is not closed"),
        ("`````", "a fence that is not closed"),
        ('```json\n```json\n{"a": 1}\n```\n```', "Expecting value"),
        ('```\n{"a": 1}\n```\n```\n{"a": 1}\n```', "Extra data"),
        ('{"a": NaN}', "NaN, which is no JSON number"),
        ('{"a": -Infinity}', "-Infinity, which is no JSON number"),
        ('{"a": 1, "a": 1}', 'the key "a" twice in one object'),
        ('{"a": ' + "9" * 5000 + "}", "a number of too many digits"),
        ('{"a":' * 200_000, "brackets nested too deeply"),
        ("[" * 500_000 + "]" * 500_000, "brackets nested too deeply"),
        (" " * MAX_ANSWER_BYTES + "1", "more than 1048576 bytes"),
        ('"' + "é" * (MAX_ANSWER_BYTES // 2) + '"', "more than 1048576 bytes"),
    ],
)
def test_anything_else_is_refused(text: str, message: str) -> None:
    with pytest.raises(NotJsonError, match=message):
        parse_json_answer(text)


def test_a_large_answer_within_the_limit_is_read() -> None:
    assert parse_json_answer(" " * (MAX_ANSWER_BYTES - 1) + "1") == 1


def test_repeated_keys_can_be_let_be() -> None:
    assert parse_json('{"a": 1, "a": 2}', unique_keys=False) == {"a": 2}


def test_what_counts_as_a_number() -> None:
    assert [is_finite_number(value) for value in (0, -1.5, True, "1", None, float("inf"), 10**400)] == [
        True, True, False, False, False, False, False
    ]  # fmt: skip


def test_values_are_quoted_briefly() -> None:
    assert show({"a": None}) == '{"a": null}'
    assert show("x" * 100) == '"' + "x" * 56 + "..."
    assert show(10**5000) == "a number of too many digits"
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert show(nested) == "brackets nested too deeply"
