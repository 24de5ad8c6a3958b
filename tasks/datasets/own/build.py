"""Building a set of the user's own: its splits with the images left in place, and the probe that asks about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import yaml

from boxlist.errors import InputError
from boxlist.tasks.datasets.image_files import read_image_files
from boxlist.tasks.datasets.own.faults import Tally
from boxlist.tasks.datasets.own.selection import (
    Kept,
    choose_boxes,
    class_labels,
    keep_images,
    split_by_content,
)
from boxlist.tasks.datasets.own.sources import Source, read_source
from boxlist.tasks.datasets.split_writing import Entry, write_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.dataset import Order
    from boxlist.tasks.datasets.own.spec import OwnSpec

SPEC_FILE, STUB_FILE = "own.json", "test.json"
TASK_PREFIX = "boxlist_dense_bbox_"
_PROMPT = "Detect every object of these classes in the image: {}. Answer with a JSON list of {{box_format}}."
_STILL = 20  # classes that a note lists


class Split(NamedTuple):
    """One split before it is written: its images and the folder that their names count from."""

    kept: Sequence[Kept]
    root: Path


class Plan(NamedTuple):
    """A set before it is written."""

    splits: dict[str, Split]
    labels: list[str]
    notes: list[str]
    source: Source


def build_own(order: Order, spec: OwnSpec, template: Path) -> None:
    """Write the splits, the spec, and the probe; `template` is what the probe's YAML includes.

    Raises `InputError` for whatever `spec` says to refuse.
    """
    tally = Tally()
    plan = plan_own(spec, tally)
    tally.refuse(spec.annotations, spec)
    made_from = {**spec.choices(), **{f"{name}_sha256": value for name, value in plan.source.sha256.items()}}
    for split, (kept, root) in plan.splits.items():
        if not kept:
            raise InputError(
                f"{spec.annotations}: {split} split",
                expected="at least one image",
                got="; ".join(plan.notes) or "none",
                remedy="Choose other classes or filters.",
            )
        heading = order.heading(split, plan.labels, made_from=made_from, notes=plan.notes if split == "test" else [])
        write_index(order.folder / split, heading, root, _entries(kept))
    _write_probe(order.folder, order.dataset.name, plan.labels, template)
    (order.folder / SPEC_FILE).write_text(json.dumps(spec.to_json(), indent=1) + "\n", encoding="ascii")


def plan_own(spec: OwnSpec, tally: Tally) -> Plan:
    """Read, check, filter and split; what is wrong is counted in `tally`, and nothing is refused for it here."""
    source = read_source(spec)
    files = [file for file, _ in source.parts.values()]
    categories = {category.id: category for file in files for category in file.categories}
    if any(categories[category.id].name != category.name for file in files for category in file.categories):
        remedy = "Give files of one set."
        raise InputError(spec.annotations, expected="one list of classes", got="two", remedy=remedy)
    labels = class_labels(categories.values(), spec, spec.annotations)
    parts: dict[str, Split] = {}
    for split, (file, root) in source.parts.items():
        chosen = choose_boxes(file, labels, spec, tally)
        names = [one.image.file_name or "" for one in chosen]
        read = read_image_files(root, names, f"reading {split} images" if split != "all" else "reading images")
        parts[split] = Split(keep_images(chosen, read, tally), root)
    splits = _as_asked(_split(parts, spec, tally), spec)
    used = {item["label"] for split in parts.values() for one in split.kept for item in one.objects}
    unused = [label for label in dict.fromkeys(labels.values()) if label not in used and label not in spec.classes]
    named = [label for label in spec.classes or dict.fromkeys(labels.values()) if label not in unused]
    return Plan(splits, named, [*tally.notes(spec), *_unused_note(unused)], source)


def _split(parts: dict[str, Split], spec: OwnSpec, tally: Tally) -> dict[str, Split]:
    """Train and test: the set's own, or by content and seed; test alone where nothing is to be trained on."""
    if "all" not in parts:
        if spec.split_share or spec.part == "all":
            option = "--split-share" if spec.split_share else "--part all"
            got = "a set with its own train split"
            raise InputError(option, expected="a set without splits", got=got, remedy="Drop it.")
        evaluated = {one.file.pixels_sha256 for one in parts["test"].kept}
        train = [one for one in parts["train"].kept if one.file.pixels_sha256 not in evaluated]
        for one in parts["train"].kept:
            if one.file.pixels_sha256 in evaluated:
                tally.add("in_both_splits", f"image {str(one.image.id)[:40]}, {one.file.name}")
        return {"train": Split(train, parts["train"].root), "test": parts["test"]}
    kept, root = parts["all"]
    if not spec.split_share or spec.part == "all":
        return {"test": parts["all"]}
    train, test = split_by_content(kept, spec.split_share, spec.split_seed)
    return {"train": Split(train, root), "test": Split(test, root)}


def _as_asked(splits: dict[str, Split], spec: OwnSpec) -> dict[str, Split]:
    """What the probe asks about becomes the test split."""
    if spec.part != "train":
        return splits
    if "train" not in splits:
        remedy = "Add --split-share, or ask about all."
        raise InputError("--part train", expected="a train split", got="none", remedy=remedy)
    return {"test": splits["train"]}


def _entries(kept: Sequence[Kept]) -> list[Entry]:
    """One document an image, under the annotations' own numbers, or counted from 1 where those are text."""
    numbered = all(isinstance(one.image.id, int) for one in kept)
    return [
        Entry(one.image.id, one.file, one.objects, {})
        if numbered and isinstance(one.image.id, int)
        else Entry(place, one.file, one.objects, {"source_id": one.image.id})
        for place, one in enumerate(kept, start=1)
    ]


def _unused_note(unused: Sequence[str]) -> list[str]:
    if not unused:
        return []
    more = f" and {len(unused) - _STILL} more" if len(unused) > _STILL else ""
    return [f"classes without a box, which the prompt does not name: {', '.join(unused[:_STILL])}{more}"]


def _write_probe(folder: Path, name: str, labels: Sequence[str], template: Path) -> None:
    """The probe as YAML, which stock lmms-eval reads too; it includes the template of the installed boxlist."""
    probe = {
        "include": str(template),
        "task": TASK_PREFIX + name,
        "dataset_kwargs": {"data_files": {"test": STUB_FILE}},
        "lmms_eval_specific_kwargs": {"default": {"prompt": _PROMPT.format(", ".join(labels))}},
        "metadata": {"version": 1.0, "probe": "dense_bbox", "dataset": name},
    }
    text = yaml.safe_dump(probe, sort_keys=False, allow_unicode=True, width=120)
    (folder / f"{TASK_PREFIX}{name}.yaml").write_text(text, encoding="utf-8", newline="\n")
    stub = json.dumps({"dataset": name, "split": "test"}) + "\n"
    (folder / STUB_FILE).write_text(stub, encoding="ascii", newline="\n")
