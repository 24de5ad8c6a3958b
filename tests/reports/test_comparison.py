"""`boxlist compare`: its facts, its texts and its refusals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from boxlist.cli import main
from boxlist.errors import InputError
from boxlist.reports.comparison import compare_runs
from boxlist.reports.comparison_text import to_json, to_markdown, to_terminal
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.reports.comparison import Comparison

TASK = "boxlist_dense_bbox_shapes"
TP = [5, 6, 7, 8] * 10


def changed(by: int, images: int = 40) -> list[int]:
    return [tp + (by if place < images else 0) for place, tp in enumerate(TP)]


@pytest.fixture
def runs(save_run: Callable[..., Path]) -> tuple[Path, Path]:
    """Two runs of 40 images of which the second finds 2 objects less in each of the first 20, and repeats in one."""
    repeats = [9] + [1] * 39
    return save_run("a", TP), save_run("b", changed(-2, 20), max_repeat=repeats, controls={"budget": 8})


def compared(a: Path, b: Path, by: str | None = None, n_images: int = 10) -> Comparison:
    return compare_runs(read_saved_run(a), read_saved_run(b), by=by, n_images=n_images)


def test_figures_and_images(runs: tuple[Path, Path]) -> None:
    comparison = compared(*runs)
    (task,) = comparison.tasks
    assert (task.name, task.n, task.n_changed, task.by, task.few_images) == (TASK, 40, 20, "f1@0.3", False)
    assert task.metrics["f1@0.3"]["difference"] == pytest.approx(-2 * 40 / 800)
    assert task.metrics["f1@0.3"]["p"] == pytest.approx(1 / 10_001)
    assert comparison.differs == ["controls budget: none -> 8"]
    assert len(task.changed_most) == 10
    first = task.changed_most[0]
    # 2 * 2 hits of 800 records and truths were lost in it, as in 19 others: together the difference of -0.1
    assert first.image_id == 1
    assert first.effect == pytest.approx(-2 * 2 / 800)
    assert first.why == ["found at IoU 0.3: 5 -> 3 of 10", "copies of one record: 1 -> 9"]


def test_images_may_be_ranked_by_another_metric(runs: tuple[Path, Path]) -> None:
    (task,) = compared(*runs, by="max_repeat", n_images=1).tasks
    assert [(image.image_id, image.effect) for image in task.changed_most] == [(1, 8.0)]
    with pytest.raises(InputError, match=r"metric 'count_mae': expected one of f1@0.3, max_repeat, "):
        compared(*runs, by="count_mae")


def test_terminal(runs: tuple[Path, Path]) -> None:
    lines = to_terminal(compared(*runs)).splitlines()
    assert lines[0].startswith("A: a (")
    assert lines[2:5] == ["differs: controls budget: none -> 8", "", f"{TASK}: 40 images, 20 changed"]
    assert lines[5].split() == ["metric", "A", "B", "B", "-", "A", "95%", "interval", "p", "would", "show"]
    f1 = lines[6].split()
    assert (f1[0], f1[1:4], f1[-2:]) == ("f1@0.3", ["0.650", "0.550", "-0.100"], ["B", "worse"])
    assert lines[9].split() == ["max_repeat", "1", "9", "+8"]
    assert "  1    -0.0050  found at IoU 0.3: 5 -> 3 of 10; copies of one record: 1 -> 9" in lines


def test_nothing_changed(save_run: Callable[..., Path]) -> None:
    text = to_terminal(compared(save_run("a", TP), save_run("b", TP)))
    assert "No image changed." in text
    assert "-0.000" not in text
    assert "1.000" in text


def test_json_has_everything(runs: tuple[Path, Path]) -> None:
    data = json.loads(json.dumps(to_json(compared(*runs)), allow_nan=False))
    assert (data["schema"], data["a"]["name"], data["resamples"], data["permutations"]) == (1, "a", 1000, 10_000)
    task = data["tasks"][TASK]
    assert set(task["metrics"]["f1@0.3"]) == {"a", "b", "difference", "ci_low", "ci_high", "p", "detectable", "n"}
    assert task["changed_most"][0]["why"][0] == "found at IoU 0.3: 5 -> 3 of 10"


def test_ids_and_names_are_escaped(save_run: Callable[..., Path]) -> None:
    ids = ["<img src=x>|\x1b[31m\n# x", *range(2, 41)]
    a, b = save_run("a", TP, image_ids=ids), save_run("b", changed(1, 1), image_ids=ids, name="`b`<b>")
    comparison = compared(a, b)
    markdown = to_markdown(comparison)
    assert "&lt;img src=x&gt;\\|" in markdown
    assert "\\`b\\`&lt;b&gt;" in markdown
    for text in (markdown, to_terminal(comparison)):
        assert "\x1b" not in text
        assert not any(line.startswith("# x") for line in text.splitlines())


def test_the_command(runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", *map(str, runs)]
    assert main([*words, "--json", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["seed"] == 3
    assert captured.err == ""
    assert main([*words, "--markdown", str(tmp_path / "out.md"), "--images", "1"]) == 0
    assert (tmp_path / "out.md").read_text().startswith("A: a (")
    assert "Changed most" in capsys.readouterr().out


def test_few_images_warn(save_run: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(save_run("a", [1, 2])), str(save_run("b", [2, 2]))]) == 0
    assert capsys.readouterr().err == (
        f"boxlist: warning: under 30 images intervals are narrower than they should be: {TASK} has 2\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{a}", "{a}/nowhere"], "nowhere: expected a run folder, or a file of boxlist score"),
        (["{a}", "{b}", "--seed", "-1"], "--seed: expected 0 or more, got -1."),
        (["{a}", "{b}", "--by", "f1"], "metric 'f1': expected one of "),
        (["{a}", "{b}", "--mix", "images"], "compare: argument --mix: invalid choice: 'images'"),
        (
            ["{a}", "{b}", "--markdown", "{a}/x.md"],
            "x.md: expected a file of its own, outside run folders, got a place",
        ),
        (["{a}", "{b}", "--markdown", "{a}"], "expected a file to write, got a folder. Name a file in it."),
        (["{a}", "{b}", "--markdown", "/nowhere/x.md"], "expected a file in a folder that exists, got no such folder."),
    ],
)
def test_refusals_are_one_line(
    words: list[str], message: str, runs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *(word.format(a=runs[0], b=runs[1]) for word in words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert sorted(path.name for path in runs[0].iterdir()) == ["run.json", "scores.json"]
