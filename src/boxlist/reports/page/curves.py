"""What only the answers tell, over all images: F1 at any IoU threshold, and what becomes of each place in a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.boxes import BLOCK_IMAGES
from boxlist.reports.page.fates import HIT_IOU, record_fates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxlist.reports.page.answered import Answered
    from boxlist.reports.saved_runs import SavedTask

IOU_THRESHOLDS = np.arange(30, 96, 5) / 100
MAX_PLACES = 200
"""Records after the 200th of an answer are counted with it; no figure shows so many."""


class Curves(NamedTuple):
    """`f1` `(T,)` at `IOU_THRESHOLDS`, NaN where there is nothing; records, hits, repeats `(MAX_PLACES,)` by place."""

    n_images: int
    f1: NDArray[np.float64]
    records: NDArray[np.int64]
    hits: NDArray[np.int64]
    repeats: NDArray[np.int64]


def read_curves(answered: Answered, task: SavedTask) -> Curves:
    """Count over all answers, a block in memory at a time.

    Raises `InputError` when the answers' true positives are not those of the scores.
    """
    true_positives = np.zeros(len(IOU_THRESHOLDS), dtype=np.int64)
    by_place = np.zeros((3, MAX_PLACES), dtype=np.int64)
    n_boxes = 0
    for start in range(0, len(answered.image_ids), BLOCK_IMAGES):
        ids = answered.image_ids[start : start + BLOCK_IMAGES]
        fates = record_fates(list(answered.answers(ids)), [answered.truth(i) for i in ids], answered.protocol)
        true_positives += (fates.iou[fates.hits] >= IOU_THRESHOLDS[:, None]).sum(axis=1)
        n_boxes += len(fates.place) + int(fates.n_gt.sum())
        place = np.minimum(fates.place, MAX_PLACES - 1)
        for row, chosen in enumerate((place, place[fates.hits], place[fates.repeats])):
            by_place[row] += np.bincount(chosen, minlength=MAX_PLACES)
    scored = task.columns.get(f"tp@{HIT_IOU}", np.array([np.nan])).sum()
    if scored != true_positives[0]:
        raise InputError(
            f"task {task.name}",
            expected=f"answers with the {scored:g} hits of the scores",
            got=f"{true_positives[0]} hits",
            remedy="Score these answers again.",
        )
    f1 = 2 * true_positives / n_boxes if n_boxes else np.full(len(IOU_THRESHOLDS), np.nan)
    return Curves(len(answered.image_ids), f1, *by_place)
