"""The question of each scene of the shapes test split, as captions to choose from and as a referring expression.

The scenes are those of `shapes`, pixel for pixel; subject, reference and relation are those that its question asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.tasks.datasets.dataset import Dataset, Order
from boxlist.tasks.datasets.shapes_split import LABELS, LICENCE, SOURCE, test_pictures
from boxlist.tasks.datasets.spatial_split import WORD_OPTIONS
from boxlist.tasks.datasets.spatial_words import Place, place_notes
from boxlist.tasks.datasets.split_writing import Picture, write_split

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1


def build(order: Order) -> None:
    """Write the test split; there is no other."""
    heading = order.heading("test", LABELS)
    pictures = list(_asked(order))
    heading.counts["boxes"] = sum(len(picture.objects) for picture in pictures)
    write_split(order.folder / "test", heading, pictures, {})


def _asked(order: Order) -> Iterator[Picture]:
    for picture in test_pictures():
        question, answer = picture.notes["question"], picture.notes["answer"]
        boxes = {item["label"]: item["box_xyxy_px"] for item in picture.objects}
        size = picture.pixels.shape[1], picture.pixels.shape[0]
        subject, reference = question["subject"], question["reference"]
        place = Place(subject, answer["relation"], boxes[subject], size, reference, boxes[reference])
        seeds = order.options["seed"], picture.image_id
        yield picture._replace(notes=place_notes(place, order.options["options"], seeds))


DATASET = Dataset("shapes_spatial", VERSION, LICENCE, SOURCE, build, splits=("test",), options=WORD_OPTIONS, size="80")
