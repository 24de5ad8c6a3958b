"""The object-centric subset of COCO 2017: few objects an image, of the most frequent classes but person and car.

Source: "Dense Coordinate-List Fine-Tuning" (arXiv 2606.14507), section 3: val2017 without person and car, the ten most
frequent remaining classes, images with two to six target objects, 780 for training and 120 for evaluation, and a
"scale-matched 160/80 split drawn from the same subset". What that leaves open is an option of the rows below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.tasks.datasets.coco_file import read_coco_file
from boxlist.tasks.datasets.dataset import Dataset, Needs, Option, Order
from boxlist.tasks.datasets.detection_split import choices_of, class_words, funnel_notes
from boxlist.tasks.datasets.object_selection import in_drawing_order, select
from boxlist.tasks.datasets.split_drawing import draw
from boxlist.tasks.datasets.split_writing import Entry, write_index
from boxlist.tasks.datasets.whatsup_overlap import overlap_note, read_whatsup

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.image_files import ImageFile
    from boxlist.tasks.datasets.object_selection import Candidate, Selection

VERSION = 1
LICENCE = "annotations CC BY 4.0; images under their owners' Flickr terms"
SOURCE = "COCO 2017 (cocodataset.org), selected as in arXiv 2606.14507, section 3"
_NEEDS = Needs(
    "the COCO 2017 folder: annotations/instances_val2017.json and val2017/*.jpg", "https://cocodataset.org/#download"
)

_OPTIONS = (
    Option("subset", "val2017", "the images and annotations that it is drawn from", ("val2017", "train2017")),
    Option("seed", 0, "of the order in which images are drawn"),
    Option("excluded", "person,car", "classes that are no targets, with commas between them"),
    Option("exclude", "classes", "leave out excluded classes, or images that show one", ("classes", "images")),
    Option("classes", 10, "how many of the most frequent other classes are targets; 0 is all"),
    Option("rank_by", "instances", "what makes a class frequent", ("instances", "images")),
    Option("rank_crowds", False, "whether a crowd region counts as an instance in the ranking"),
    Option("fewest", 2, "target objects that an image has at least"),
    Option("most", 6, "target objects that an image has at most; 0 is any number"),
    Option(
        "crowds",
        "drop_image",
        "an image with a crowd region of a target class: drop it, leave the region out, or count it as an object",
        ("drop_image", "leave_out", "count"),
    ),
    Option("others", "allow", "what to do with images that show other classes too", ("allow", "drop_image")),
    Option("min_area_px", 0.0, "area of the smallest box that is an object, in square pixels"),
    Option("clip", True, "clip boxes to the image"),
    Option("coordinates", "exact", "as annotated, to a hundredth of a pixel, or in whole pixels", ("exact", "whole")),
    Option("named", "all", "the classes that a prompt names: all, or those in the image", ("all", "present")),
    Option("whatsup", "", "folder of What's Up's COCO_QA_*.json, to find shared images"),
)


def build(order: Order) -> None:
    """Write both splits. The first images in drawing order are the test split, the next ones the train split."""
    options = order.options
    subset: str = options["subset"]
    root = order.source_folder / subset
    file = read_coco_file(order.source_folder / "annotations" / f"instances_{subset}.json")
    selection = select(file, choices_of(options), f"data {order.dataset.name}")
    asked = read_whatsup(options["whatsup"]) if options["whatsup"] else None
    drawn = _draw_splits(selection, order, root)
    for split, images in drawn.splits.items():
        names = [image.name for _, image in images]
        made_from = {
            "annotations": {f"instances_{subset}.json": file.sha256},
            "class_list": list(selection.classes),
            "images": [{"id": candidate.image.id, "file_name": image.name} for candidate, image in images],
            "asked_in_whatsup": None if asked is None else {"files": asked.files, "shared": asked.shared(names)},
        }
        notes = [*drawn.repeated, overlap_note(asked, names, split)]
        if split == "train":
            notes = [*funnel_notes(selection, len(selection.candidates)), *notes]
        heading = order.heading(split, selection.classes, made_from=made_from, funnel=selection.funnel, notes=notes)
        entries = [
            Entry(candidate.image.id, image, candidate.objects, {"question": {"classes": words}})
            for candidate, image in images
            for words in [class_words(candidate, selection.classes, options["named"])]
        ]
        write_index(order.folder / split, heading, root, entries)


class _Splits(NamedTuple):
    """The images of each split, by id, and what was passed over because its picture was there before."""

    splits: dict[str, list[tuple[Candidate, ImageFile]]]
    repeated: list[str]


def _draw_splits(selection: Selection, order: Order, root: Path) -> _Splits:
    """Nested: draw the splits of `coco` and take the first images of each, so that no test split holds an image that a
    train split has, of either set. Else: an order of its own."""
    options, name = order.options, order.dataset.name
    nested = options.get("nested", True)
    wanted = {split: options[f"{split}_images"] for split in ("train", "test")}
    sizes = {split: max(size, nested * options.get(f"of_{split}_images", 0)) for split, size in wanted.items()}
    candidates = in_drawing_order(selection.candidates, options["seed"], "" if nested else "drawn anew")
    taken: dict[str, str] = {}
    test = draw(candidates, sizes["test"], root, taken, name)
    train = draw(test.rest, sizes["train"], root, taken, name)
    images = {"train": train.images[: wanted["train"]], "test": test.images[: wanted["test"]]}
    by_id = {split: sorted(pairs, key=lambda pair: pair[0].image.id) for split, pairs in images.items()}
    return _Splits(by_id, [f"passed over: {line}" for line in [*test.repeated, *train.repeated]])


def _row(name: str, train_images: int, test_images: int, *more: Option) -> Dataset:
    sizes = (
        Option("train_images", train_images, "images of the train split"),
        Option("test_images", test_images, "images of the test split"),
    )
    options = (*sizes, *more, *_OPTIONS)
    return Dataset(name, VERSION, LICENCE, SOURCE, build, needs=_NEEDS, options=options, size=str(test_images))


_NESTED = (
    Option("nested", True, "draw the splits from those of coco, not from the whole pool anew"),
    Option("of_train_images", 780, "images of the split that the train split is drawn from"),
    Option("of_test_images", 120, "images of the split that the test split is drawn from"),
)
DATASETS = (_row("coco", 780, 120), _row("coco_80", 160, 80, *_NESTED))
