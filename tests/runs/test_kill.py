"""Runs that are killed, stopped, resumed and watched, as real processes on the pocket checkpoint."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest

from boxlist.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    Start = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


def lines(answers: Path) -> list[str]:
    """The whole lines of an answers file that may be growing."""
    return answers.read_text(encoding="ascii").split("\n")[:-1] if answers.exists() else []


def signal_after(process: subprocess.Popen[str], answers: Path, count: int, number: signal.Signals) -> None:
    """Send a signal as soon as `count` answers are on disk."""
    while len(lines(answers)) < count:
        try:
            process.wait(timeout=0.002)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the run ended before {count} answers: {process.communicate()[1]}")
    process.send_signal(number)


def test_killed_again_and_again_it_ends_with_the_scores_of_an_unbroken_run(
    unbroken: Path, run_words: Callable[..., list[str]], start: Start, tmp_path: Path
) -> None:
    answers = tmp_path / "killed" / "answers.jsonl"
    places = np.random.default_rng(20260615).choice(np.arange(1, 6), size=3, replace=False)
    kept: list[str] = []
    for place in sorted(places.tolist()):
        with start(run_words(tmp_path, "killed")) as process:
            signal_after(process, answers, place, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "killed" / "scores.json").exists()
        assert lines(answers)[: len(kept)] == kept, "an answer on disk was lost or computed again"
        kept = lines(answers)
    with answers.open("a") as file:
        file.write(lines(unbroken / "answers.jsonl")[-1][:100])  # what a kill in the middle of a write leaves
    with start(run_words(tmp_path, "killed")) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "the last answer was cut off when the run was killed; it is asked again" in errors
    assert lines(answers)[: len(kept)] == kept
    assert len(lines(answers)) == 8
    assert (tmp_path / "killed" / "scores.json").read_bytes() == (unbroken / "scores.json").read_bytes()
    texts = [
        {(a["image_id"], a["text"]) for a in map(json.loads, lines(folder / "answers.jsonl"))}
        for folder in (unbroken, tmp_path / "killed")
    ]
    assert texts[0] == texts[1]
    run = json.loads((tmp_path / "killed" / "run.json").read_text())
    assert (run["status"], run["answers"], run["sessions"]) == ("complete", 8, 4)


def test_a_second_process_is_refused_and_ctrl_c_keeps_the_answers(
    run_words: Callable[..., list[str]],
    start: Start,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "stopped"
    with start(run_words(tmp_path, "stopped", "--limit", "60")) as process:
        signal_after(process, folder / "answers.jsonl", 1, signal.SIGSTOP)
        before = lines(folder / "answers.jsonl")
        assert main(run_words(tmp_path, "stopped", "--limit", "60")) == 2
        assert lines(folder / "answers.jsonl") == before
        process.send_signal(signal.SIGCONT)
        signal_after(process, folder / "answers.jsonl", 2, signal.SIGINT)
        output, errors = process.communicate()
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"boxlist: {folder}: expected no other boxlist at work in this run folder, got process {process.pid}. "
        "Wait until it ends, or take another --name."
    )
    kept = len(lines(folder / "answers.jsonl"))
    assert 2 <= kept < 60
    assert process.returncode == 130
    assert output == ""
    assert errors.splitlines()[-1] == (
        f"boxlist: {folder}: stopped with {kept} of 60 answers kept; the same command continues"
    )
    assert "Traceback" not in errors
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
