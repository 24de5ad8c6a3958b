"""A question about counts and places for a photograph with boxes, as the drawn shapes have one.

How many objects of a class there are, and where one lies seen from another. Subject and reference are classes that
occur once, whose direction is plain; where a photograph has no such pair, the reference is the centre of the image, and
where no class occurs once, the subject is the largest object of its class.
"""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.tasks.datasets.shapes_split import CLEAR_DIRECTION, SHARE_COUNTING_ZERO, relation_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boxlist.metrics.spatial_count import Relation
    from boxlist.tasks.datasets.split_folder import DocumentObject

CENTRE = "centre of the image"


class Placed(NamedTuple):
    """Something with a name that means it alone, and its box."""

    name: str
    box_xyxy_px: Sequence[float]


class Related(NamedTuple):
    """Where the subject lies seen from the reference."""

    subject: str
    reference: str
    relation: Relation


def ask_about(
    objects: Sequence[DocumentObject], size_wh_px: tuple[int, int], classes: Sequence[str], seed: Sequence[int]
) -> dict[str, Any] | None:
    """The `question` and `answer` of a document, drawn by the seed; None where there is nothing to ask about.

    In one of six, the counted class does not occur, where there is such a class.
    """
    rng = np.random.default_rng(seed)
    related = list(_relations(objects, size_wh_px))
    if not related:
        return None
    there = Counter(item["label"] for item in objects)
    absent = [name for name in classes if name not in there]
    present = [name for name in classes if name in there]
    counted_from = absent if absent and rng.random() < SHARE_COUNTING_ZERO else present
    counted = counted_from[int(rng.integers(len(counted_from)))]
    subject, reference, relation = related[int(rng.integers(len(related)))]
    return {
        "question": {"counted": counted, "subject": subject, "reference": reference},
        "answer": {"count": there[counted], "relation": relation},
    }


def _relations(objects: Sequence[DocumentObject], size_wh_px: tuple[int, int]) -> Iterator[Related]:
    """All that may be asked about, of the best sort that the photograph has."""
    labels = Counter(item["label"] for item in objects)
    once = [Placed(item["label"], item["box_xyxy_px"]) for item in objects if labels[item["label"]] == 1]
    centre = Placed(CENTRE, (0, 0, *size_wh_px))
    largest = _largest(objects)
    sorts = (
        (list(permutations(once, 2)), CLEAR_DIRECTION),
        ([(item, centre) for item in once], CLEAR_DIRECTION),
        ([(item, centre) for item in largest], CLEAR_DIRECTION),
        ([(item, centre) for item in largest], 1.0),
    )
    for pairs, clear in sorts:
        found = [
            Related(subject.name, reference.name, relation)
            for subject, reference in pairs
            if (relation := relation_between(subject.box_xyxy_px, reference.box_xyxy_px, clear)) is not None
        ]
        if found:
            yield from found
            return


def _largest(objects: Sequence[DocumentObject]) -> list[Placed]:
    """The largest object of each class, by the area of its box; the first of equal ones."""
    best: dict[str, DocumentObject] = {}
    for item in objects:
        held = best.get(item["label"])
        if held is None or _area(item) > _area(held):
            best[item["label"]] = item
    return [Placed(f"largest {label}", item["box_xyxy_px"]) for label, item in best.items()]


def _area(item: DocumentObject) -> float:
    x1, y1, x2, y2 = item["box_xyxy_px"]
    return (x2 - x1) * (y2 - y1)
