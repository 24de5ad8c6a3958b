"""`boxlist leaderboard` as it is typed: what goes where, and what is said about what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from boxlist.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HIGH, LOW = [9, 8] * 20, [1, 0] * 20


@pytest.fixture
def runs(save_run: Callable[..., Path], tmp_path: Path) -> str:
    """Two runs of one task, one of another, and one that is not finished."""
    save_run("a", HIGH)
    save_run("b", LOW, parse_valid=[True, False] * 20)
    save_run("trees", LOW, task="boxlist_dense_bbox_trees")
    save_run("half", LOW, status="running")
    return str(tmp_path / "runs")


def test_good_runs_are_shown_and_each_bad_one_has_a_line(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", runs, f"{runs}/none"]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\nbase org/base\n") == 2
    assert captured.err.splitlines() == [
        (
            f"boxlist: {runs}/half/run.json: expected a finished run, got status running. Repeat its command; it "
            "continues."
        ),
        f"boxlist: {runs}/none: expected a run folder, or a file of boxlist score, got neither. Check the path.",
    ]


def test_nothing_readable_is_an_error(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaderboard", f"{runs}/half", f"{runs}/half"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_where_tasks_and_columns_choose(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["leaderboard", runs, "--tasks", "boxlist_dense_bbox_shapes", "--columns", "max_repeat", "--json"]
    assert main([*words, "--where", "parse_valid>=0.9"]) == 0
    captured = capsys.readouterr()
    (table,) = json.loads(captured.out)["tables"]
    assert [row["run"] for row in table["rows"]] == ["a"]
    assert list(table["rows"][0]["metrics"]) == ["f1@0.3", "max_repeat"]
    assert "boxlist: --where leaves out 1 of 2 rows" in captured.err.splitlines()
    assert main([*words, "--where", "parse_valid>1"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"] == []


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("board.md", "**boxlist\\_dense"),
        ("board.csv", "table,set_apart,"),
        ("board.json", '{\n "schema": 1'),
        ("board.html", "<!DOCTYPE html>"),
        ("board", "boxlist_dense_bbox_shapes: 2 runs"),
    ],
)
def test_out_writes_the_form_of_its_ending_among_the_runs_too(
    name: str, start: str, runs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs" / name
    for _ in range(2):  # the second time the first one's file is there, and is no run
        assert main(["leaderboard", runs, "--out", str(out)]) == 0
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
    assert out.read_text().startswith(start)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sort", "f1@03"], "metric 'f1@03': expected one of "),
        (["--columns", "parse_valid,max_repat"], "metric 'max_repat': "),
        (["--where", "parse_valid"], "--where 'parse_valid': expected METRIC, one of >= <= > < == !=, and a number"),
        (["--tasks", "boxlist_dense_bbox_tree"], "task 'boxlist_dense_bbox_tree': expected one of boxlist_dense_bbox"),
        (["--mix", "images"], "leaderboard: argument --mix: invalid choice: 'images'"),
        (["--format", "xml"], "leaderboard: argument --format: invalid choice: 'xml'"),
        (["--seed", "-1"], "--seed: expected 0 or more, got -1"),
        (["--out", "/"], "/: expected a file to write, got a folder"),
        (["--out", "RUNS/none/x.md"], "RUNS/none/x.md: expected a file in a folder that exists"),
        (["--out", "RUNS/a/scores.json"], "RUNS/a/scores.json: expected a file of its own, outside run folders"),
    ],
)
def test_wrong_words_get_one_line(
    words: list[str], message: str, runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", f"{runs}/a", f"{runs}/b", *(word.replace("RUNS", runs) for word in words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"boxlist: {message.replace('RUNS', runs)}")
    assert captured.err.count("\n") == 1


def test_no_heavy_library_is_imported(runs: str) -> None:
    heavy = ("torch", "transformers", "lmms_eval", "peft", "datasets", "scipy")
    code = (
        "import sys\nfrom boxlist.cli import main\n"
        f"main(['leaderboard', {runs!r}])\nmain(['leaderboard', {runs!r}, '--format', 'html'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
