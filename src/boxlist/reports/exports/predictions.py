"""The boxes of a source, image by image, in pixels, in the order in which the model wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from boxlist.reports.exports.source import Source
    from boxlist.tasks.datasets.split_folder import Document


class ImagePredictions(NamedTuple):
    """What the model said is in one image. `boxes_xyxy_px` is `(N, 4)`, in the pixels of the original image."""

    document: Document
    labels: Sequence[str]
    boxes_xyxy_px: NDArray[np.float64]


def predictions(source: Source) -> Iterator[ImagePredictions]:
    """Every image of the source; salvaged records of broken answers too, as they are scored."""
    if source.probe.kind != "dense_bbox":
        raise InputError(
            f"{source.path}: {source.probe.task}",
            expected="a task that asks for boxes",
            got=f"the kind {source.probe.kind}",
            remedy="Choose another --task, or --format model-card.",
        )
    for document, answer in zip(source.documents, source.answers, strict=True):
        records = read_answer(answer.text, source.protocol).records
        numbers = np.array([record.coordinates for record in records], dtype=np.float64).reshape(-1, 4)
        size = (document["width"], document["height"])
        boxes = source.protocol.to_xyxy_px(numbers, size, answer.frame_wh_px)
        yield ImagePredictions(document, [record.label for record in records], boxes)
