"""The run folder: lock, atomic files, strangers, and nothing half-written left behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.folder import RunFolder, read_run, read_scores

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = StoredAnswer(
    task="boxes", image_id=1, prompt_sha256="p", image_sha256="i", text="[]", tokens=1, finish="eos",
    triggered=False, frame_wh_px=None, session=1, at=0.5,
)  # fmt: skip


def names(path: Path) -> list[str]:
    return sorted(child.name for child in path.iterdir())


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    path = tmp_path / "night"
    hold = textwrap.dedent(f"""
        from pathlib import Path
        from boxlist.runs.folder import RunFolder
        with RunFolder.open(Path({str(path)!r})):
            print("held", flush=True)
            input()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError) as caught:
            RunFolder.open(path)
        assert str(caught.value) == (
            f"{path}: expected no other boxlist at work in this run folder, got process {other.pid}. "
            "Wait until it ends, or take another --name."
        )
        other.kill()
    with RunFolder.open(path):  # a killed holder holds nothing
        pass


def test_a_folder_left_without_answers_is_taken_away_with_its_parents(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "runs" / "deep" / "night") as folder:
        folder.write_run({"name": "night"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_an_answer_stays(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "night") as folder:
        folder.write_run({"name": "night"})
        folder.answers.append(ANSWER)
    assert names(tmp_path / "night") == [".lock", "answers.jsonl", "run.json"]


def test_a_folder_that_was_there_before_stays_even_when_empty(tmp_path: Path) -> None:
    (tmp_path / "night").mkdir()
    with RunFolder.open(tmp_path / "night"):
        pass
    assert (tmp_path / "night").is_dir()


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError) as caught:
        RunFolder.open(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: expected a run folder or a new name, got a folder with thesis.txt and no run.json. "
        "Take another --name."
    )
    assert names(tmp_path) == ["thesis.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "night").write_text("")
    with pytest.raises(InputError, match="expected a folder, got a file"):
        RunFolder.open(tmp_path / "night")


def test_discard_deletes_the_runs_own_files_only(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "night") as folder:
        folder.write_run({})
        folder.answers.append(ANSWER)
        folder.write_scores({"tasks": {}})
        (tmp_path / "night" / "notes.txt").write_text("mine")
        assert folder.discard() == 1
        assert names(tmp_path / "night") == [".lock", "notes.txt"]


def test_what_a_kill_left_between_writing_and_renaming_is_cleared(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "night") as folder:
        folder.write_run({})
        folder.answers.append(ANSWER)
    (tmp_path / "night" / ".scores.json.x8d3").write_text('{"half')
    with RunFolder.open(tmp_path / "night"):
        assert names(tmp_path / "night") == [".lock", "answers.jsonl", "run.json"]


def test_reading_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a run folder with run\.json, got none"):
        read_run(tmp_path)
    with pytest.raises(InputError, match=r"expected a run folder with scores\.json, got none"):
        read_scores(tmp_path / "nowhere")
    (tmp_path / "run.json").write_text('{"schema": 99}')
    with pytest.raises(InputError, match="expected schema 1, got schema 99"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("[1, 2")
    with pytest.raises(InputError, match="expected a JSON object, got something else"):
        read_run(tmp_path)
