"""The absent data: the test images of any data set with boxes, and prompts that name classes which they lack.

`boxlist data build absent --option of=NAME` takes the classes of NAME's own list: the built-in sets and the user's own
alike. Images stay where they are. Every other image is asked for absent classes only, the next for some of its own too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxlist.errors import InputError
from boxlist.tasks.datasets.absent_classes import NamedClasses, listed, name_classes
from boxlist.tasks.datasets.dataset import Dataset, Option
from boxlist.tasks.datasets.image_files import ImageFile
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boxlist.tasks.datasets.dataset import Order
    from boxlist.tasks.datasets.split_folder import Document


def build(order: Order) -> None:
    """Write the test split. Raises `InputError` where the set has too few classes for any question."""
    # the catalog imports every row's module
    from boxlist.tasks.datasets.catalog import class_names, dataset_sha256, documents

    of = str(order.options["of"])
    if of == order.dataset.name:
        raise InputError("--option of", expected="another data set", got=of, remedy="Name one with boxes.")
    found, classes = documents(of, "test"), class_names(of, "test")
    root = Path(os.path.commonpath([str(Path(document["file"]).parent) for document in found]))
    entries = list(_entries(found, classes, order, root))
    if not entries:
        raise InputError(
            f"data absent of {of}",
            expected=f"images that lack {order.options['absent']} of its classes",
            got=f"none among {len(found)} images and {len(classes)} classes",
            remedy="Choose a smaller --option absent, or another data set.",
        )
    left = len(found) - len(entries)
    notes = [
        f"of {of}, {len(classes)} classes",
        *([f"{left} images left out: they have too many classes"] if left else []),
    ]
    made_from = {"of_sha256": dataset_sha256(of, "test")}
    heading = order.heading("test", list(classes), made_from=made_from, notes=notes)
    write_index(order.folder / "test", heading, root, entries)


def _entries(found: Sequence[Document], classes: Sequence[str], order: Order, root: Path) -> Iterator[Entry]:
    options = order.options
    for place, document in enumerate(found):
        rng = np.random.default_rng([options["seed"], document["image_id"]])
        there = sorted({item["label"] for item in document["objects"]})
        n_present = min(options["present"], len(there)) if place % 2 else 0
        named = name_classes(rng, there, classes, n_present, options["absent"])
        if named is not None:
            yield _entry(document, named, root)


def _entry(document: Document, named: NamedClasses, root: Path) -> Entry:
    targets = [item for item in document["objects"] if item["label"] in named.asked]
    path = Path(document["file"])
    file = ImageFile(
        path.relative_to(root).as_posix(),
        path.stat().st_size,
        document["sha256"],
        document["pixels_sha256"],
        document["width"],
        document["height"],
    )
    condition = "mixed" if targets else "distractors"
    notes = {
        "question": {"asked": f"every {listed(named.asked)}"},
        "answer": {"asked": list(named.asked), "absent": list(named.absent), "condition": condition},
        "others": sorted({item["label"] for item in document["objects"]} - set(named.asked)),
    }
    return Entry(document["image_id"], file, targets, notes)


OPTIONS = (
    Option("of", "shapes", "The data set whose test images are asked"),
    Option("seed", 0, "Of the classes that are named"),
    Option("present", 2, "How many classes of its own a mixed question names at most"),
    Option("absent", 2, "How many absent classes each question names"),
)
DATASET = Dataset(
    "absent",
    1,
    "that of the images' own set",
    "test images of another data set",
    build,
    ("test",),
    options=OPTIONS,
    size="as its set",
)
