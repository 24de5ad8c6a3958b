"""One run in two real processes, as `accelerate launch` starts them, on CPU (gloo)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.processes import Processes
from boxlist.runs.engine import run
from boxlist.runs.folder import ANSWERS_FILE, RunFolder, answers_of_rank
from boxlist.runs.request import RunRequest

if TYPE_CHECKING:
    from collections.abc import Callable

BIN = Path(sys.executable).parent


def launched(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            str(BIN / "accelerate"), "launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
            str(BIN / "boxlist"), *words,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )  # fmt: skip


def test_two_processes_end_with_the_scores_of_one(
    unbroken: Path, run_words: Callable[..., list[str]], tmp_path: Path
) -> None:
    done = launched(run_words(tmp_path, "two"))
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "two"
    assert (folder / "scores.json").read_bytes() == (unbroken / "scores.json").read_bytes()
    assert done.stdout.count("8 answers, 8 of them new") == 1, "one process speaks"
    assert {path.name for path in folder.iterdir()} == {path.name for path in unbroken.iterdir()}
    answers = [
        [(a["image_id"], a["text"]) for a in map(json.loads, (place / ANSWERS_FILE).read_text().splitlines())]
        for place in (folder, unbroken)
    ]
    assert sorted(answers[0]) == sorted(answers[1])
    assert answers[0] != answers[1], "each process kept its share"


def test_a_wrong_request_is_told_once_and_leaves_nothing(run_words: Callable[..., list[str]], tmp_path: Path) -> None:
    done = launched(run_words(tmp_path, "wrong", "--tasks", "boxlist_dense_bbox_shape"))
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("boxlist:")]
    assert len(lines) == 1
    assert lines[0].startswith("boxlist: task 'boxlist_dense_bbox_shape': expected one of ")
    assert not (tmp_path / "wrong").exists()


def test_what_another_process_left_when_it_was_killed_is_taken_in(
    unbroken: Path, pocket_base: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    lines = (unbroken / ANSWERS_FILE).read_text().splitlines(keepends=True)
    (folder / "run.json").write_bytes((unbroken / "run.json").read_bytes())
    (folder / ANSWERS_FILE).write_text("".join(lines[:4]))
    left = answers_of_rank(folder, 1).path
    left.write_text("".join(lines[3:]) + lines[0][:50])  # one answer in both, and the last line torn by the kill
    with RunFolder.open(folder) as opened:
        opened.take_in()
        assert len(opened.answers.keys()) == 8
    assert not left.exists()
    assert sorted((folder / ANSWERS_FILE).read_text().splitlines(keepends=True)) == sorted(lines)


@pytest.mark.parametrize(("count", "shares"), [(1, [[1, 2, 3, 4, 5]]), (2, [[1, 3, 5], [2, 4]]), (7, [[1], [2], [3]])])
def test_shares_hold_everything_once(count: int, shares: list[list[int]]) -> None:
    found = [Processes(rank, count).share([1, 2, 3, 4, 5]) for rank in range(count)]
    assert found[: len(shares)] == shares
    assert sorted(item for share in found for item in share) == [1, 2, 3, 4, 5]


def test_a_process_by_itself_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = Processes.join()
    assert alone == Processes(0, 1)
    assert alone.tell("x") == "x"
    alone.wait()
    request = RunRequest(("no_such_task",), "alone", {"pretrained": "x"}, out=tmp_path)
    with pytest.raises(InputError, match="no_such_task"):
        run(request)
