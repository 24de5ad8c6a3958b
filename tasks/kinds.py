"""The kinds of probe, one row each: how an answer is scored, what the right answer is, which metrics are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxlist.metrics.absent import AbsentTruth, score_absent
from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.choices import score_choices, score_option_likelihoods, with_groups
from boxlist.metrics.points import score_pointing
from boxlist.metrics.referring import score_referring
from boxlist.metrics.rows.absent import ABSENT_METRICS
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.metrics.rows.choices import OPTION_CHOICE_METRICS, OPTION_LIKELIHOOD_METRICS
from boxlist.metrics.rows.points import POINTING_METRICS
from boxlist.metrics.rows.referring import REFERRING_METRICS
from boxlist.metrics.rows.shape_questions import SHAPE_QUESTION_METRICS
from boxlist.metrics.rows.structure import INVENTORY_METRICS, SPATIAL_COUNT_METRICS
from boxlist.metrics.shape_questions import ShapeQuestionTruth, score_shape_questions
from boxlist.metrics.spatial_count import SpatialCountTruth, score_spatial_count
from boxlist.metrics.structure import InventoryTruth, score_inventory
from boxlist.tasks.datasets.shapes import COLOURS, SHAPES, SIZES
from boxlist.tasks.part_slots import part_inventory_text, part_slots, part_vocabulary
from boxlist.tasks.truths import (
    box_list_text,
    choice_truth,
    ground_truth,
    inventory_slots,
    inventory_text,
    point_protocol,
    point_truth,
    points_text,
    referring_text,
    referring_truth,
    right_option,
    shape_question_text,
    spatial_count_text,
    spatial_count_truth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boxlist.metrics.inputs import GivenAnswer, ImageRow
    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document


VOCABULARY = {"color": tuple(COLOURS), "shape": SHAPES, "size": tuple(SIZES)}


@dataclass(frozen=True)
class Kind:
    """One kind of probe.

    `score` takes answers and exactly their documents, in one order, and gives their rows in that order; `target` writes
    the right answer. Kinds without coordinates pay the protocol no heed. `across` fills in what a row owes to the
    others; lmms-eval scores answers one by one, so it is called once all rows are there.
    """

    name: str
    metrics: tuple[str, ...]
    score: Callable[[Sequence[GivenAnswer], Sequence[Document], Protocol], list[ImageRow]]
    target: Callable[[Document, Protocol], str]
    reads_points: bool = False
    across: Callable[[Sequence[ImageRow]], list[ImageRow]] = list


def _score_dense_bbox(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], protocol: Protocol
) -> list[ImageRow]:
    return score_boxes(answers, [ground_truth(document) for document in documents], protocol)


def _score_inventory(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    truths = [InventoryTruth(document["image_id"], inventory_slots(document)) for document in documents]
    return score_inventory(answers, truths, VOCABULARY)


def _score_part_inventory(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    """One by one, since a document names its own classes."""
    return [
        row
        for answer, document in zip(answers, documents, strict=True)
        for row in score_inventory(
            [answer], [InventoryTruth(document["image_id"], part_slots(document))], part_vocabulary(document)
        )
    ]


def _score_spatial_count(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    truths = [SpatialCountTruth(document["image_id"], **spatial_count_truth(document)) for document in documents]
    return score_spatial_count(answers, truths)


def _score_option_likelihood(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    return score_option_likelihoods(answers, [choice_truth(document) for document in documents])


def _score_option_choice(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    return score_choices(answers, [choice_truth(document) for document in documents])


def _score_referring(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], protocol: Protocol
) -> list[ImageRow]:
    return score_referring(answers, [referring_truth(document) for document in documents], protocol)


def _score_pointing(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], protocol: Protocol
) -> list[ImageRow]:
    return score_pointing(answers, [point_truth(document) for document in documents], point_protocol(protocol))


def _score_shape_question(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    truths = [
        ShapeQuestionTruth(document["image_id"], answer["type"], answer["reply"], answer["words"])
        for document in documents
        for answer in (document["answer"],)
    ]
    return score_shape_questions(answers, truths)


def _score_absent(answers: Sequence[GivenAnswer], documents: Sequence[Document], protocol: Protocol) -> list[ImageRow]:
    truths = [AbsentTruth(ground_truth(document), tuple(document["answer"]["asked"])) for document in documents]
    return score_absent(answers, truths, protocol)


_ROWS = (
    Kind("dense_bbox", DENSE_BOX_METRICS, _score_dense_bbox, box_list_text),
    Kind("inventory", INVENTORY_METRICS, _score_inventory, lambda document, _protocol: inventory_text(document)),
    Kind(
        "part_inventory",
        INVENTORY_METRICS,
        _score_part_inventory,
        lambda document, _protocol: part_inventory_text(document),
    ),
    Kind(
        "spatial_count",
        SPATIAL_COUNT_METRICS,
        _score_spatial_count,
        lambda document, _protocol: spatial_count_text(document),
    ),
    Kind(
        "option_likelihood",
        OPTION_LIKELIHOOD_METRICS,
        _score_option_likelihood,
        lambda document, _protocol: right_option(document),
        across=with_groups,
    ),
    Kind(
        "option_choice",
        OPTION_CHOICE_METRICS,
        _score_option_choice,
        lambda document, _protocol: right_option(document),
        across=with_groups,
    ),
    Kind("referring", REFERRING_METRICS, _score_referring, referring_text),
    Kind(
        "shape_question",
        SHAPE_QUESTION_METRICS,
        _score_shape_question,
        lambda document, _protocol: shape_question_text(document),
    ),
    Kind("absent", ABSENT_METRICS, _score_absent, box_list_text),
    Kind("pointing", POINTING_METRICS, _score_pointing, points_text, reads_points=True),
)
KINDS: dict[str, Kind] = {row.name: row for row in _ROWS}
