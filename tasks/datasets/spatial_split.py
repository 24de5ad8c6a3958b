"""Writing questions about places of somebody's images, split by split: one document a question.

Each document carries the captions, the expression and the boxes, so that the redundancy paper's three kinds of set
(captions, referring, referring with a hint) are three probes of one data set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.tasks.datasets.dataset import Option
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.tasks.datasets.image_files import ImageFile, read_image_files
from boxlist.tasks.datasets.spatial_words import place_notes
from boxlist.tasks.datasets.split_folder import make_object
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.dataset import Order
    from boxlist.tasks.datasets.image_files import ImageFiles
    from boxlist.tasks.datasets.spatial_words import Place


WORD_OPTIONS = (
    Option("options", 2, "captions to choose from: the right one and its opposite, or all four", (2, 4)),
    Option("seed", 0, "of the order of the captions"),
)
TRAIN_OPTION = Option("train", True, "whether the train split is made too")


class Asked(NamedTuple):
    """One question: the image's name under the source folder, and the place that is asked about."""

    image: str
    place: Place


class SplitPlan(NamedTuple):
    """What a split is to hold: its questions in order, how they were found, line by line, the files that they were
    read from, and how many the paper has."""

    asked: Sequence[Asked]
    funnel: Sequence[str]
    sources: Sequence[Path]
    paper_size: int


def wanted(order: Order, split: str) -> bool:
    """Whether the user wants a split."""
    return split == "test" or bool(order.options["train"])


def write_places(order: Order, plans: Mapping[str, SplitPlan]) -> None:
    """Write every split of the data set; one without a plan is left empty.

    A question is dropped, and counted, where its image cannot be read or has another size than its annotation says,
    and in other splits than test where its picture is in the test split.
    """
    names = [one.image for plan in plans.values() for one in plan.asked]
    files = read_image_files(order.source_folder, names, order.dataset.name)
    tested = {file.pixels_sha256 for _, file in _usable(plans["test"], files)}
    if not tested:
        raise InputError(
            f"{order.source_folder}",
            expected="images for the questions of its annotations",
            got=f"none for {len(plans['test'].asked)} questions",
            remedy="Give the folder that holds them, or loosen the filters: --option NAME=VALUE",
        )
    for split in order.dataset.splits:
        plan = plans.get(split, SplitPlan((), ("left out: train=false",), (), 0))
        usable = _usable(plan, files)
        kept = usable if split == "test" else [(one, file) for one, file in usable if file.pixels_sha256 not in tested]
        notes = [*plan.funnel, *_dropped(len(plan.asked) - len(usable), "no image, or one of another size")]
        notes += _dropped(len(usable) - len(kept), "the picture is in the test split")
        if split in plans:
            notes.append(f"{len(kept)} questions; {plan.paper_size} in the redundancy paper")
        _write(order, split, plan, kept, notes)


def _usable(plan: SplitPlan, files: ImageFiles) -> list[tuple[Asked, ImageFile]]:
    found = [(one, files.good[one.image]) for one in plan.asked if one.image in files.good]
    return [(one, file) for one, file in found if (file.width, file.height) == one.place.size_wh_px]


def _write(
    order: Order, split: str, plan: SplitPlan, kept: Sequence[tuple[Asked, ImageFile]], notes: list[str]
) -> None:
    entries = []
    for number, (one, file) in enumerate(kept, start=1):
        words = place_notes(one.place, order.options["options"], [order.options["seed"], len(split), number])
        entries.append(Entry(number, file, [make_object(one.place.subject, one.place.box_xyxy_px)], words))
    made_from = {f"{path.stem}_sha256": file_sha256(path) for path in plan.sources}
    labels = sorted({one.place.subject for one, _ in kept})
    heading = order.heading(split, labels, made_from=made_from, notes=notes)
    write_index(order.folder / split, heading, order.source_folder, entries)


def _dropped(count: int, why: str) -> list[str]:
    return [f"{count} questions dropped: {why}"] if count else []
