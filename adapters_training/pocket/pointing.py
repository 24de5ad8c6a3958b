"""How well a pocket base points: `python -m boxlist.adapters_training.pocket.pointing [FAMILY [CHECKPOINT]]`.

Every object whose label occurs once in its image of the shapes test split is asked for, in the words of the lesson.
The pointing probe with its metrics is a task of its own; this is the one bar that the pocket's card needs before it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.adapters_training.pocket.families import FAMILIES
from boxlist.models.loading import load_processor_and_model
from boxlist.tasks.datasets.catalog import documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boxlist.adapters_training.pocket.families import Family
    from boxlist.tasks.datasets.catalog import Document

_POINT = re.compile(r'<point x="(\d{1,3}(?:\.\d)?)" y="(\d{1,3}(?:\.\d)?)">')
_BATCH = 40
_NEAR = 50


class Request(NamedTuple):
    """One object to point at; its centre in thousandths of the image size."""

    file: str
    label: str
    centre_xy: tuple[float, float]


class Pointing(NamedTuple):
    """`near` is the share within 50 of 1,000 on both axes, over all objects; unreadable points count as far."""

    objects: int
    readable: int
    near: float
    median_off: float | None  # the larger of the two axes' errors, in thousandths, over readable points


def requests_of(documents: list[Document]) -> list[Request]:
    """The objects whose label occurs once in their image."""
    found = []
    for document in documents:
        labels = [item["label"] for item in document["objects"]]
        for item in document["objects"]:
            if labels.count(item["label"]) == 1:
                x1, y1, x2, y2 = item["box_xyxy_px"]
                centre = (x1 + x2) * 500 / document["width"], (y1 + y2) * 500 / document["height"]
                found.append(Request(document["file"], item["label"], centre))
    return found


def measure(family: Family, pretrained: str, requests: list[Request]) -> Pointing:
    """Ask a checkpoint for every object, greedily, and compare."""
    unit = 10**family.point_decimals * 1000 / family.full_scale
    offs = [
        max(abs(float(match[axis + 1]) * unit - request.centre_xy[axis]) for axis in (0, 1)) if match else None
        for request, answer in zip(requests, _answers(pretrained, requests), strict=True)
        for match in [_POINT.match(answer)]
    ]
    readable = [off for off in offs if off is not None]
    return Pointing(
        objects=len(requests),
        readable=len(readable),
        near=sum(off <= _NEAR for off in readable) / len(requests),
        median_off=float(np.median(readable)) if readable else None,
    )


def _answers(pretrained: str, requests: list[Request]) -> Iterator[str]:
    import torch
    from PIL import Image

    processor, model = load_processor_and_model(pretrained)
    for start in range(0, len(requests), _BATCH):
        batch = requests[start : start + _BATCH]
        conversations = []
        for request in batch:
            with Image.open(request.file) as image:
                picture = image.convert("RGB")
            asked = {"type": "text", "text": f"Point to the {request.label}."}
            conversations.append([{"role": "user", "content": [{"type": "image", "image": picture}, asked]}])
        inputs = processor.apply_chat_template(
            conversations,
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        with torch.inference_mode():
            output = model.generate(**inputs.to(model.device), max_new_tokens=24, do_sample=False)
        new_ids = output[:, inputs["input_ids"].shape[1] :]
        yield from processor.batch_decode(new_ids, skip_special_tokens=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("family", nargs="?", choices=FAMILIES, default=CHECKPOINT.name)
    parser.add_argument("checkpoint", nargs="?", help="its folder, for want of one the committed base")
    options = parser.parse_args()
    checkpoint = options.checkpoint or str(CHECKPOINT.parent / options.family)
    figures = measure(FAMILIES[options.family], checkpoint, requests_of(documents("shapes", "test")))
    sys.stdout.write(json.dumps(figures._asdict()) + "\n")


if __name__ == "__main__":
    main()
