"""The data sets of the complexity set: `shapes_full`, a document an image, and `shapes_questions`, one a question.

Both draw the same images (`complexity`). Many are drawn in as many processes as there are cores; which and how many
makes no difference to any byte. Images are palette PNG, lightly compressed: 1000 x 1000 pixels in 3 ms.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

from boxlist.metrics.shape_questions import FORMS
from boxlist.progress import Progress
from boxlist.tasks.datasets.complexity import ComplexityOptions, Configuration, base_looks, configurations, draw
from boxlist.tasks.datasets.dataset import Dataset, Option
from boxlist.tasks.datasets.fingerprints import pixels_sha256
from boxlist.tasks.datasets.image_files import ImageFile
from boxlist.tasks.datasets.manifest import IMAGES
from boxlist.tasks.datasets.shape_questions import QUESTION_TYPES
from boxlist.tasks.datasets.shapes import PALETTE, paint
from boxlist.tasks.datasets.shapes_split import LABELS, describe_object
from boxlist.tasks.datasets.split_writing import Entry, write_drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from boxlist.metrics.shape_questions import Reply
    from boxlist.tasks.datasets.complexity import Look
    from boxlist.tasks.datasets.dataset import Order
    from boxlist.tasks.datasets.shapes import Scene

VERSION = 1
LICENCE = "Apache-2.0"
SOURCE = "drawn by boxlist (tasks/datasets/complexity.py), after the redundancy paper, section 4.1"
_MEANINGS = {
    "seed": "Any other draws another set",
    "side_px": "The image's width and height in pixels",
    "bases": "How many base configurations",
    "counts": "The numbers of objects of the whole set, as numbers and ranges with steps",
    "varied_images": "How many images of each variation at a count of a base",
    "sides_px": "Sides of small, medium and large objects in pixels",
    "gap_px": "The least distance between two objects in pixels",
    "sample": "balanced: sample_images at each of sample_counts; all: the whole set",
    "sample_counts": "The numbers of objects of the balanced sample",
    "sample_images": "How many images of the balanced sample at each count",
}
_CHOICES = {"sample": ("balanced", "all")}
OPTIONS = tuple(
    Option(row.name, getattr(ComplexityOptions(), row.name), _MEANINGS[row.name], _CHOICES.get(row.name, ()))
    for row in fields(ComplexityOptions)
)
_MANY = 500
"""From so many images on, processes are started, and progress is shown."""


class Drawn(NamedTuple):
    """One image of the set: what was asked for, its scene, and its file."""

    configuration: Configuration
    scene: Scene
    file: ImageFile


def build_full(order: Order) -> None:
    """Write `shapes_full`: a document an image, with all its objects."""
    images = _draw_all(order)
    entries = (
        Entry(image_id, drawn.file, [describe_object(item) for item in drawn.scene.objects], _notes(drawn))
        for image_id, drawn in enumerate(images, start=1)
    )
    write_drawn(order.folder / "test", order.heading("test", LABELS), entries)


def build_questions(order: Order) -> None:
    """Write `shapes_questions`: a document for each question that an image carries, without the objects.

    The types of question take turns, so that the first questions ask each image one thing, all types alike.
    """
    images = list(_draw_all(order))
    asked = dict.fromkeys(FORMS, 0)
    entries: list[Entry] = []
    for drawn, name, reply in _questions(images):
        row = QUESTION_TYPES[name]
        question = {"asked": row.asked, "answer_form": row.form}
        answer = {"type": name, "reply": reply, "words": list(row.words)}
        asked[name] += 1
        notes = {**_notes(drawn), "question": question, "answer": answer}
        entries.append(Entry(len(entries) + 1, drawn.file, (), notes))
    said = ", ".join(f"{count} {name}" for name, count in asked.items())
    write_drawn(order.folder / "test", order.heading("test", LABELS, questions=asked, notes=[said]), entries)


def _questions(images: Sequence[Drawn]) -> Iterator[tuple[Drawn, str, Reply]]:
    """Every question with a plain answer: one of each image, of the types in turn, before any image's next."""
    names = list(FORMS)
    left = []
    for place, drawn in enumerate(images):
        turn = place % len(names)
        left.append([(drawn, *row) for row in _replies(drawn.scene, names[turn:] + names[:turn])])
    for number in range(len(names)):
        yield from (rows[number] for rows in left if number < len(rows))


def _replies(scene: Scene, names: Sequence[str]) -> Iterator[tuple[str, Reply]]:
    """The types of question that have a plain answer in a scene, and the answers."""
    for name in names:
        row = QUESTION_TYPES[name]
        reply = row.reply([item.shape if row.attribute == "shape" else item.colour for item in scene.objects])
        if reply is not None:
            yield name, reply


def _notes(drawn: Drawn) -> dict[str, Any]:
    """What is kept of an image's configuration; the number of its objects, even where they are not listed."""
    return {"configuration": drawn.configuration._asdict()}


def _draw_all(order: Order) -> Iterable[Drawn]:
    """Draw every image of the set into the folder of the test split, in order."""
    options = ComplexityOptions(**order.options)
    folder = order.folder / "test" / IMAGES
    folder.mkdir(parents=True)
    wanted = list(enumerate(configurations(options), start=1))
    work = partial(_draw_one, folder, options, base_looks(options))
    if len(wanted) < _MANY:
        return list(map(work, wanted))
    found = []
    # a fresh interpreter each: forking one that has threads is not safe
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), spawned) as pool, Progress(order.dataset.name, len(wanted)) as progress:
        for drawn in pool.map(work, wanted, chunksize=16):
            found.append(drawn)
            progress.advance()
    return found


def _draw_one(
    folder: Path, options: ComplexityOptions, bases: Sequence[Look], wanted: tuple[int, Configuration]
) -> Drawn:
    number, configuration = wanted
    scene = draw(configuration, options, bases)
    image = Image.fromarray(paint(scene))
    image.putpalette(PALETTE.tobytes())
    png = io.BytesIO()
    image.save(png, "PNG", compress_level=1)
    content = png.getvalue()
    name = f"{number:04d}.png"
    (folder / name).write_bytes(content)
    hashes = hashlib.sha256(content).hexdigest(), pixels_sha256(image)
    return Drawn(configuration, scene, ImageFile(name, len(content), *hashes, *scene.size_wh_px))


FULL = Dataset(
    "shapes_full", VERSION, LICENCE, SOURCE, build_full, ("test",), options=OPTIONS, size="64; 8,220 with sample=all"
)
QUESTIONS = Dataset(
    "shapes_questions",
    VERSION,
    LICENCE,
    SOURCE,
    build_questions,
    ("test",),
    options=OPTIONS,
    size="443 questions",
    shares_pictures=True,
)
