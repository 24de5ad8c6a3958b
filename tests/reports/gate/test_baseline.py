"""The baseline file: what it holds, and that only like replaces like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from boxlist.errors import InputError
from boxlist.reports.gate.acceptance import Accepted, accept_run
from boxlist.reports.gate.baseline import read_baseline, write_baseline
from boxlist.reports.gate.plan import read_plan
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"


def test_what_is_written_is_read_back(save_run: Callable[..., Path], tmp_path: Path) -> None:
    run = read_saved_run(save_run("good", [1, 2, 3], image_ids=["a", 2, "\u00e9\n"]))
    run.tasks[TASK].columns["tp@0.3"][1] = np.nan
    path = tmp_path / "baseline.json"
    write_baseline(path, run, [TASK])
    again = read_baseline(path)
    before, after = run.tasks[TASK], again.tasks[TASK]
    assert (again.name, again.path, after.image_ids, after.terms) == ("good", path, before.image_ids, before.terms)
    assert after.metrics == before.metrics
    assert after.columns.keys() == before.columns.keys()
    for name, column in before.columns.items():
        np.testing.assert_array_equal(after.columns[name], column)
    assert '    "tp@0.3": [1, null, 3],\n' in path.read_text(), "a line a column"


def test_runs_and_scores_files_are_baselines_too(save_run: Callable[..., Path]) -> None:
    folder = save_run("good", [1, 2, 3])
    assert read_baseline(folder).name == "good"
    assert TASK in read_baseline(folder / "scores.json").tasks
    for path in (folder, folder / "scores.json"):
        with pytest.raises(InputError, match="expected a baseline file, which --accept may replace, got a run or"):
            write_baseline(path, read_saved_run(folder), [TASK])


def edited(data: dict[str, Any], **task: Any) -> dict[str, Any]:
    return {**data, "tasks": {TASK: {**data["tasks"][TASK], **task}}}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: {**data, "schema": 2}, "expected schema 1, got 2"),
        (lambda data: {**data, "tasks": []}, "expected a baseline, got Expected `object`, got `array`"),
        (lambda data: edited(data, image_ids=[1, 2]), "expected a value an image in every column, got other lengths"),
        (lambda data: edited(data, image_ids=[1, 1, 2]), "got other lengths"),
        (lambda data: edited(data, columns={}), "got other lengths"),
        (lambda data: edited(data, columns={"n_gt": ["x", 1, 2]}), "expected a baseline, got Expected `float | null`"),
    ],
)
def test_broken_baselines_are_refused(
    save_run: Callable[..., Path], tmp_path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, read_saved_run(save_run("good", [1, 2, 3])), [TASK])
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=f"baseline.json.*{message}"):
        read_baseline(path)


def test_a_cut_baseline_is_refused(save_run: Callable[..., Path], tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(path, read_saved_run(save_run("good", [1, 2, 3])), [TASK])
    path.write_text(path.read_text()[:-20])
    with pytest.raises(
        InputError, match=r"expected a baseline, got Input data was truncated\. Restore it from version"
    ):
        read_baseline(path)


def test_accepting_says_what_changed(save_run: Callable[..., Path], write_gate: Callable[..., Path]) -> None:
    plan = read_plan(write_gate())
    good, better = (read_saved_run(save_run(name, [tp] * 4)) for name, tp in (("good", 5), ("better", 8)))
    assert accept_run(plan, good)[0] == Accepted(TASK, "f1@0.3", None, 0.5)
    changes = accept_run(plan, better)
    assert changes == [
        Accepted(TASK, "f1@0.3", 0.5, 0.8),
        Accepted(TASK, "parse_valid", 1.0, 1.0),
        Accepted(TASK, "max_repeat", 1.0, 1.0),
    ]
    assert plan.baseline is not None
    assert read_baseline(plan.baseline).name == "better"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"images": "e" * 64}, r"the same images, .* If that is on purpose, delete .*baseline.json and accept again\."),
        ({"prompt": "e" * 64}, "the same prompt"),
        ({"protocol": "pixel_xyxy"}, "the same protocol"),
        ({"task": "other"}, f"task '{TASK}': expected one of other"),
        ({"metrics": ("f1@0.3",)}, r"parse_valid: expected a metric that it has, got none\. Those are f1@0.3\."),
    ],
)
def test_only_like_replaces_like(
    save_run: Callable[..., Path], write_gate: Callable[..., Path], other: dict[str, Any], message: str
) -> None:
    plan = read_plan(write_gate())
    accept_run(plan, read_saved_run(save_run("good", [5] * 4)))
    assert plan.baseline is not None
    before = plan.baseline.read_bytes()
    with pytest.raises(InputError, match=message):
        accept_run(plan, read_saved_run(save_run("other", [5] * 4, **other)))
    assert plan.baseline.read_bytes() == before
    assert [path.name for path in plan.baseline.parent.iterdir() if path.name.startswith(".")] == []


def test_a_plan_without_a_baseline_accepts_nothing(
    save_run: Callable[..., Path], write_gate: Callable[..., Path]
) -> None:
    plan = read_plan(write_gate(f"tasks: {{{TASK}: {{limits: {{parse_valid: {{at_least: 1}}}}}}}}"))
    with pytest.raises(InputError, match=r"gate.yaml: expected a baseline to write, got none\."):
        accept_run(plan, read_saved_run(save_run("good", [5] * 4)))
