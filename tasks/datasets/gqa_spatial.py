"""GQA-spatial of the redundancy paper, its referring expressions with and without a hint, from GQA's own files.

A question of GQA is kept when its program relates two single objects of the scene graph as left or right and its
answer does not deny it; from then on only the two objects and their relation matter. The names of the scene graph have
no qualifiers. GQA's balanced questions are taken, train and val.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from boxlist.errors import InputError
from boxlist.tasks.datasets.dataset import Dataset, Needs, Option, Order
from boxlist.tasks.datasets.spatial_filters import Thing, has_area
from boxlist.tasks.datasets.spatial_split import TRAIN_OPTION, WORD_OPTIONS, Asked, SplitPlan, wanted, write_places
from boxlist.tasks.datasets.spatial_words import Place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.metrics.spatial_count import Relation

VERSION = 1
LICENCE = "CC BY 4.0 (questions and scene graphs); images of Visual Genome, each under its own terms"
SOURCE = "GQA (arXiv 1902.09506), filtered as the redundancy paper describes"
PAPER_SIZES = {"train": 66_356, "test": 9_265}
_FILES = {"train": "train", "test": "val"}
_RELATING = frozenset({"relate", "verify rel", "choose rel"})
# name,relation,s (object id): s says that the named object is the subject of the relation, o that it is its object
_RELATION = re.compile(r"[^,]*,(?P<relation>[^,]+),(?P<role>[so]) \((?P<id>\d+)\)")
_OBJECT = re.compile(r".*\((\d+)\)")
_SIDES: dict[str, Relation] = {"to the left of": "left", "to the right of": "right"}
_File = TypeVar("_File")


class Step(msgspec.Struct, gc=False):
    """One step of a question's program."""

    operation: str
    argument: str
    dependencies: list[int] = []


class Asking(msgspec.Struct, gc=False):
    """What is used of a question."""

    imageId: str  # noqa: N815 - GQA's name
    answer: str
    semantic: list[Step]


class _Object(msgspec.Struct, gc=False):
    name: str
    x: float
    y: float
    w: float
    h: float


class _Scene(msgspec.Struct, gc=False):
    width: int
    height: int
    objects: dict[str, _Object]


class Related(NamedTuple):
    """Two objects by their ids, and where the first is seen from the second."""

    subject: str
    relation: Relation
    reference: str


def build(order: Order) -> None:
    """Write both splits."""
    write_places(order, {split: _plan(order, split) for split in order.dataset.splits if wanted(order, split)})


def _plan(order: Order, split: str) -> SplitPlan:
    paths = [order.source_folder / f"{_FILES[split]}_{name}.json" for name in ("sceneGraphs", "balanced_questions")]
    asked, funnel = questions(paths[0], paths[1], order.options)
    return SplitPlan(asked, funnel, paths, PAPER_SIZES[split])


def questions(scene_path: Path, question_path: Path, options: Mapping[str, object]) -> tuple[list[Asked], list[str]]:
    """The questions that are kept, in the order of their ids, and how they were found, in words."""
    scenes = _read(scene_path, dict[str, _Scene])
    asked = _read(question_path, dict[str, Asking])
    counts = Counter[str]()
    found: dict[tuple[str, Related], Asked] = {}
    for number in sorted(asked):
        question = asked[number]
        scene = scenes.get(question.imageId)
        for related in relations(question):
            counts["relations of left and right"] += 1
            place = None if scene is None else _place(scene, related)
            if scene is None or place is None:
                continue
            counts["with both objects in the scene"] += 1
            if not _are_large(place, options) or (options["repeated"] == "drop" and _is_repeated(scene, place)):
                continue
            counts["that pass the filters on objects"] += 1
            key = number if options["duplicates"] == "keep" else ""
            found.setdefault((question.imageId + key, related), Asked(f"images/{question.imageId}.jpg", place))
    steps = [f"{len(asked)} balanced questions", *(f"{count} {name}" for name, count in counts.items())]
    return list(found.values()), [*steps, f"{len(found)} that differ"]


def relations(question: Asking) -> list[Related]:
    """What a question says, or asks and is answered, about left and right of two single objects."""
    found = []
    for step in question.semantic:
        match = _RELATION.fullmatch(step.argument) if step.operation in _RELATING else None
        side = match and _side(step.operation, match["relation"], question.answer)
        other = _object_of(question.semantic, step.dependencies)
        if match and side and other:
            subject, reference = (match["id"], other) if match["role"] == "s" else (other, match["id"])
            found.append(Related(subject, side, reference))
    return found


def _side(operation: str, relation: str, answer: str) -> Relation | None:
    if operation == "choose rel":
        offered = [name for name in relation.split("|") if name in _SIDES]
        return next((_SIDES[name] for name in offered if _SIDES[name] in answer.split()), None)
    return None if operation == "verify rel" and answer != "yes" else _SIDES.get(relation)


def _object_of(program: Sequence[Step], dependencies: Sequence[int]) -> str | None:
    """The object that a step is applied to: what was selected or related, before any filter on it."""
    seen = 0
    while dependencies and 0 <= dependencies[0] < len(program) and seen <= len(program):
        step, seen = program[dependencies[0]], seen + 1
        if not step.operation.startswith("filter"):
            match = _OBJECT.fullmatch(step.argument)
            return match[1] if match else None
        dependencies = step.dependencies
    return None


def _place(scene: _Scene, related: Related) -> Place | None:
    subject, reference = scene.objects.get(related.subject), scene.objects.get(related.reference)
    if subject is None or reference is None or subject is reference or subject.name == reference.name:
        return None
    size = scene.width, scene.height
    return Place(subject.name, related.relation, _box(subject), size, reference.name, _box(reference))


def _box(item: _Object) -> tuple[float, float, float, float]:
    return item.x, item.y, item.x + item.w, item.y + item.h


def _are_large(place: Place, options: Mapping[str, object]) -> bool:
    boxes = (place.box_xyxy_px, place.reference_xyxy_px)
    return all(has_area(Thing("", (b[0], b[1], b[2], b[3])), place.size_wh_px, options) for b in boxes)


def _is_repeated(scene: _Scene, place: Place) -> bool:
    names = [item.name for item in scene.objects.values()]
    return names.count(place.subject) > 1 or names.count(str(place.reference)) > 1


def _read(path: Path, kind: type[_File]) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(
            f"{path}",
            expected="GQA's file",
            got=getattr(error, "strerror", None) or str(error)[:160],
            remedy="Give the folder with GQA's files: --from DIR; without the training files add --option train=false.",
        ) from error


DATASET = Dataset(
    "gqa_spatial",
    VERSION,
    LICENCE,
    SOURCE,
    build,
    size=f"{PAPER_SIZES['test']:,} in the paper",
    shares_pictures=True,
    needs=Needs(
        "GQA's folder, with {train,val}_sceneGraphs.json, {train,val}_balanced_questions.json and images/",
        "https://cs.stanford.edu/people/dorarad/gqa/download.html",
    ),
    options=(
        Option("min_area", 0.03, "the least share of the image that a box may cover"),
        Option("max_area", 1.0, "the largest share of the image that a box may cover; the paper names none for GQA"),
        Option("repeated", "keep", "whether objects of a name that is in the scene twice stay", ("keep", "drop")),
        Option("duplicates", "drop", "questions that say the same of the same image", ("drop", "keep")),
        *WORD_OPTIONS,
        TRAIN_OPTION,
    ),
)
