"""From the answers on disk to `scores.json`: no torch, no lmms-eval, the same for live and replayed runs."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import task_scores
from boxlist.metrics.table import definitions_sha256
from boxlist.tasks.probes import score_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from boxlist.protocols import Protocol
    from boxlist.runs.folder import RunFolder
    from boxlist.runs.inputs import TaskPlan


def score_answers(folder: RunFolder, plans: Mapping[str, TaskPlan], protocol: Protocol, seed: int) -> dict[str, Any]:
    """The content of `scores.json`. Answers are taken in the order of the documents, whatever order they came in."""
    tasks = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)  # `few_images` in the scores says it
        for name, plan in plans.items():
            rows = score_rows(plan.probe, list(_given(folder, plan)), plan.documents, protocol)
            tasks[name] = task_scores(rows, plan.probe.metrics, seed)
    return {"definitions_sha256": definitions_sha256(), "seed": seed, "tasks": tasks}


def _given(folder: RunFolder, plan: TaskPlan) -> Iterator[GivenAnswer]:
    for answer in folder.answers.read([question.key for question in plan.questions]):
        yield GivenAnswer(
            image_id=answer.image_id,
            text=answer.text,
            triggered=answer.triggered,
            frame_wh_px=answer.frame_wh_px,
            tokens=answer.tokens,
        )
