"""Scoring lists of boxes: from answers and ground truths to one row of columns an image.

What a column means is said where it is computed; `table` says which metrics are made of which. Labels compare
normalised. Boxes are compared in pixels of the original image; repeats in the numbers as the model wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.bulk_reading import LabelNumbers, ReadAnswers, read_answers
from boxlist.metrics.columns import Columns, to_rows
from boxlist.metrics.inputs import GivenAnswer, GroundTruth, ImageId, ImageRow, PointTruth, answers_in_order
from boxlist.metrics.iou import as_boxes, is_possible
from boxlist.metrics.matching import Candidates, Overlaps, overlaps, take_greedily
from boxlist.metrics.near_copies import has_near_copy
from boxlist.metrics.repetition import count_repeats, first_copies
from boxlist.metrics.separability import in_prefix, match_tail_alone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from boxlist.protocols import Protocol

THRESHOLDS = (0.3, 0.5)
BLOCK_IMAGES = 1024
"""Images handled at once: enough to keep numpy busy, few enough for the cache, and memory stays bounded."""


class BoxScores(NamedTuple):
    """The columns of all images, in the order of the ground truths, with their ids and the answers' statuses."""

    image_ids: list[ImageId]
    statuses: list[str]
    tokens: list[int | None]
    columns: Columns

    def rows(self) -> list[ImageRow]:
        """One row an image, ready for JSON."""
        names: dict[str, Sequence[object]] = {"image_id": self.image_ids, "status": self.statuses}
        return to_rows({**names, "tokens": self.tokens}, self.columns)


def score_boxes(
    answers: Iterable[GivenAnswer],
    truths: Mapping[ImageId, GroundTruth] | Sequence[GroundTruth],
    protocol: Protocol,
) -> list[ImageRow]:
    """One row for each ground truth, in their order; an image without an answer has the empty one.

    Raises `InputError` for two answers to one image, an answer to an unknown image, an answer without the frame that
    the protocol needs, a ground truth that is not finite, and a protocol that writes no boxes.
    """
    return score_box_columns(answers, truths, protocol).rows()


def score_box_columns(
    answers: Iterable[GivenAnswer],
    truths: Mapping[ImageId, GroundTruth] | Sequence[GroundTruth],
    protocol: Protocol,
) -> BoxScores:
    """The same as arrays, which `summary.summarise_columns` takes; for many images much faster than rows."""
    if protocol.n_coordinates != 4:
        raise InputError(
            f"protocol {protocol.name}",
            expected="one that writes boxes",
            got="one that writes points",
            remedy="Choose a box protocol such as norm1000_xyxy.",
        )
    wanted = list(truths.values() if isinstance(truths, Mapping) else truths)
    given = answers_in_order(answers, [truth.image_id for truth in wanted])
    numbers = LabelNumbers()
    statuses: list[str] = []
    blocks: list[Columns] = []
    for start in range(0, max(len(wanted), 1), BLOCK_IMAGES):
        block = slice(start, start + BLOCK_IMAGES)
        read = read_answers([answer.text for answer in given[block]], protocol, numbers)
        boxes = to_pixels(read, given[block], wanted[block], protocol)
        statuses += read.statuses
        blocks.append(_columns(read, boxes, wanted[block], numbers))
    columns = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    columns["triggered"] = np.array([answer.triggered for answer in given], dtype=bool)
    return BoxScores([truth.image_id for truth in wanted], statuses, [answer.tokens for answer in given], columns)


def to_pixels(
    read: ReadAnswers,
    given: Sequence[GivenAnswer],
    truths: Sequence[GroundTruth] | Sequence[PointTruth],
    protocol: Protocol,
) -> NDArray[np.float64]:
    """All predictions as `boxes_xyxy_px`, or points `(P, 2)` as x and y in pixels.

    What overflows on the way is not finite, and so an impossible box, or a point outside the image.
    """
    sizes, frames = np.ones((1, 2)), None  # pixels need no size
    if protocol.unit != "pixel":
        sizes = np.array([truth.size_wh_px for truth in truths], dtype=np.float64).reshape(-1, 2)
        sizes = np.repeat(sizes, read.counts, axis=0)
    if protocol.needs_frame:
        frames = np.repeat(_frames(read, given, protocol), read.counts, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        convert = protocol.to_xy_px if protocol.writes_points else protocol.to_xyxy_px
        return convert(read.coordinates, sizes, frames)


def _frames(read: ReadAnswers, given: Sequence[GivenAnswer], protocol: Protocol) -> NDArray[np.float64]:
    """The resized images' sizes `(A, 2)`. An answer without records may do without."""
    for answer, count in zip(given, read.counts.tolist(), strict=True):
        if count and answer.frame_wh_px is None:
            raise InputError(
                f"answer to image {answer.image_id!r}",
                expected=f"the size of the resized image, which protocol {protocol.name} needs",
                got="none",
                remedy='Give each answer its "frame": [width, height], or use another protocol.',
            )
    return np.array([answer.frame_wh_px or (1, 1) for answer in given], dtype=np.float64).reshape(-1, 2)


def _columns(
    read: ReadAnswers, boxes: NDArray[np.float64], truths: Sequence[GroundTruth], numbers: LabelNumbers
) -> Columns:
    truth_boxes, truth_labels, n_gt = flat_truths(truths, numbers)
    counts, n_images = read.counts, len(truths)
    image = np.repeat(np.arange(n_images), counts)
    truth_image = np.repeat(np.arange(n_images), n_gt)
    keys = image * (len(numbers) or 1) + read.labels
    truth_keys = truth_image * (len(numbers) or 1) + truth_labels
    first = first_copies(keys, read.coordinates)
    repeats = count_repeats(first, counts)
    prefix_records = in_prefix(repeats.prefix, counts)
    found = overlaps(boxes, truth_boxes, keys, truth_keys, prefix_records, min(THRESHOLDS))
    near = has_near_copy(keys, boxes, first)
    valid = np.array([status == "valid" for status in read.statuses], dtype=bool)

    def per_image(records: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(image[records], minlength=n_images)

    columns: Columns = {
        "parse_valid": valid,
        "n_pred": counts,
        "n_pred_strict": np.where(valid, counts, 0),
        "n_gt": n_gt,
        "invalid_boxes": per_image(~is_possible(boxes)),
        "mean_max_iou": _share(np.bincount(truth_image, weights=found.best_iou, minlength=n_images), n_gt, np.nan),
        "duplicates": repeats.duplicates,
        "duplicate_rate": _share(repeats.duplicates, counts, 0.0),
        "max_repeat": repeats.max_repeat,
        "near_duplicates": per_image(near),
        "near_duplicate_rate": _share(per_image(near), counts, 0.0),
        "n_tail": counts - repeats.prefix,
    }
    columns.update(_true_positives(found, image, prefix_records, n_images))
    for threshold in THRESHOLDS:
        columns[f"tp@{threshold}_strict"] = np.where(valid, columns[f"tp@{threshold}"], 0)
        columns[f"recall@{threshold}"] = _share(columns[f"tp@{threshold}"], n_gt, np.nan)
    return columns


def _true_positives(
    found: Overlaps, image: NDArray[np.int64], prefix_records: NDArray[np.bool_], n_images: int
) -> Columns:
    """Matches of the whole list, those of them in the prefix, and those of the tail alone, at each threshold."""
    whole = take_greedily(found.candidates)
    tail = match_tail_alone(found.candidates, prefix_records)

    def count(matches: Candidates, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.bincount(image[matches.prediction[chosen]], minlength=n_images)

    columns: Columns = {}
    for threshold in THRESHOLDS:
        matched = whole.iou >= threshold
        columns[f"tp@{threshold}"] = count(whole, matched)
        columns[f"prefix_tp@{threshold}"] = count(whole, matched & prefix_records[whole.prediction])
        columns[f"tail_tp@{threshold}"] = count(tail, tail.iou >= threshold)
    return columns


def flat_truths(
    truths: Sequence[GroundTruth], numbers: LabelNumbers
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """All boxes, the numbers of their labels, and how many each image has."""
    counts = np.array([len(truth.labels) for truth in truths], dtype=np.int64)
    n_boxes = [len(truth.boxes_xyxy_px) for truth in truths]
    try:
        boxes = np.concatenate(
            [np.empty((0, 4)), *(t.boxes_xyxy_px for t, n in zip(truths, n_boxes, strict=True) if n)]
        )
    except ValueError:  # other than four columns
        boxes = np.full((1, 4), np.nan)
    if counts.tolist() != n_boxes or not np.isfinite(boxes).all():
        _refuse_truths(truths)
    labels = chain.from_iterable(truth.labels for truth in truths)
    return boxes, np.fromiter(map(numbers.__getitem__, labels), dtype=np.int64, count=len(boxes)), counts


def _refuse_truths(truths: Sequence[GroundTruth]) -> None:
    """Say which ground truth is wrong, now that one is known to be."""
    for truth in truths:
        where = f"ground truth of image {truth.image_id!r}"
        boxes = as_boxes(truth.boxes_xyxy_px, where)
        if len(boxes) != len(truth.labels):
            raise InputError(
                where, expected=f"{len(boxes)} labels", got=str(len(truth.labels)), remedy="Give one label a box."
            )


def _share(
    part: NDArray[np.int64] | NDArray[np.float64], whole: NDArray[np.int64], otherwise: float
) -> NDArray[np.float64]:
    """part / whole, and `otherwise` where whole is 0."""
    return np.where(whole > 0, part / np.maximum(whole, 1), otherwise)
