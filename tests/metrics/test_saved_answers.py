"""Reading saved answers: one bad line is one clear error with its number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.saved_answers import read_saved_answers

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, *lines: object) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


GOOD = {"image_id": 1, "response": "[]"}


def test_lines_become_answers_and_missing_images_are_named(tmp_path: Path) -> None:
    full = {"image_id": 3, "response": "x", "frame": [28, 56], "triggered": True, "tokens": 9, "model": "m"}
    read = read_saved_answers(write(tmp_path, full, "", GOOD, "  "), [1, 2, 3])
    assert read.answers == [GivenAnswer(3, "x", triggered=True, frame_wh_px=(28, 56), tokens=9), GivenAnswer(1, "[]")]
    assert read.missing == [2]


def test_line_separators_within_text_end_no_line(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"image_id": 1, "response": "a\u2028b\x85c"}, ensure_ascii=False), encoding="utf-8")
    assert read_saved_answers(path, [1]).answers[0].text == "a\u2028b\x85c"


def test_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"image_id": 1, "response": "a"}\r\n{"image_id": 2, "response": "b"}\r\n')
    assert [answer.text for answer in read_saved_answers(path, [1, 2]).answers] == ["a", "b"]


def test_no_lines(tmp_path: Path) -> None:
    assert read_saved_answers(write(tmp_path), [1]).missing == [1]


FIX = "Fix or remove the line."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "{",
            "got no JSON (Expecting property name enclosed in double quotes at line 1 column 2)",
        ),
        ("[]", "expected a JSON object, got []."),
        ('{"image_id": 2, "response": NaN}', "got no JSON (NaN, which is no JSON number)."),
        ("[" * 200_000, "got no JSON (brackets nested too deeply)."),
        ('{"image_id": 2, "image_id": 3, "response": ""}', 'got no JSON (the key "image_id" twice in one object).'),
        ({"response": "x"}, f'expected "image_id", got "response". {FIX}'),
        ({"image_id": 2}, f'expected "response", got "image_id". {FIX}'),
        ({}, f'expected "image_id", got {{}}. {FIX}'),
        ({"image_id": 2, "response": None}, f"expected response as text, got null. {FIX}"),
        ({"image_id": 2, "response": [[1]]}, "expected response as text, got [[1]]."),
        ({"image_id": True, "response": ""}, "expected image_id, a number or text, got true."),
        ({"image_id": 2.0, "response": ""}, "expected image_id, a number or text, got 2.0."),
        ({"image_id": "2", "response": ""}, 'got "2". The ground truth has it as a number: write 2.'),
        ({"image_id": 99, "response": ""}, "got 99. Score answers against the ground truth of their own images."),
        ({"image_id": 1, "response": ""}, "expected one answer an image, got a second one to image 1, after line 1."),
        ({"image_id": 2, "response": "", "frame": [0, 5]}, "expected frame as [width, height] in pixels, got [0, 5]."),
        ({"image_id": 2, "response": "", "frame": 5}, "expected frame as [width, height] in pixels, got 5."),
        ({"image_id": 2, "response": "", "triggered": 1}, "expected triggered as true or false, got 1."),
        ({"image_id": 2, "response": "", "tokens": -1}, "expected tokens as a whole number, got -1."),
    ],
)
def test_a_bad_line_is_named(line: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_saved_answers(write(tmp_path, GOOD, "", line), [1, 2])
    assert str(refused.value).startswith("answers.jsonl: line 3: ")
    assert message in str(refused.value)


def test_an_id_of_the_other_type_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'got 2\. The ground truth has it as text: write "2"\.'):
        read_saved_answers(write(tmp_path, {"image_id": 2, "response": ""}), ["2"])
    with pytest.raises(InputError, match=r'got "²"\. Score answers against'):
        read_saved_answers(write(tmp_path, {"image_id": "²", "response": ""}), [2])


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected saved answers, one JSON object a line, got no such file"):
        read_saved_answers(tmp_path / "none.jsonl", [1])
