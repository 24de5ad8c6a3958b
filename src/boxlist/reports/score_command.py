"""`boxlist score`: any model's saved answers against a COCO ground truth, as a scores.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boxlist
from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.coco import read_coco
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.metrics.saved_answers import read_saved_answers
from boxlist.metrics.summary import task_scores
from boxlist.metrics.table import definitions_sha256
from boxlist.protocols import protocol_named
from boxlist.reports.output_files import check_output
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.whole_files import write_json

SCHEMA = 1


def score_files(
    answers_path: str | Path,
    ground_truth_path: str | Path,
    protocol_name: str,
    out_path: str | Path,
    seed: int = 0,
    *,
    task: str | None = None,
    drop_invalid: bool = False,
) -> dict[str, Any]:
    """Score saved answers, write `out_path`, and return what was written.

    The task is called `task`, or else as the answers file without its ending. Everything is checked before anything
    is written, and the file appears whole or not at all. Raises `InputError` for whatever is wrong with the input.
    """
    answers_path, ground_truth_path, out_path = Path(answers_path), Path(ground_truth_path), Path(out_path)
    protocol = protocol_named(protocol_name)
    check_output(out_path, (answers_path, ground_truth_path))
    truth = read_coco(ground_truth_path, drop_invalid=drop_invalid)
    saved = read_saved_answers(answers_path, truth.truths)
    rows = score_boxes(saved.answers, truth.truths, protocol)
    scores = {
        "schema": SCHEMA,
        "boxlist": boxlist.__version__,
        "definitions_sha256": definitions_sha256(),
        "protocol": protocol.name,
        "tasks": {
            task or answers_path.stem: {
                **task_scores(rows, DENSE_BOX_METRICS, seed),
                "ground_truth_sha256": file_sha256(ground_truth_path),
                "missing_answers": saved.missing,
                "crowd_left_out": truth.crowd_left_out,
                "invalid_left_out": truth.invalid_left_out,
            }
        },
    }
    write_json(out_path, scores)
    return scores
