"""The kinds of probe, one row each: how an answer is scored, what the right answer is, which metrics are reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.spatial_count import SpatialCountTruth, score_spatial_count
from boxlist.metrics.structure import InventoryTruth, Vocabulary, score_inventory
from boxlist.metrics.table import DENSE_BOX_METRICS, INVENTORY_METRICS, SPATIAL_COUNT_METRICS
from boxlist.tasks.datasets.shapes import COLOURS, SHAPES, SIZES
from boxlist.tasks.truths import (
    box_list_text,
    ground_truth,
    inventory_slots,
    inventory_text,
    spatial_count_text,
    spatial_count_truth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boxlist.metrics.inputs import GivenAnswer, ImageRow
    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document


VOCABULARY = Vocabulary(tuple(COLOURS), SHAPES, tuple(SIZES))


@dataclass(frozen=True)
class Kind:
    """One kind of probe.

    `score` takes answers and exactly their documents, in one order, and gives their rows in that order; `target` writes
    the right answer. Kinds without coordinates pay the protocol no heed.
    """

    name: str
    metrics: tuple[str, ...]
    score: Callable[[Sequence[GivenAnswer], Sequence[Document], Protocol], list[ImageRow]]
    target: Callable[[Document, Protocol], str]


def _score_dense_bbox(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], protocol: Protocol
) -> list[ImageRow]:
    return score_boxes(answers, [ground_truth(document) for document in documents], protocol)


def _score_inventory(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    truths = [InventoryTruth(document["image_id"], inventory_slots(document)) for document in documents]
    return score_inventory(answers, truths, VOCABULARY)


def _score_spatial_count(
    answers: Sequence[GivenAnswer], documents: Sequence[Document], _protocol: Protocol
) -> list[ImageRow]:
    truths = [SpatialCountTruth(document["image_id"], **spatial_count_truth(document)) for document in documents]
    return score_spatial_count(answers, truths)


_ROWS = (
    Kind("dense_bbox", DENSE_BOX_METRICS, _score_dense_bbox, box_list_text),
    Kind("inventory", INVENTORY_METRICS, _score_inventory, lambda document, _protocol: inventory_text(document)),
    Kind(
        "spatial_count",
        SPATIAL_COUNT_METRICS,
        _score_spatial_count,
        lambda document, _protocol: spatial_count_text(document),
    ),
)
KINDS: dict[str, Kind] = {row.name: row for row in _ROWS}
