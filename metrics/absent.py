"""Scoring lists of boxes where classes that were asked for are not there: refusal, and what is made up instead.

A prompt names classes, of which some or all are absent; the ground truth holds the objects of the named classes only.
The columns of `boxes` come first, then those here. Labels compare normalised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.bulk_reading import LabelNumbers, read_answers
from boxlist.metrics.inputs import answers_in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from boxlist.metrics.inputs import GivenAnswer, GroundTruth, ImageRow
    from boxlist.protocols import Protocol

FALSE_IOU = 0.3


class AbsentTruth(NamedTuple):
    """What is right for one image: the objects that were asked for, and the classes that the prompt names.

    No classes means that the prompt asks for every object.
    """

    truth: GroundTruth
    asked: tuple[str, ...] = ()


def score_absent(answers: Iterable[GivenAnswer], truths: Sequence[AbsentTruth], protocol: Protocol) -> list[ImageRow]:
    """One row for each truth, in their order; an image without an answer has the empty one.

    Only a readable list without records is an empty list: an empty text, or one that breaks off, is none.
    Raises `InputError` as `boxes.score_boxes` does.
    """
    given = answers_in_order(answers, [truth.truth.image_id for truth in truths])
    rows = score_boxes(given, [truth.truth for truth in truths], protocol)
    numbers = LabelNumbers()
    read = read_answers([answer.text for answer in given], protocol, numbers)
    ends = np.cumsum(read.counts)
    for row, truth, start, end in zip(rows, truths, ends - read.counts, ends, strict=True):
        row.update(_columns(row, truth, read.labels[start:end].tolist(), numbers))
    return rows


def _columns(row: ImageRow, truth: AbsentTruth, named: list[int], numbers: LabelNumbers) -> ImageRow:
    """`named` are the labels of the answer's records."""
    asked = {numbers[label] for label in truth.asked}
    absent = asked - {numbers[label] for label in truth.truth.labels}
    nothing_there = row["n_gt"] == 0
    empty_list = bool(row["parse_valid"]) and row["n_pred"] == 0
    false_boxes = row["n_pred"] - row[f"tp@{FALSE_IOU}"]
    return {
        "empty_lists": empty_list,
        "right_empty_lists": empty_list and nothing_there,
        "right_empty_list": empty_list if nothing_there else None,
        "false_boxes": false_boxes,
        "false_boxes_on_empty": false_boxes if nothing_there else None,
        "absent_asked": len(absent),
        "absent_named": len(absent.intersection(named)),
        "n_of_asked": len(named) if asked else 0,
        "off_list": sum(label not in asked for label in named) if asked else 0,
    }
