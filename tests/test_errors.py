"""Errors: one line that says where, what was expected, what was got, and the remedy."""

from __future__ import annotations

import copy
import pickle

import pytest

from boxlist.errors import BoxlistError, InputError, MissingExtraError, unknown_name


def test_input_error_is_one_line_with_its_parts() -> None:
    error = InputError("ann.json: image 17, box 3", expected="width > 0", got="-4.0", remedy="Fix the file.")
    assert str(error) == "ann.json: image 17, box 3: expected width > 0, got -4.0. Fix the file."
    assert (error.where, error.expected, error.got, error.remedy) == (
        "ann.json: image 17, box 3",
        "width > 0",
        "-4.0",
        "Fix the file.",
    )
    assert isinstance(error, BoxlistError)


def test_what_a_file_name_or_a_label_holds_stays_on_the_line() -> None:
    error = InputError("a\nb\x1b[31m\u2028.json", expected="x", got="y\r\x00\u202e", remedy="z")
    assert str(error) == "a b [31m .json: expected x, got y   . z"
    assert str(error).isprintable()


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtraError("supervision", "dev")
    assert str(error) == "import supervision: expected it installed, got nothing. Run: pip install 'boxlist[dev]'"
    assert isinstance(error, InputError)


@pytest.mark.parametrize(
    "error",
    [InputError("a", expected="b", got="c", remedy="d"), MissingExtraError("supervision", "dev")],
    ids=["InputError", "MissingExtraError"],
)
def test_errors_cross_process_borders(error: InputError) -> None:
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - bytes made here
        assert type(twin) is type(error)
        assert (str(twin), twin.where, twin.remedy) == (str(error), error.where, error.remedy)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "repeatstop",
            "control 'repeatstop': expected one of budget, repeat_stop, got an unknown name. Did you mean repeat_stop?",
        ),
        ("zzz", "control 'zzz': expected one of budget, repeat_stop, got an unknown name. Choose one of them."),
        ("", "control '': expected one of budget, repeat_stop, got an unknown name. Choose one of them."),
    ],
)
def test_an_unknown_name_lists_its_near_matches(name: str, message: str) -> None:
    assert str(unknown_name("control", name, ["repeat_stop", "budget"])) == message


def test_an_unknown_name_may_have_another_remedy_and_nothing_to_choose_from() -> None:
    error = unknown_name("adapter", "x", [], remedy="Train one first.")
    assert str(error) == "adapter 'x': expected one of (none), got an unknown name. Train one first."


def test_a_long_unknown_name_is_cut() -> None:
    assert len(str(unknown_name("task", "x" * 10_000, ["a"]))) < 250
