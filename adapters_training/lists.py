"""From a data set's documents to the questions and answers that an adapter is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.controls.table import Controls
from boxlist.errors import InputError, unknown_name
from boxlist.tasks.probes import render_prompt
from boxlist.tasks.truths import (
    box_list_text,
    in_reading_order,
    inventory_text,
    points_text,
    referring_text,
    spatial_count_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boxlist.protocols import Protocol, SizeWH
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject
    from boxlist.tasks.probes import Probe


class Sample(NamedTuple):
    """One question about one image, and the answer that is taught. `name` is for messages."""

    name: str
    image_id: int
    file: str
    prompt: str
    answer: str


class Teaching(NamedTuple):
    """How answers are written: the protocol, the order of the lists, the seed of a random order, where the protocol
    needs it the size that the processor gives an image, and how often a picture is asked with a budget as well.

    A budget is drawn from 1 to two more than the picture's objects, and the list ends there. Without any, a small
    model does not know the sentence when it comes: it neither obeys nor localises as before.
    """

    protocol: Protocol
    list_order: str = "reading"
    seed: int = 0
    frame_of: Callable[[Document], SizeWH] | None = None
    budgets: int = 0


def samples(probe: Probe, documents: Sequence[Document], teaching: Teaching) -> list[Sample]:
    """The training samples of a probe, in the documents' order: one a document, then those with a budget.

    Raises `InputError` for a probe that cannot be trained on, and for budgets where the answer is no box list.
    """
    if probe.kind not in ANSWERS:
        raise unknown_name("kind of probe to train on", probe.kind, ANSWERS)
    if teaching.budgets and probe.kind != BOX_LISTS:
        raise InputError("recipe: budgets", expected=f"0 for {probe.task}", got=str(teaching.budgets), remedy=NO_LIST)
    found = [_sample(probe, document, teaching, None) for document in documents]
    for place in range(teaching.budgets):
        for document in documents:
            rng = np.random.default_rng([teaching.seed, document["image_id"], place])
            found.append(_sample(probe, document, teaching, int(rng.integers(1, len(document["objects"]) + 3))))
    return found


def _sample(probe: Probe, document: Document, teaching: Teaching, budget: int | None) -> Sample:
    ending = Controls(budget=budget).prompt_ending()
    return Sample(
        name=f"{probe.dataset} image {document['image_id']}",
        image_id=document["image_id"],
        file=document["file"],
        prompt=render_prompt(probe.prompt, teaching.protocol, document["question"]) + ending,
        answer=ANSWERS[probe.kind](document, teaching, budget),
    )


def ordered_objects(document: Document, teaching: Teaching) -> list[DocumentObject]:
    """The objects in the order in which lists name them: reading, as annotated, or drawn once from the seed."""
    objects = document["objects"]
    if teaching.list_order == "annotation":
        return list(objects)
    if teaching.list_order == "random":
        rng = np.random.default_rng([teaching.seed, document["image_id"]])
        return [objects[index] for index in rng.permutation(len(objects))]
    return in_reading_order(document)


def box_list_answer(document: Document, teaching: Teaching, budget: int | None = None) -> str:
    """Every object as a record of the protocol, in the order that is taught; the first `budget` of them."""
    frame = teaching.frame_of(document) if teaching.frame_of is not None else None
    return box_list_text(document, teaching.protocol, frame, ordered_objects(document, teaching)[:budget])


def points_answer(document: Document, teaching: Teaching) -> str:
    """Every point that the question asks for, from left to right."""
    frame = teaching.frame_of(document) if teaching.frame_of is not None else None
    return points_text(document, teaching.protocol, frame)


BOX_LISTS = "dense_bbox"
NO_LIST = "Only lists of boxes have a budget."
ANSWERS: dict[str, Callable[[Document, Teaching, int | None], str]] = {
    BOX_LISTS: box_list_answer,
    "pointing": lambda document, teaching, _: points_answer(document, teaching),
    "referring": lambda document, teaching, _: referring_text(document, teaching.protocol),
    "inventory": lambda document, *_: inventory_text(document),  # its prompt asks for reading order
    "spatial_count": lambda document, *_: spatial_count_text(document),
}
