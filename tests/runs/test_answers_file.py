"""The answers file: appended, torn, broken, read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.runs.answers_file import AnswersFile, StoredAnswer

if TYPE_CHECKING:
    from pathlib import Path


def answer(
    image_id: int | str, text: str = "[]", *, task: str = "boxes", session: int = 1, at: float = 1.0
) -> StoredAnswer:
    return StoredAnswer(
        task=task,
        image_id=image_id,
        prompt_sha256="p" * 64,
        image_sha256="i" * 64,
        text=text,
        tokens=3,
        finish="eos",
        triggered=False,
        frame_wh_px=None,
        session=session,
        at=at,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def filled(path: Path, *answers: StoredAnswer) -> AnswersFile:
    file = AnswersFile(path)
    for one in answers:
        file.append(one)
    file.close()
    return AnswersFile(path)


def test_what_was_appended_is_read_back_in_any_order(path: Path) -> None:
    odd = 'quote " back \\ new\nline \u2028 \u241e \ud800 é 🌳'
    first, second = answer(1, odd), answer("00017", "[")._replace(frame_wh_px=(224, 448), triggered=True)
    file = filled(path, first, second)
    assert list(file.read([second.key, first.key])) == [second, first]
    assert path.read_bytes().count(b"\n") == 2


def test_an_answer_is_on_disk_as_soon_as_it_is_appended(path: Path) -> None:
    file = AnswersFile(path)
    file.append(answer(1))
    assert [json.loads(line)["image_id"] for line in path.read_text().splitlines()] == [1]
    file.close()


def test_ids_that_look_alike_are_different_answers(path: Path) -> None:
    assert filled(path, answer(1), answer("1"), answer(1, task="inventory")).keys() == {
        ("boxes", 1),
        ("boxes", "1"),
        ("inventory", 1),
    }


@pytest.mark.parametrize(
    "torn", [1, 20, 100, -1], ids=["one byte", "in a key", "in the text", "only the line end lost"]
)
def test_a_torn_last_line_is_cut_off_and_can_be_written_again(path: Path, torn: int) -> None:
    filled(path, answer(1))
    whole = path.read_bytes()
    filled(path, answer(2, "[" * 200))
    last = path.read_bytes()[len(whole) :]
    path.write_bytes(whole + last[:torn])
    file = AnswersFile(path)
    assert file.dropped_torn_line
    assert file.keys() == {("boxes", 1)}
    assert path.read_bytes() == whole
    file.append(answer(2, "again"))
    file.close()
    assert [found.text for found in AnswersFile(path).read([("boxes", 2)])] == ["again"]


def test_a_last_line_of_zeros_is_torn_too(path: Path) -> None:
    filled(path, answer(1))
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 64 + b"\n")
    assert AnswersFile(path).keys() == {("boxes", 1)}
    assert path.read_bytes() == whole


def test_a_whole_file_is_not_called_torn(path: Path) -> None:
    assert not filled(path, answer(1), answer(2)).dropped_torn_line


@pytest.mark.parametrize(
    "line",
    ["{not json", "[]", "7", '{"task": "boxes"}', '{"frame_wh_px": [1]}', "", "[" * 100_000],
    ids=["not JSON", "a list", "a number", "no fields", "half a frame", "blank", "deep"],
)
def test_a_broken_line_in_the_middle_is_named(path: Path, line: str) -> None:
    filled(path, answer(1), answer(2))
    first, second = path.read_text().splitlines()
    path.write_text("\n".join([first, line, second]) + "\n")
    with pytest.raises(InputError) as caught:
        AnswersFile(path)
    assert str(caught.value) == (
        f"{path}: line 2: expected an answer as JSON, got something else. "
        "Delete that line, or start again with --fresh."
    )


def test_wrong_types_are_a_broken_line(path: Path) -> None:
    filled(path, answer(1), answer(2))
    path.write_text(path.read_text().replace('"text": "[]"', '"text": 5', 1))
    with pytest.raises(InputError, match="line 1: expected an answer as JSON"):
        AnswersFile(path)


def test_a_second_answer_to_one_question_is_refused(path: Path) -> None:
    filled(path, answer(1))
    path.write_bytes(path.read_bytes() * 2)
    with pytest.raises(InputError, match="line 2: expected one answer an image, got a second one for image 1 of boxes"):
        AnswersFile(path)
    file = AnswersFile(path.with_name("other.jsonl"))
    file.append(answer(1))
    with pytest.raises(ValueError, match="a second answer"):
        file.append(answer(1))
    file.close()


def test_the_tally_adds_up_sessions(path: Path) -> None:
    file = filled(path, answer(1, at=2.0), answer(2, at=5.5), answer(3, session=2, at=1.25))
    tally = file.tally()
    assert (tally.answers, tally.tokens, tally.wall_seconds, tally.sessions) == (3, 9, 6.75, 2)
    assert AnswersFile(path.with_name("none.jsonl")).tally().sessions == 0


def test_delete_removes_the_file_and_says_how_many_answers_went(path: Path) -> None:
    file = filled(path, answer(1), answer(2))
    assert file.delete() == 2
    assert not path.exists()
    assert file.keys() == set()
