"""From a data set's documents to the questions and answers that an adapter is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import unknown_name
from boxlist.tasks.probes import render_prompt
from boxlist.tasks.truths import box_list_text, in_reading_order, inventory_text, spatial_count_text

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
    """How answers are written: the protocol, the order of the lists, the seed of a random order, and where the
    protocol needs it the size that the processor gives an image."""

    protocol: Protocol
    list_order: str = "reading"
    seed: int = 0
    frame_of: Callable[[Document], SizeWH] | None = None


def samples(probe: Probe, documents: Sequence[Document], teaching: Teaching) -> list[Sample]:
    """The training samples of a probe, one a document, in the documents' order."""
    if probe.kind not in ANSWERS:
        raise unknown_name("kind of probe to train on", probe.kind, ANSWERS)
    write = ANSWERS[probe.kind]
    return [
        Sample(
            name=f"{probe.dataset} image {document['image_id']}",
            image_id=document["image_id"],
            file=document["file"],
            prompt=render_prompt(probe.prompt, teaching.protocol, document["question"]),
            answer=write(document, teaching),
        )
        for document in documents
    ]


def ordered_objects(document: Document, teaching: Teaching) -> list[DocumentObject]:
    """The objects in the order in which lists name them: reading, as annotated, or drawn once from the seed."""
    objects = document["objects"]
    if teaching.list_order == "annotation":
        return list(objects)
    if teaching.list_order == "random":
        rng = np.random.default_rng([teaching.seed, document["image_id"]])
        return [objects[index] for index in rng.permutation(len(objects))]
    return in_reading_order(document)


def box_list_answer(document: Document, teaching: Teaching) -> str:
    """Every object as a record of the protocol, in the order that is taught."""
    frame = teaching.frame_of(document) if teaching.frame_of is not None else None
    return box_list_text(document, teaching.protocol, frame, ordered_objects(document, teaching))


ANSWERS: dict[str, Callable[[Document, Teaching], str]] = {
    "dense_bbox": box_list_answer,
    "inventory": lambda document, _: inventory_text(document),  # its prompt asks for reading order
    "spatial_count": lambda document, _: spatial_count_text(document),
}
