"""What's Up (Kamath, Hessel and Chang, EMNLP 2023): captions of which one fits, from the files as they are given out.

The folder is the `data` of github.com/amitakamath/whatsup_vlms. Controlled images are lists of objects with
`image_path` (`data/controlled_images/mug_left_of_table.jpeg`) and `caption_options`; COCO and GQA (`vg_qa`) ones are
lists of `[image_id, right, wrong]`. The first caption is the right one. Images stay where they are.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from boxlist.errors import InputError
from boxlist.metrics.json_input import NotJsonError, parse_json
from boxlist.tasks.datasets.dataset import Dataset, Needs, Option, Order
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.tasks.datasets.image_files import read_image_files
from boxlist.tasks.datasets.spatial_words import option_notes
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

VERSION = 1
SOURCE = "What's Up, github.com/amitakamath/whatsup_vlms (EMNLP 2023, aclanthology.org/2023.emnlp-main.568)"
LICENCE = "MIT (questions); images: What's Up's own, COCO 2017 and Visual Genome, each under its own terms"
_NEEDS = Needs(
    "What's Up's data folder, with its JSON files, controlled_images/, controlled_clevr/, val2017/ and vg_images/",
    "the Google Drive link in github.com/amitakamath/whatsup_vlms",
)
_AXES = {"left": "across", "right": "across", "on": "up", "under": "up", "in-front": "depth", "behind": "depth"}


class Subset(NamedTuple):
    """One of the six files: our name for it, the redundancy paper's, where it lies, and its size in that paper."""

    name: str
    shorthand: str
    file: str
    images: str
    size: int


SUBSETS = (
    Subset("whatsup_a", "W2", "controlled_images_dataset.json", "controlled_images", 412),
    Subset("whatsup_b", "W1", "controlled_clevr_dataset.json", "controlled_clevr", 408),
    Subset("whatsup_coco_one", "COO", "coco_qa_one_obj.json", "val2017", 2247),
    Subset("whatsup_coco_two", "CTO", "coco_qa_two_obj.json", "val2017", 440),
    Subset("whatsup_gqa_one", "GOO", "vg_qa_one_obj.json", "vg_images", 1160),
    Subset("whatsup_gqa_two", "GTO", "vg_qa_two_obj.json", "vg_images", 291),
)


class Question(NamedTuple):
    """One question of a file: its image's name under the folder, the captions, the right one first, and its group."""

    image: str
    captions: tuple[str, ...]
    group: dict[str, str]


def build(order: Order, subset: Subset) -> None:
    """Write the questions of a file in its order, numbered from 1; the number seeds the order of the captions."""
    path = order.source_folder / subset.file
    questions = list(read_questions(path, subset))
    files = read_image_files(order.source_folder, [question.image for question in questions], order.dataset.name)
    entries, dropped = [], Counter[str]()
    for number, question in enumerate(questions, start=1):
        if question.image in files.bad:
            dropped[files.bad[question.image].fault] += 1
            continue
        notes = option_notes(question.captions, [order.options["seed"], number])
        notes["answer"] |= question.group
        entries.append(Entry(number, files.good[question.image], [], notes))
    if not entries:
        raise InputError(
            f"{order.source_folder / subset.images}",
            expected=f"the images that {subset.file} names",
            got=next(iter(files.bad.values())).detail if files.bad else "no questions",
            remedy="Give the folder that holds them: --from DIR",
        )
    told = [f"{len(entries)} questions; {subset.size} in the redundancy paper, where it is called {subset.shorthand}"]
    told += [f"{count} questions dropped: their image is {fault}" for fault, count in sorted(dropped.items())]
    heading = order.heading("test", (), made_from={"annotations_sha256": file_sha256(path)}, notes=told)
    write_index(order.folder / "test", heading, order.source_folder, entries)


def read_questions(path: Path, subset: Subset) -> Iterator[Question]:
    """The questions of a file. Raises `InputError`, naming the row, for anything that is not in the format."""
    try:
        rows = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, NotJsonError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path}", expected="What's Up's JSON", got=got, remedy="Give its data folder: --from DIR"
        ) from error
    if not isinstance(rows, list):
        raise _wrong(path, 0, "a list", rows)
    controlled = subset.images.startswith("controlled_")
    for number, row in enumerate(rows, start=1):
        yield _controlled(path, number, row, subset) if controlled else _pair(path, number, row, subset)


def _controlled(path: Path, number: int, row: Any, subset: Subset) -> Question:
    fields = row if isinstance(row, dict) else {}
    place, captions = fields.get("image_path"), fields.get("caption_options")
    if not isinstance(place, str) or not _are_captions(captions, 4):
        raise _wrong(path, number, '{"image_path": ..., "caption_options": [four captions]}', row)
    name = place.replace("\\", "/").rpartition("/")[2]
    # mug_left_of_table.jpeg: the first word, the second and the last are what the authors group by
    words = name.rpartition(".")[0].split("_")
    if len(words) < 3 or words[1] not in _AXES:
        raise _wrong(path, number, "an image called OBJECT_PREPOSITION_OBJECT", place)
    group = f"{words[0]}|{words[-1]}"
    return Question(f"{subset.images}/{name}", tuple(captions), {"set": group, "pair": f"{group}|{_AXES[words[1]]}"})


def _pair(path: Path, number: int, row: Any, subset: Subset) -> Question:
    if not isinstance(row, list) or len(row) != 3 or not _are_captions(row[1:], 2):
        raise _wrong(path, number, "[image id, right caption, wrong caption]", row)
    image_id = str(row[0])
    if not image_id.isascii() or not image_id.isdigit() or isinstance(row[0], bool):
        raise _wrong(path, number, "an image id that is a whole number", row[0])
    name = f"{image_id:0>12}" if subset.images == "val2017" else image_id
    return Question(f"{subset.images}/{name}.jpg", tuple(row[1:]), {})


def _are_captions(value: object, count: int) -> TypeGuard[list[str]]:
    return isinstance(value, list) and len(value) == count and all(isinstance(text, str) for text in value)


def _wrong(path: Path, number: int, expected: str, got: object) -> InputError:
    return InputError(
        f"{path}: row {number}", expected=expected, got=repr(got)[:120], remedy="Get the file again, or correct it."
    )


def _row(subset: Subset) -> Dataset:
    return Dataset(
        subset.name,
        VERSION,
        LICENCE,
        SOURCE,
        functools.partial(build, subset=subset),
        splits=("test",),
        size=f"{subset.size:,}",
        needs=_NEEDS,
        options=(Option("seed", 0, "of the order of the captions"),),
        shares_pictures=not subset.images.startswith("controlled_"),
    )


DATASETS: Sequence[Dataset] = tuple(_row(subset) for subset in SUBSETS)
