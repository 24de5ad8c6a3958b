"""From a data set's documents to the questions and answers that an adapter is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.adapters_training.repeats import Against, TaughtList, taught_list
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

    from boxlist.adapters_training.repeats import Mark
    from boxlist.protocols import Protocol, SizeWH
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject
    from boxlist.tasks.probes import Probe

EACH_EPOCH = "random_each_epoch"


class Sample(NamedTuple):
    """One question about one image, and the answer that is taught. `name` is for messages.

    `marks` say what stretches of the answer count in the loss, `end_weight` what the end-of-turn token does.
    """

    name: str
    image_id: int
    file: str
    prompt: str
    answer: str
    marks: tuple[Mark, ...] = ()
    end_weight: float = 1.0


class Teaching(NamedTuple):
    """How answers are written: the protocol, the order of the lists, the seed of what is drawn, where the protocol
    needs it the size that the processor gives an image, how often a picture is asked with a budget as well, and what
    is done against repetition.

    A budget is drawn from 1 to two more than the picture's objects, and the list ends there. Without any, a small
    model does not know the sentence when it comes: it neither obeys nor localises as before.
    """

    protocol: Protocol
    list_order: str = "reading"
    seed: int = 0
    frame_of: Callable[[Document], SizeWH] | None = None
    budgets: int = 0
    against: Against = Against()


def samples(probe: Probe, documents: Sequence[Document], teaching: Teaching, epoch: int = 0) -> list[Sample]:
    """The training samples of a probe, in the documents' order: one a document, then those with a budget.

    The questions are those of every epoch; what is drawn each epoch, in the answers alone, depends on `epoch`. Raises
    `InputError` for a probe that cannot be trained on, and for budgets where the answer is no box list.
    """
    if probe.kind not in ANSWERS:
        raise unknown_name("kind of probe to train on", probe.kind, ANSWERS)
    if teaching.budgets and probe.kind != BOX_LISTS:
        raise InputError("recipe: budgets", expected=f"0 for {probe.task}", got=str(teaching.budgets), remedy=NO_LIST)
    found = [_sample(probe, document, teaching, Turn(epoch)) for document in documents]
    for place in range(teaching.budgets):
        for document in documents:
            rng = np.random.default_rng([teaching.seed, document["image_id"], place])
            budget = int(rng.integers(1, len(document["objects"]) + 3))
            found.append(_sample(probe, document, teaching, Turn(epoch, place + 1, budget)))
    return found


class Turn(NamedTuple):
    """Which time a picture is asked: the epoch, how many times before within it, and the budget if there is one."""

    epoch: int = 0
    place: int = 0
    budget: int | None = None


def _sample(probe: Probe, document: Document, teaching: Teaching, turn: Turn) -> Sample:
    ending = Controls(budget=turn.budget).prompt_ending()
    answer = ANSWERS[probe.kind](document, teaching, turn)
    return Sample(
        name=f"{probe.dataset} image {document['image_id']}",
        image_id=document["image_id"],
        file=document["file"],
        prompt=render_prompt(probe.prompt, teaching.protocol, document["question"]) + ending,
        answer=answer.text,
        marks=answer.marks,
        end_weight=teaching.against.end_weight,
    )


def ordered_objects(document: Document, teaching: Teaching, epoch: int = 0) -> list[DocumentObject]:
    """The objects in the order in which lists name them; see `recipe.LIST_ORDERS`."""
    objects = document["objects"]
    if teaching.list_order == "annotation":
        return list(objects)
    if teaching.list_order == "size":
        return sorted(in_reading_order(document), key=_area, reverse=True)
    if teaching.list_order in {"random", EACH_EPOCH}:
        drawn = [epoch] if teaching.list_order == EACH_EPOCH else []
        rng = np.random.default_rng([teaching.seed, document["image_id"], *drawn])
        return [objects[index] for index in rng.permutation(len(objects))]
    return in_reading_order(document)


def _area(item: DocumentObject) -> float:
    x1, y1, x2, y2 = item["box_xyxy_px"]
    return (x2 - x1) * (y2 - y1)


def box_list_answer(document: Document, teaching: Teaching, turn: Turn) -> TaughtList:
    """Every object as a record of the protocol, in the order that is taught; with a budget the first of them."""
    frame = teaching.frame_of(document) if teaching.frame_of is not None else None
    objects = ordered_objects(document, teaching, turn.epoch)[: turn.budget]

    def write(listed: Sequence[DocumentObject]) -> str:
        return box_list_text(document, teaching.protocol, frame, listed)

    if teaching.against == Against():
        return TaughtList(write(objects), ())
    rng = np.random.default_rng([teaching.seed, document["image_id"], turn.place, turn.epoch, 1])
    return taught_list(objects, document, write, teaching.protocol, teaching.against, rng)


def points_answer(document: Document, teaching: Teaching) -> str:
    """Every point that the question asks for, from left to right."""
    frame = teaching.frame_of(document) if teaching.frame_of is not None else None
    return points_text(document, teaching.protocol, frame)


BOX_LISTS = "dense_bbox"
NO_LIST = "Only lists of boxes have a budget."
ANSWERS: dict[str, Callable[[Document, Teaching, Turn], TaughtList]] = {
    BOX_LISTS: box_list_answer,
    "pointing": lambda document, teaching, _: TaughtList(points_answer(document, teaching), ()),
    "referring": lambda document, teaching, _: TaughtList(referring_text(document, teaching.protocol), ()),
    "inventory": lambda document, *_: TaughtList(inventory_text(document), ()),  # its prompt asks for reading order
    "spatial_count": lambda document, *_: TaughtList(spatial_count_text(document), ()),
}
