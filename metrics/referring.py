"""Scoring referring expressions: one box an answer, by its overlap with the right one. Labels are not compared.

The mean is over all images; an answer without a box has overlap 0. `referring_iou` takes an answer's first box, as
lmms-eval's RefCOCO tasks do, never the best of several; the strict figure gives an answer of several boxes 0 too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.inputs import ImageId, ImageRow, answers_in_order
from boxlist.metrics.iou import iou_of_pairs, is_possible
from boxlist.metrics.json_input import NotJsonError, is_finite_number, parse_json_answer
from boxlist.protocols import BOX_KEYS
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import GivenAnswer
    from boxlist.protocols import Protocol

HIT = 0.5
_ONE = (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))


class ReferringTruth(NamedTuple):
    """The one right box of an image's expression, `box_xyxy_px`, and the image's size."""

    image_id: ImageId
    box_xyxy_px: Sequence[float]
    size_wh_px: tuple[int, int]


def score_referring(
    answers: Iterable[GivenAnswer], truths: Sequence[ReferringTruth], protocol: Protocol
) -> list[ImageRow]:
    """One row for each truth, in their order; an image without an answer has the empty one.

    Raises `InputError` for a protocol that writes no boxes, and for an answer without the frame that it needs.
    """
    if protocol.n_coordinates != 4:
        raise InputError(
            f"protocol {protocol.name}",
            expected="one that writes boxes",
            got="one that writes points",
            remedy="Choose a box protocol such as norm1000_xyxy.",
        )
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    rows = []
    for answer, truth in zip(given, truths, strict=True):
        boxes = read_boxes(answer.text, protocol)
        iou = _iou(boxes[0], answer, truth, protocol) if boxes else 0.0
        rows.append(
            {
                "image_id": truth.image_id,
                "status": "valid" if len(boxes) == 1 else "malformed" if answer.text.strip() else "empty",
                "tokens": answer.tokens,
                "n_pred": len(boxes),
                "one_box": len(boxes) == 1,
                "referring_iou": iou,
                "referring_iou_strict": iou if len(boxes) == 1 else 0.0,
                f"referring_hit@{HIT}": iou >= HIT,
                "triggered": answer.triggered,
            }
        )
    return rows


def read_boxes(text: str, protocol: Protocol) -> list[tuple[float, ...]]:
    """The coordinates of every box of an answer, as written: those of its records, or of one box without a label.

    >>> from boxlist.protocols import protocol_named
    >>> read_boxes("[12, 40, 300, 420]", protocol_named("norm1000_xyxy"))
    [(12.0, 40.0, 300.0, 420.0)]
    """
    records = read_answer(text, protocol).records
    if records or protocol.syntax != "json":
        return [record.coordinates for record in records]
    try:
        value = parse_json_answer(text)
    except NotJsonError:
        return []
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = next((value[key] for key in BOX_KEYS if key in value), None)
    if not isinstance(value, list) or len(value) != 4 or not all(is_finite_number(number) for number in value):
        return []
    return [tuple(float(number) for number in value)]


def _iou(box: Sequence[float], answer: GivenAnswer, truth: ReferringTruth, protocol: Protocol) -> float:
    if protocol.needs_frame and answer.frame_wh_px is None:
        raise InputError(
            f"answer to image {answer.image_id!r}",
            expected=f"the size of the resized image, which protocol {protocol.name} needs",
            got="none",
            remedy='Give each answer its "frame": [width, height], or use another protocol.',
        )
    with np.errstate(over="ignore", invalid="ignore"):
        predicted = protocol.to_xyxy_px(np.array([box], dtype=np.float64), truth.size_wh_px, answer.frame_wh_px)
    right: NDArray[np.float64] = np.array([truth.box_xyxy_px], dtype=np.float64)
    return float(iou_of_pairs(predicted, right, _ONE)[0]) if is_possible(predicted)[0] else 0.0
