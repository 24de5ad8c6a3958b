"""What became of each record: matched to a ground truth, an exact repeat of an earlier one, or false.

The same matching as the scores': greedy, one-to-one, at the lowest threshold, 0.3. The matches at a higher threshold
are those of them whose IoU reaches it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from boxlist.metrics.boxes import THRESHOLDS, flat_truths, to_pixels
from boxlist.metrics.bulk_reading import LabelNumbers, read_answers
from boxlist.metrics.matching import overlaps, take_greedily
from boxlist.metrics.repetition import first_copies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import GivenAnswer, GroundTruth
    from boxlist.protocols import Protocol

HIT_IOU = min(THRESHOLDS)
Fate = Literal["hit", "false", "repeat"]


class Fates(NamedTuple):
    """All P records of some answers, in order, and all G ground truths of their images.

    `image` and `place` `(P,)` say which answer and where in it; `iou` is that of the match, NaN without one; `truth`
    the ground truth's index, -1 without one; `first` the index of the first record equal to it, its own if none
    is. `found` `(G,)` are the ground truths that have a match, `n_gt` `(A,)` how many each image has.
    """

    image: NDArray[np.int64]
    place: NDArray[np.int64]
    boxes_xyxy_px: NDArray[np.float64]
    iou: NDArray[np.float64]
    truth: NDArray[np.int64]
    first: NDArray[np.int64]
    found: NDArray[np.bool_]
    n_gt: NDArray[np.int64]

    @property
    def hits(self) -> NDArray[np.bool_]:
        return self.truth >= 0

    @property
    def repeats(self) -> NDArray[np.bool_]:
        """Records that say again what one before them said, and match nothing."""
        again: NDArray[np.bool_] = (self.first != np.arange(len(self.first))) & ~self.hits
        return again

    def fates(self) -> list[Fate]:
        """The fate of each record."""
        return [
            "hit" if hit else "repeat" if repeat else "false"
            for hit, repeat in zip(self.hits.tolist(), self.repeats.tolist(), strict=True)
        ]


def record_fates(given: Sequence[GivenAnswer], truths: Sequence[GroundTruth], protocol: Protocol) -> Fates:
    """The fates of the records of answers to images; `truths` are those images', in the same order."""
    numbers = LabelNumbers()
    read = read_answers([answer.text for answer in given], protocol, numbers)
    boxes = to_pixels(read, given, truths, protocol)
    truth_boxes, truth_labels, n_gt = flat_truths(truths, numbers)
    image = np.repeat(np.arange(len(given)), read.counts)
    truth_image = np.repeat(np.arange(len(given)), n_gt)
    keys, truth_keys = (
        images * (len(numbers) or 1) + labels for images, labels in ((image, read.labels), (truth_image, truth_labels))
    )
    one_part = np.zeros(len(keys), dtype=bool)
    matches = take_greedily(overlaps(boxes, truth_boxes, keys, truth_keys, one_part, HIT_IOU).candidates)
    iou, truth = np.full(len(keys), np.nan), np.full(len(keys), -1)
    iou[matches.prediction], truth[matches.prediction] = matches.iou, matches.truth
    found = np.zeros(len(truth_keys), dtype=bool)
    found[matches.truth] = True
    return Fates(
        image=image,
        place=np.arange(len(keys)) - np.repeat(np.cumsum(read.counts) - read.counts, read.counts),
        boxes_xyxy_px=boxes,
        iou=iou,
        truth=truth,
        first=first_copies(keys, read.coordinates),
        found=found,
        n_gt=n_gt,
    )
