"""Scoring the spatial and count probe: `{"count": 3, "relation": "left"}`, exactly those two keys.

An answer that does not match is unreadable. It counts as wrong in `count_exact` and `spatial_accuracy`; it has no
count, so `count_mae` leaves it out and says over how many answers it is the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from boxlist.metrics.inputs import ImageId, ImageRow, answers_in_order
from boxlist.metrics.json_input import NotJsonError, is_whole_number, parse_json_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from boxlist.metrics.inputs import GivenAnswer

Relation: TypeAlias = Literal["left", "right", "above", "below"]
RELATIONS: tuple[Relation, ...] = ("left", "right", "above", "below")
KEYS = {"count", "relation"}
MAX_COUNT = 1_000_000
"""A larger number is no count of things in a picture, and would drown every other answer in the mean."""


@dataclass(frozen=True)
class SpatialCount:
    """How many there are, and where the subject lies seen from the reference."""

    count: int
    relation: Relation


@dataclass(frozen=True)
class SpatialCountTruth:
    """The right answer for one image."""

    image_id: ImageId
    count: int
    relation: Relation


def score_spatial_count(answers: Iterable[GivenAnswer], truths: Sequence[SpatialCountTruth]) -> list[ImageRow]:
    """One row for each truth, in their order; an image without an answer has the empty one."""
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    rows = []
    for answer, truth in zip(given, truths, strict=True):
        read = read_spatial_count(answer.text)
        rows.append(
            {
                "image_id": truth.image_id,
                "status": "valid" if read else "malformed" if answer.text.strip() else "empty",
                "tokens": answer.tokens,
                "target_shape_valid": read is not None,
                "count_error": abs(read.count - truth.count) if read else None,
                "count_exact": read is not None and read.count == truth.count,
                "spatial_correct": read is not None and read.relation == truth.relation,
                "triggered": answer.triggered,
            }
        )
    return rows


def read_spatial_count(text: str) -> SpatialCount | None:
    """What an answer says, or None if it is not exactly of the probe's shape."""
    try:
        value = parse_json_answer(text)
    except NotJsonError:
        return None
    if not isinstance(value, dict) or set(value) != KEYS:
        return None
    count, relation = value["count"], value["relation"]
    if not is_whole_number(count) or not 0 <= count <= MAX_COUNT:
        return None
    return next((SpatialCount(count, known) for known in RELATIONS if known == relation), None)
