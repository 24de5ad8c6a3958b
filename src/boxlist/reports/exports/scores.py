"""scores.json, for what compares runs: of lmms-eval's samples it makes a file that stands beside run folders."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.summary import task_scores
from boxlist.metrics.table import definitions_sha256
from boxlist.tasks.datasets.catalog import dataset_sha256, documents
from boxlist.tasks.probes import score_rows

if TYPE_CHECKING:
    from boxlist.reports.exports.source import Source

SCHEMA = 1
NOT_IN_SAMPLES = (
    "lmms-eval's samples do not say which weights, adapter, prompt and controls made them, nor how each answer of a "
    "model that is not boxlist's ended: what compares runs cannot check those"
)


def source_scores(source: Source) -> dict[str, Any]:
    """The content of scores.json, with the seed of the run, or 0."""
    rows = score_rows(source.probe, source.answers, source.documents, source.protocol)
    seed = int(source.run.get("seed", 0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)  # `few_images` in the scores says it
        task = task_scores(rows, source.probe.metrics, seed)
    truth = dataset_sha256(source.probe.dataset, "test")
    return {
        "schema": SCHEMA,
        "definitions_sha256": definitions_sha256(),
        "protocol": source.protocol.name,
        "seed": seed,
        "tasks": {source.probe.task: {**task, "ground_truth_sha256": truth}},
    }


def scores_file(source: Source) -> tuple[dict[str, Any], list[str]]:
    """The scores, and a line that says for how many images of the data set."""
    known = len(documents(source.probe.dataset, "test"))
    missing = known - len(source.answers)
    notes = [f"{len(source.answers)} of {known} images have an answer"] if missing else []
    return source_scores(source), notes if source.run else [*notes, NOT_IN_SAMPLES]
