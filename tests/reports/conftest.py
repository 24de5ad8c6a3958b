"""Saved runs in the form that boxlist writes them, with whatever outcome a test needs."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import task_scores
from boxlist.metrics.table import definitions_sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"
SAVED_METRICS = ("f1@0.3", "parse_valid", "predictions_per_image", "max_repeat")


@pytest.fixture
def save_run(tmp_path: Path) -> Callable[..., Path]:
    """`save_run(name, tp)`: a finished run folder under `runs/`; image i of 10 truths and 10 records has `tp[i]` hits.

    `parse_valid` and `max_repeat` are one value an image; `image_ids` count from 1; `run` overrides rows of `run.json`
    and `task` its one task.
    """

    def save(
        folder_name: str,
        tp: Sequence[int],
        *,
        task: str = TASK,
        parse_valid: Sequence[bool] | None = None,
        max_repeat: Sequence[int] | None = None,
        image_ids: Sequence[int | str] | None = None,
        metrics: Sequence[str] = SAVED_METRICS,
        prompt: str = "p" * 64,
        images: str = "d" * 64,
        definitions: str | None = None,
        **run: Any,
    ) -> Path:
        ids = image_ids or range(1, len(tp) + 1)
        valid, repeats = parse_valid or [True] * len(tp), max_repeat or [1] * len(tp)
        rows = [
            {"image_id": image, "tp@0.3": hits, "n_pred": 10, "n_gt": 10, "parse_valid": ok, "max_repeat": copies}
            for image, hits, ok, copies in zip(ids, tp, valid, repeats, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewImagesWarning)
            scores = task_scores(rows, metrics)
        folder = tmp_path / "runs" / folder_name
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(
            json.dumps(
                {"schema": 1, "definitions_sha256": definitions or definitions_sha256(), "tasks": {task: scores}},
                indent=1,
            )
        )
        row = {
            "schema": 1,
            "name": folder.name,
            "status": "complete",
            "base": {"path": "org/base", "weights_sha256": "b" * 64},
            "adapter": None,
            "protocol": "norm1000_xyxy",
            "controls": {},
            "tasks": {task: {"prompt_sha256": prompt, "dataset": {"sha256": images}}},
            **run,
        }
        (folder / "run.json").write_text(json.dumps(row))
        return folder

    return save
