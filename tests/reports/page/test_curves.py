"""Curves against the figures that the run itself was scored with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from boxlist.errors import InputError
from boxlist.reports.page import curves
from boxlist.reports.page.answered import DocumentShelf, from_run
from boxlist.reports.page.curves import IOU_THRESHOLDS, read_curves
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.metrics.columns import Columns

SHAPES = "boxlist_dense_bbox_shapes"


@pytest.mark.parametrize("block", [5, 1024])
def test_f1_at_the_thresholds_of_the_scores_is_the_scores(
    fake_runs: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "BLOCK_IMAGES", block)
    run = read_saved_run(fake_runs / "r4-raw")
    task = run.tasks[SHAPES]
    found = read_curves(from_run(run, task, DocumentShelf()), task)
    for threshold in (0.3, 0.5):
        assert found.f1[threshold == IOU_THRESHOLDS] == pytest.approx(task.figures[f"f1@{threshold}"]["value"])
    assert (np.diff(found.f1) <= 0).all()
    assert found.records.sum() == task.columns["n_pred"].sum()
    assert found.hits.sum() == task.columns["tp@0.3"].sum()
    assert found.repeats.sum() == _duplicates(task.columns)
    assert found.records[0] == np.count_nonzero(task.columns["n_pred"])


def _duplicates(columns: Columns) -> float:
    return float(np.round(columns["duplicate_rate"] * columns["n_pred"]).sum())


def test_answers_that_were_not_scored_are_refused(tmp_path: Path, save_fake: Callable[..., Path]) -> None:
    path = save_fake(tmp_path / "run")
    answers = path / "answers.jsonl"
    answers.write_text(answers.read_text().replace("bbox_2d", "bbox_3d"))
    run = read_saved_run(path)
    task = run.tasks[SHAPES]
    with pytest.raises(InputError, match=r"expected answers with the \d+ hits of the scores, got 0 hits"):
        read_curves(from_run(run, task, DocumentShelf()), task)
