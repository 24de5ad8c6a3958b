"""The shapes data: 160 training and 80 test scenes, each with one question about counts and places.

Everything follows from one seed: scene `i` of a split is drawn from the generator `[seed, split, i, attempt]`, so no
scene depends on another. A scene that cannot carry its question, or that was drawn before, is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from boxlist.tasks.datasets.dataset import Dataset
from boxlist.tasks.datasets.fingerprints import pixels_sha256
from boxlist.tasks.datasets.manifest import Heading
from boxlist.tasks.datasets.shapes import COLOURS, SHAPES, Scene, ShapeObject, draw_scene, render
from boxlist.tasks.datasets.split_writing import Picture, write_split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from boxlist.metrics.spatial_count import Relation
    from boxlist.tasks.datasets.split_folder import DocumentObject

VERSION = 1
LICENCE = "Apache-2.0"
SOURCE = "drawn by boxlist (tasks/datasets/shapes.py); vocabulary of arXiv 2606.14507"
LABELS = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)

# The larger distance between two centres must be this many times the smaller, so that one relation is plainly right.
CLEAR_DIRECTION = 1.5
SHARE_COUNTING_ZERO = 1 / 6
_ATTEMPTS = 200


@dataclass(frozen=True)
class ShapesOptions:
    """What the split is made of; written into its manifest."""

    seed: int = 20260615
    size_wh_px: tuple[int, int] = (224, 224)
    fewest_objects: int = 3
    most_objects: int = 10
    train_images: int = 160
    test_images: int = 80


@dataclass(frozen=True)
class Question:
    """How many `counted` there are, and where `subject` lies seen from `reference`; with the right answers."""

    counted: str
    subject: str
    reference: str
    count: int
    relation: Relation


def relation_between(
    subject_xyxy_px: Sequence[float], reference_xyxy_px: Sequence[float], clear: float = CLEAR_DIRECTION
) -> Relation | None:
    """Where the subject's centre lies seen from the reference's, y downwards; None where no direction is clear.

    >>> relation_between((0, 0, 10, 10), (40, 5, 50, 15))
    'left'
    """
    dx = (subject_xyxy_px[0] + subject_xyxy_px[2] - reference_xyxy_px[0] - reference_xyxy_px[2]) / 2
    dy = (subject_xyxy_px[1] + subject_xyxy_px[3] - reference_xyxy_px[1] - reference_xyxy_px[3]) / 2
    if max(abs(dx), abs(dy)) < clear * min(abs(dx), abs(dy)) or dx == dy == 0:
        return None
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "below" if dy > 0 else "above"


def ask(rng: np.random.Generator, objects: Sequence[ShapeObject], *, count_zero: bool) -> Question | None:
    """Draw a question about a scene; None where it cannot carry one.

    With `count_zero` the counted shape is one that does not occur, else one that does. Subject and reference are two
    objects whose labels occur once.
    """
    shapes = [item.shape for item in objects]
    choices = [shape for shape in SHAPES if (shape in shapes) != count_zero]
    labels = [item.label for item in objects]
    unique = [item for item in objects if labels.count(item.label) == 1]
    pairs = [
        (subject.label, reference.label, relation)
        for subject, reference in permutations(unique, 2)
        if (relation := relation_between(subject.box_xyxy_px, reference.box_xyxy_px)) is not None
    ]
    if not choices or not pairs:
        return None
    counted = choices[rng.integers(len(choices))]
    subject, reference, relation = pairs[rng.integers(len(pairs))]
    return Question(counted, subject, reference, shapes.count(counted), relation)


def build(folder: Path, options: ShapesOptions | None = None) -> None:
    """Write both splits into `folder`."""
    options = options or ShapesOptions()
    seen: set[str] = set()
    described = {
        "seed": options.seed,
        "size_wh_px": list(options.size_wh_px),
        "objects": [options.fewest_objects, options.most_objects],
        "clear_direction": CLEAR_DIRECTION,
        "share_counting_zero": round(SHARE_COUNTING_ZERO, 4),
    }
    splits = (("train", options.train_images, 1), ("test", options.test_images, 1001))
    for number, (split, count, first_id) in enumerate(splits):
        heading = Heading("shapes", VERSION, split, LABELS, LICENCE, SOURCE, described, {"boxes": 0})
        pictures = _pictures(options, (number, count, first_id), seen, heading.counts)
        write_split(folder / split, heading, pictures, {})


def test_pictures() -> list[Picture]:
    """The scenes of the test split, as `build` writes them."""
    options, seen = ShapesOptions(), set[str]()
    for _ in _pictures(options, (0, options.train_images, 1), seen, {"boxes": 0}):
        pass  # a test scene is drawn again where it is one of these
    return list(_pictures(options, (1, options.test_images, 1001), seen, {"boxes": 0}))


def _pictures(
    options: ShapesOptions, split: tuple[int, int, int], seen: set[str], counts: dict[str, int]
) -> Iterator[Picture]:
    number, count, first_id = split
    for index in range(count):
        scene, question = _new_scene(options, number, index, seen)
        counts["boxes"] += len(scene.objects)
        notes = {
            "question": {
                "counted": question.counted,
                "subject": question.subject,
                "reference": question.reference,
            },
            "answer": {"count": question.count, "relation": question.relation},
        }
        yield Picture(first_id + index, render(scene), [describe_object(item) for item in scene.objects], notes)


def _new_scene(options: ShapesOptions, split: int, index: int, seen: set[str]) -> tuple[Scene, Question]:
    """A scene that carries its question and was not drawn before. How many objects, and whether to count none, is
    settled before the first attempt, so that drawing again does not shift either distribution."""
    wish = np.random.default_rng([options.seed, split, index])
    objects = int(wish.integers(options.fewest_objects, options.most_objects + 1))
    count_zero = bool(wish.random() < SHARE_COUNTING_ZERO)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([options.seed, split, index, attempt])
        scene = draw_scene(rng, objects, options.size_wh_px)
        question = ask(rng, scene.objects, count_zero=count_zero)
        pixels = pixels_sha256(Image.fromarray(render(scene)))
        if question is not None and pixels not in seen:
            seen.add(pixels)
            return scene, question
    raise ValueError(f"shapes: no scene of {objects} objects carries its question after {_ATTEMPTS} attempts")


def describe_object(item: ShapeObject) -> DocumentObject:
    """An object as a document has it."""
    return {
        "label": item.label,
        "box_xyxy_px": list(item.box_xyxy_px),
        "color": item.colour,
        "shape": item.shape,
        "size": item.size,
    }


DATASET = Dataset("shapes", VERSION, LICENCE, SOURCE, lambda order: build(order.folder), size="80")
