"""Rows made from the answers of another run, without a model."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DENSE = "boxlist_dense_bbox_shapes"
ONE = '{"bbox_2d": [1, 2, 30, 40], "label": "red circle"}'
TWO = '{"bbox_2d": [50, 60, 70, 80], "label": "blue star"}'


@pytest.fixture
def raw(unbroken: Path, tmp_path: Path) -> Path:
    """A copy of the finished run whose first two answers are a list that repeats, and one that does not."""
    source = shutil.copytree(unbroken, tmp_path / "raw")
    answers = read(source)
    answers[0]["text"] = f"[{ONE}, {TWO}, {ONE}, {ONE}]"
    answers[1]["text"] = f"[{ONE}, {TWO}]"
    for answer in answers[2:]:
        answer["text"] = "[]"
    (source / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    return source


def read(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def edit_run(folder: Path, **rows: object) -> None:
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, **rows}))


def replay(source: Path, *more: str, controls: str = "repeat_stop") -> int:
    return main(["replay", str(source), "--controls", controls, *more])


def test_a_repeating_answer_is_cut_and_the_others_stay(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    assert replay(raw, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    made = raw.with_name("raw+repeat_stop")
    assert printed["run"] == str(made)
    first, second, *_ = read(made)
    assert (first["text"], first["triggered"], first["finish"], first["tokens"]) == (
        f"[{ONE}, {TWO}]",
        True,
        "repeat_stop",
        None,
    )
    assert second == read(raw)[1]
    metrics = json.loads((made / "scores.json").read_text())["tasks"][DENSE]["metrics"]
    assert metrics["trigger_rate"]["value"] == 1 / 8
    assert metrics["duplicate_rate"]["value"] == 0
    assert metrics["max_repeat"]["value"] == 1
    assert metrics["predictions_per_image"]["value"] == 4 / 8
    run = json.loads((made / "run.json").read_text())
    assert run["controls"] == {"repeat_stop": True}
    assert run["tasks"][DENSE]["generation_kwargs"]["repeat_stop"] is True
    assert run["replayed_from"]["path"] == str(raw)
    assert (run["status"], run["answers"], run["tokens"], run["wall_seconds"]) == ("complete", 8, None, None)
    assert {path.name: path.read_bytes() for path in raw.iterdir() if path.name != ".lock"}.items() <= before.items()


def test_replaying_again_writes_the_same(raw: Path) -> None:
    assert replay(raw) == 0
    made = raw.with_name("raw+repeat_stop")
    before = {path.name: path.read_bytes() for path in made.iterdir() if path.name != ".lock"}
    assert replay(raw) == 0
    assert {path.name: path.read_bytes() for path in made.iterdir() if path.name != ".lock"} == before


def test_a_budget_of_the_source_stays_in_the_row(raw: Path) -> None:
    prompt = json.loads((raw / "run.json").read_text())["tasks"]
    edit_run(raw, controls={"repetition_penalty": 1.05}, tasks=with_kwargs(prompt, repetition_penalty=1.05))
    assert replay(raw, "--name", "both", controls="repetition_penalty=1.05,repeat_stop") == 0
    run = json.loads((raw.with_name("both") / "run.json").read_text())
    assert run["controls"] == {"repetition_penalty": 1.05, "repeat_stop": True}


def with_kwargs(tasks: dict[str, Any], **kwargs: object) -> dict[str, Any]:
    return {
        name: {**task, "generation_kwargs": {**task["generation_kwargs"], **kwargs}} for name, task in tasks.items()
    }


@pytest.mark.parametrize(
    ("rows", "kwargs", "controls", "said"),
    [
        (
            {"status": "running"},
            {},
            "repeat_stop",
            "expected a finished run, got status running. Let its command finish",
        ),
        (
            {"controls": {"repeat_stop": True}},
            {"repeat_stop": True},
            "repeat_stop",
            "expected answers that nothing cut, got a run with repeat_stop. Replay a run without.",
        ),
        (
            {},
            {},
            "budget=8,repeat_stop",
            (
                "controls budget=8,repeat_stop: expected controls on the list on top of raw, got budget, which changes "
                "what is generated. Use boxlist run for it."
            ),
        ),
        ({}, {}, "repetition_penalty=1.05", "got repetition_penalty, which changes what is generated"),
        ({}, {}, "raw", "on top of raw, got nothing to replay. Pass --controls repeat_stop."),
        ({}, {}, "max_items=2,repeat_skip", None),
        ({}, {"do_sample": True, "temperature": 0.7}, "repeat_stop", "expected greedy answers, got sampling or beams"),
        ({}, {"num_beams": 4}, "repeat_stop", "expected greedy answers, got sampling or beams"),
        ({"base": None}, {}, "repeat_stop", None),
    ],
    ids=["unfinished", "cut already", "budget", "penalty", "nothing", "others", "sampling", "beams", "fine"],
)
def test_what_would_not_be_exact_is_refused(
    raw: Path,
    capsys: pytest.CaptureFixture[str],
    rows: dict[str, object],
    kwargs: dict[str, object],
    controls: str,
    said: str | None,
) -> None:
    tasks = json.loads((raw / "run.json").read_text())["tasks"]
    edit_run(raw, tasks=with_kwargs(tasks, **kwargs), **rows)
    assert replay(raw, controls=controls) == (0 if said is None else 2)
    errors = capsys.readouterr().err
    if said is not None:
        assert said in errors
        assert errors.count("\n") == 1
        assert not raw.with_name("raw+repeat_stop").exists()


def test_only_a_replay_of_the_same_run_is_written_over(
    raw: Path, unbroken: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copytree(unbroken, raw.with_name("own"))
    before = (own / "scores.json").read_bytes()
    assert replay(raw, "--name", "own") == 2
    assert capsys.readouterr().err == (
        f"boxlist: {own}: expected a new name, or an earlier replay of {raw}, got a run of its own. "
        "Take another --name.\n"
    )
    assert (own / "scores.json").read_bytes() == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(tmp_path / "nowhere") == 2
    assert capsys.readouterr().err == (
        f"boxlist: {tmp_path / 'nowhere'}: expected a run folder with run.json, got none. "
        "Give a folder that boxlist run wrote.\n"
    )


def test_a_run_does_not_continue_a_replay(
    raw: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(raw, "--name", "made") == 0
    capsys.readouterr()
    assert main(run_words(raw.parent, "made", "--controls", "repeat_stop")) == 2
    assert "got replayed_from answers_sha256: " in capsys.readouterr().err


def test_a_source_that_lost_answers_is_refused(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = (raw / "answers.jsonl").read_text().splitlines(keepends=True)
    (raw / "answers.jsonl").write_text(first)
    assert replay(raw) == 2
    assert capsys.readouterr().err == (f"boxlist: {raw}: expected 8 answers, got 1. Repeat its command to ask again.\n")
    assert not raw.with_name("raw+repeat_stop").exists()
