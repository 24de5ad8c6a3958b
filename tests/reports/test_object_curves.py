"""`boxlist by-objects`: the figures of runs by the number of objects, as a table and as JSON."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

import pytest

from boxlist.cli import main
from boxlist.metrics.by_objects import CURVE_METRICS
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import task_scores
from boxlist.metrics.table import definitions_sha256

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = (1, 1, 4, 4, 30)


def save_scores(path: Path, task: str = "boxes", metrics: tuple[str, ...] = CURVE_METRICS) -> Path:
    """Half of each image's objects found, rounded down; the image of 30 repeats and breaks off."""
    rows = [
        {
            "image_id": number,
            "n_gt": count,
            "n_pred": count,
            "tp@0.3": count // 2,
            "tp@0.5": count // 4,
            "duplicate_rate": 0.25 if count == 30 else 0.0,
            "max_repeat": 8 if count == 30 else 1,
            "parse_valid": count != 30,
        }
        for number, count in enumerate(COUNTS)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)
        scores = task_scores(rows, metrics)
    text = json.dumps({"schema": 1, "definitions_sha256": definitions_sha256(), "tasks": {task: scores}})
    path.write_text(text)
    return path


def test_a_table_a_run_with_a_row_a_bin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = save_scores(tmp_path / "one.json"), save_scores(tmp_path / "two.json")
    assert main(["by-objects", str(one), str(two)]) == 0
    shown = capsys.readouterr()
    assert shown.err == "boxlist: warning: in bins of under 30 images intervals are narrower than they should be\n"
    first, second = shown.out.split("\n\n")
    assert first.replace("one:", "two:") == second.rstrip("\n")
    lines = first.splitlines()
    assert lines[0] == "one: boxes"
    heads = lines[1].split("  ")
    assert [head.strip() for head in heads if head] == [
        "row",
        *(f"{name} [95%]" if name != "max_repeat" else name for name in CURVE_METRICS),
    ]
    wanted = "1 object, 2 images 0.000 [0.000, 0.000] 0.000 [0.000, 0.000] 0.000 [0.000, 0.658] 1 1.000 [0.342, 1.000]"
    assert " ".join(lines[3].split()) == wanted
    assert lines[5].startswith("30 objects, 1 image ")
    assert " 0.500 [" in lines[5]


def test_bins_may_be_chosen_and_the_rest_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_scores(tmp_path / "one.json")
    assert main(["by-objects", str(path), "--bins", "2, 20", "--json"]) == 0
    (curve,) = json.loads(capsys.readouterr().out)["curves"]
    assert (curve["run"], curve["task"]) == ("one", "boxes")
    assert [(each["low"], each["high"], each["mean"], each["n_images"]) for each in curve["bins"]] == [
        (4, 4, 4.0, 2),
        (30, 30, 30.0, 1),
    ]
    assert curve["bins"][1]["figures"]["max_repeat"]["value"] == 8
    assert curve["bins"][0]["figures"]["f1@0.5"]["value"] == 0.25


@pytest.mark.parametrize(("text", "said"), [("1;2", "--bins: expected whole numbers"), ("5,1", "bins: expected asc")])
def test_bins_that_cannot_be_read_are_refused(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["by-objects", str(save_scores(tmp_path / "one.json")), "--bins", text]) == 2
    assert said in capsys.readouterr().err


def test_runs_without_boxes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_scores(tmp_path / "one.json", metrics=("parse_valid",))
    assert main(["by-objects", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"boxlist: {path}: expected a task with f1@0.3, f1@0.5, duplicate_rate, max_repeat, ")
    assert said.endswith("got none. Give runs of a box probe.\n")
