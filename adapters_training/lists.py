"""From a data set's documents to the questions and answers that an adapter is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import unknown_name
from boxlist.records import Record
from boxlist.tasks.probes import render_prompt
from boxlist.tasks.truths import in_reading_order, inventory_text, spatial_count_text

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
    """Every object as a record of the protocol, rounded as the protocol writes numbers; `[]` where there is none."""
    objects = ordered_objects(document, teaching)
    size_wh_px = (document["width"], document["height"])
    frame = teaching.frame_of(document) if teaching.frame_of is not None else None
    boxes = [item["box_xyxy_px"] for item in objects]
    numbers = teaching.protocol.round(teaching.protocol.from_xyxy_px(boxes, size_wh_px, frame))
    return teaching.protocol.write(
        Record(item["label"], tuple(row)) for item, row in zip(objects, numbers.tolist(), strict=True)
    )


ANSWERS: dict[str, Callable[[Document, Teaching], str]] = {
    "dense_bbox": box_list_answer,
    "inventory": lambda document, _: inventory_text(document),  # its prompt asks for reading order
    "spatial_count": lambda document, _: spatial_count_text(document),
}
