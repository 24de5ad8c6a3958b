"""InsPLAD-det: parts of power lines in photographs from drones, 160 images to train on and 80 to ask about.

Source: InsPLAD (arXiv 2311.01619), COCO files annotations/instances_train.json and instances_val.json beside train/ and
val/. The published files have two traps. 46 file names of the train file stand for two image records each, with
different boxes, so for one picture there are two ground truths. And there are 18 categories where the paper has 17:
`sphere` occurs in the train file only. Both are told, in the build's output and in the manifest.

The licence is non-commercial: images and annotations stay where they are, none is part of boxlist.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.tasks.datasets.coco_file import read_coco_file
from boxlist.tasks.datasets.dataset import Dataset, Needs, Option, Order
from boxlist.tasks.datasets.detection_questions import ask_about
from boxlist.tasks.datasets.detection_split import choices_of, class_words, funnel_notes, names_in
from boxlist.tasks.datasets.object_selection import in_drawing_order, select
from boxlist.tasks.datasets.split_drawing import draw
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from boxlist.tasks.datasets.coco_file import CocoFile
    from boxlist.tasks.datasets.object_selection import Candidate, Selection
    from boxlist.tasks.datasets.split_drawing import Drawn

VERSION = 1
LICENCE = (
    "non-commercial (its repository: CC BY-NC 3.0; cited elsewhere as CC BY-NC-SA 4.0); never passed on by boxlist"
)
SOURCE = "InsPLAD-det (github.com/andreluizbvs/InsPLAD, arXiv 2311.01619)"
CLASSES_OF_THE_PAPER = 17
_NEEDS = Needs(
    "InsPLAD-det as unpacked: annotations/instances_train.json and instances_val.json, train/ and val/",
    "the Google Drive link in github.com/andreluizbvs/InsPLAD (InsPLAD-det.zip; non-commercial licence)",
)
_OPTIONS = (
    Option("train_images", 160, "images of the train split"),
    Option("test_images", 80, "images of the test split"),
    Option("test_from", "val", "the file that the test split is drawn from", ("val", "train")),
    Option("seed", 0, "of the order in which images are drawn"),
    Option(
        "doubled",
        "quarantine",
        "file names with several image records: leave them all out, or keep each record as it is",
        ("quarantine", "keep"),
    ),
    Option("excluded", "sphere", "classes that are no targets, with commas between them"),
    Option("exclude", "classes", "leave out excluded classes, or images that show one", ("classes", "images")),
    Option("fewest", 1, "objects that an image has at least"),
    Option("most", 0, "objects that an image has at most; 0 is any number"),
    Option("min_area_px", 0.0, "area of the smallest box that is an object, in square pixels"),
    Option("clip", True, "clip boxes to the image"),
    Option("coordinates", "exact", "as annotated, or in whole pixels", ("exact", "whole")),
    Option("named", "all", "the classes that a prompt names: all, or those in the image", ("all", "present")),
)


class _Source(NamedTuple):
    """One of the two files: what it says, which names are doubled in it (with their image ids), what may be drawn, and
    what is asked of each image about counts and places, by its id; of a few, nothing can be asked."""

    file: CocoFile
    doubled: dict[str, list[int]]
    selection: Selection
    questions: dict[int, dict[str, Any]]


def build(order: Order) -> None:
    """Write both splits, the test split drawn first."""
    options, name = order.options, order.dataset.name
    sources = {part: _read_source(order, part) for part in ("train", "val")}
    part_of = {"train": "train", "test": options["test_from"]}
    classes = _class_list(sources)
    taken: dict[str, str] = {}
    drawn: dict[str, Drawn] = {}
    ready: dict[str, int] = {}
    for split in ("test", "train"):
        used = {candidate.image.file_name for candidate, _ in drawn["test"].images} if drawn else set()
        candidates = _candidates(sources, part_of[split], options, used)
        ready[split] = len(candidates)
        drawn[split] = draw(candidates, options[f"{split}_images"], order.source_folder / part_of[split], taken, name)
    for split in ("train", "test"):
        part, source = part_of[split], sources[part_of[split]]
        notes = [
            *_class_notes(source, part, options),
            *_doubled_notes(source, part, options),
            *funnel_notes(source.selection, ready[split]),
            *(f"passed over: {line}" for line in drawn[split].repeated),
        ]
        entries = list(_entries(drawn[split], source, classes, options["named"]))
        made_from = {
            "annotations": {f"instances_{part}.json": source.file.sha256},
            "class_list": list(classes),
            "images": [{"id": entry.image_id, "file_name": entry.file.name} for entry in entries],
            "doubled_file_names": source.doubled,
        }
        heading = order.heading(split, classes, made_from=made_from, funnel=source.selection.funnel, notes=notes)
        write_index(order.folder / split, heading, order.source_folder / part, entries)


def _entries(drawn: Drawn, source: _Source, classes: Sequence[str], named: str) -> Iterator[Entry]:
    """The documents by image id, each with the words of its prompts and the answer to its question."""
    for candidate, file in sorted(drawn.images, key=lambda pair: pair[0].image.id):
        asked = source.questions[candidate.image.id]
        words = {"classes": class_words(candidate, classes, named), **asked["question"]}
        yield Entry(candidate.image.id, file, candidate.objects, {"question": words, "answer": asked["answer"]})


def doubled_names(file: CocoFile) -> dict[str, list[int]]:
    """The file names that stand for several image records, with the ids of those, sorted."""
    ids: dict[str, list[int]] = defaultdict(list)
    for image in file.images:
        ids[image.file_name].append(image.id)
    return {name: sorted(ids[name]) for name in sorted(ids) if len(ids[name]) > 1}


def _read_source(order: Order, part: str) -> _Source:
    where = order.source_folder / "annotations" / f"instances_{part}.json"
    file = read_coco_file(where)
    choices = choices_of(order.options)
    there = tuple(name for name in choices.excluded if name in file.labels.values())  # `sphere` may be in one file only
    selection = select(file, replace(choices, excluded=there), where.name)
    questions = {}
    for image, objects in selection.candidates:
        size_wh_px = image.width, image.height
        asked = ask_about(objects, size_wh_px, selection.classes, [order.options["seed"], image.id])
        if asked is not None:
            questions[image.id] = asked
    return _Source(file, doubled_names(file), selection, questions)


def _class_list(sources: Mapping[str, _Source]) -> tuple[str, ...]:
    """The classes of both files, by their number in the train file, then those that only the other has."""
    return tuple(dict.fromkeys([*sources["train"].selection.classes, *sources["val"].selection.classes]))


def _candidates(
    sources: Mapping[str, _Source], part: str, options: Mapping[str, Any], used: set[str]
) -> list[Candidate]:
    """What may be drawn from a file, in drawing order: images that carry a question, under a name that neither the test
    split nor the val file has."""
    source = sources[part]
    barred = set(source.doubled) if options["doubled"] == "quarantine" else set()
    if part == "train":
        barred |= {image.file_name for image in sources["val"].file.images}
    barred |= used
    return [
        candidate
        for candidate in in_drawing_order(source.selection.candidates, options["seed"], part)
        if candidate.image.file_name not in barred and candidate.image.id in source.questions
    ]


def _class_notes(source: _Source, part: str, options: Mapping[str, Any]) -> list[str]:
    """How many classes the file has against the paper's 17, and what becomes of those beyond."""
    numbers = Counter(source.file.labels[box.category_id] for box in source.file.boxes)
    excluded = names_in(options["excluded"])
    told = ", ".join(f"{name} ({numbers[name]} boxes)" for name in excluded)
    note = (
        f"instances_{part}.json: {len(source.file.labels)} classes, {CLASSES_OF_THE_PAPER} in the paper; "
        f"left out: {told or 'none'}"
    )
    left = set(source.file.labels.values()) - set(excluded)
    if len(left) != CLASSES_OF_THE_PAPER:
        return [note, f"WARNING: {len(left)} classes are left, not {CLASSES_OF_THE_PAPER}; see --option excluded"]
    return [note]


def _doubled_notes(source: _Source, part: str, options: Mapping[str, Any]) -> list[str]:
    if not source.doubled:
        return [f"instances_{part}.json: no file name stands for several image records"]
    records = sum(map(len, source.doubled.values()))
    fate = "quarantined" if options["doubled"] == "quarantine" else "kept, so a picture may be asked about twice"
    told = f"{len(source.doubled)} file names stand for {records} image records: {fate} (all in the manifest)"
    return [f"instances_{part}.json: {told}"]


DATASET = Dataset("insplad", VERSION, LICENCE, SOURCE, build, needs=_NEEDS, options=_OPTIONS, size="80")
