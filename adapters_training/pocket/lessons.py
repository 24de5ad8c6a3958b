"""What the pocket base is taught to say: questions and answers about one drawn scene.

It learns to count, list, relate and point, the box of a single object in a notation of its own, and to write box
records as JSON when the prompt gives them. For the dense-box prompt it is shown the list of some other picture, so
that it writes the form and cannot localise in it: that is left to the adapter, as in the paper, whose base is
parse-valid 0.963 with F1@0.3 0.007.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from boxlist.controls.table import Controls
from boxlist.protocols import SizeWH
from boxlist.records import Record
from boxlist.tasks.datasets.shapes import SHAPES, Scene, ShapeObject, draw_scene
from boxlist.tasks.datasets.shapes_split import relation_between
from boxlist.tasks.reading_order import reading_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from boxlist.adapters_training.pocket.families import Family
    from boxlist.protocols import Protocol

SLOTS = 8
MOST_OBJECTS = 12  # of a taught picture


class Lesson(NamedTuple):
    """One question and its answer, and the objects it is about.

    `about` is the one object, or the first of two that are related; `other` the second; `counted` those to be counted;
    `named` those that the answer names one after the other, each with its span of characters in the answer. `ends` are
    the characters behind the names of a list: where it goes on or ends, which its length decides.
    """

    kind: str
    prompt: str
    answer: str
    about: ShapeObject | None = None
    other: ShapeObject | None = None
    counted: tuple[ShapeObject, ...] | None = None
    named: tuple[tuple[ShapeObject, int, int], ...] = ()
    ends: tuple[int, ...] = ()


class Classroom(NamedTuple):
    """A scene made ready for questions: its objects in reading order, and those whose label occurs once."""

    scene: Scene
    objects: list[ShapeObject]
    named: list[ShapeObject]
    prompts: Mapping[str, str]  # the probes' own prompts, by kind, with the box format filled in
    rng: np.random.Generator
    family: Family  # whose numbers are written


def classroom(scene: Scene, prompts: Mapping[str, str], rng: np.random.Generator, family: Family) -> Classroom:
    boxes = [item.box_xyxy_px for item in scene.objects]
    objects = [scene.objects[index] for index in reading_order(boxes, scene.size_wh_px)]
    labels = [item.label for item in objects]
    named = [item for item in objects if labels.count(item.label) == 1]
    return Classroom(scene, objects, named, prompts, rng, family)


def box_record(item: ShapeObject, size_wh_px: tuple[int, int], protocol: Protocol) -> Record:
    """The record of an object in a protocol, rounded as it is written."""
    numbers = protocol.round(protocol.from_xyxy_px([item.box_xyxy_px], SizeWH(*size_wh_px)))[0]
    return Record(item.label, tuple(numbers.tolist()))


def _numbers(item: ShapeObject, room: Classroom) -> str:
    return " ".join(
        str(int(value)) for value in box_record(item, room.scene.size_wh_px, room.family.protocol).coordinates
    )


def _centre(item: ShapeObject, room: Classroom) -> tuple[float, float]:
    x1, y1, x2, y2 = item.box_xyxy_px
    width, height = room.scene.size_wh_px
    return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height


def _pick(room: Classroom, items: Sequence[ShapeObject]) -> ShapeObject:
    return items[int(room.rng.integers(len(items)))]


def point_answer(item: ShapeObject, room: Classroom) -> str:
    """Molmo's notation, in the digits that the family's boxes have: percent with one decimal, or whole pixels."""
    decimals = room.family.point_decimals
    x, y = (value * room.family.full_scale / 10**decimals for value in _centre(item, room))
    return f'<point x="{x:.{decimals}f}" y="{y:.{decimals}f}">'


def _box_answer(item: ShapeObject, room: Classroom) -> str:
    return f"<box>{_numbers(item, room)}</box>"


def point(room: Classroom) -> Lesson | None:
    if not room.named:
        return None
    item = _pick(room, room.named)
    return Lesson("point", f"Point to the {item.label}.", point_answer(item, room), item)


def box(room: Classroom) -> Lesson | None:
    if not room.named:
        return None
    item = _pick(room, room.named)
    return Lesson("box", f"Give the box of the {item.label}.", _box_answer(item, room), item)


def _part_name(item: ShapeObject, room: Classroom) -> str | None:
    """A name by color or shape alone, if that is enough to tell the object from all others."""
    colours, shapes = [o.colour for o in room.objects], [o.shape for o in room.objects]
    fit = [f"{item.colour} object"] * (colours.count(item.colour) == 1) + [item.shape] * (shapes.count(item.shape) == 1)
    return fit[int(room.rng.integers(len(fit)))] if fit else None


def _named_by_part(room: Classroom) -> tuple[ShapeObject, str] | None:
    named = [(item, name) for item in room.objects if (name := _part_name(item, room)) is not None]
    return named[int(room.rng.integers(len(named)))] if named else None


def point_by_part(room: Classroom) -> Lesson | None:
    """As `point`, with an easier match: by color or by shape alone."""
    named = _named_by_part(room)
    return named and Lesson("point_by_part", f"Point to the {named[1]}.", point_answer(named[0], room), named[0])


def box_by_part(room: Classroom) -> Lesson | None:
    named = _named_by_part(room)
    return named and Lesson("box_by_part", f"Give the box of the {named[1]}.", _box_answer(named[0], room), named[0])


def attribute(room: Classroom) -> Lesson | None:
    """One attribute of an object named by another: the shortest answers that need a match."""
    named = _named_by_part(room)
    if named is None:
        return None
    item, name = named
    if room.rng.random() < 1 / 3:
        return Lesson("attribute", f"What size is the {name}?", item.size, item)
    if name == item.shape:
        return Lesson("attribute", f"What color is the {name}?", item.colour, item)
    return Lesson("attribute", f"What shape is the {name}?", item.shape, item)


def box_after(room: Classroom) -> Lesson | None:
    """The box of the object that follows a named one in reading order."""
    pairs = [(a, b) for a, b in zip(room.objects, room.objects[1:], strict=False) if a in room.named]
    if not pairs:
        return None
    before, after = pairs[int(room.rng.integers(len(pairs)))]
    prompt = f"Give the box of what follows the {before.label}."
    return Lesson("box_after", prompt, _box_answer(after, room), after)


def name_at(room: Classroom) -> Lesson | None:
    item = _pick(room, room.objects)
    x, y = (value * room.family.full_scale for value in _centre(item, room))
    return Lesson("name_at", f"What is at {x:.0f} {y:.0f}?", f"{item.size} {item.label}", item)


def names(room: Classroom) -> Lesson | None:
    labels = [item.label for item in room.objects]
    ends = [len(", ".join(labels[: place + 1])) for place in range(len(labels))]
    spans = tuple((o, end - len(o.label), end) for o, end in zip(room.objects, ends, strict=True))
    return Lesson("names", "Name the objects in reading order.", ", ".join(labels), named=spans)


def total(room: Classroom) -> Lesson | None:
    answer = str(len(room.objects))
    return Lesson("total", "How many objects are there?", answer, counted=tuple(room.objects))


def count_of(room: Classroom) -> Lesson | None:
    """How many of one shape: the first half of the spatial/count probe, in few words."""
    shape = _counted(room)
    counted = tuple(item for item in room.objects if item.shape == shape)
    return Lesson("count_of", f"How many {shape} objects are there?", str(len(counted)), counted=counted)


def _counted(room: Classroom) -> str:
    """A shape to count; one time in six it may be one that is not there."""
    if room.rng.random() < 5 / 6:
        return _pick(room, room.objects).shape
    return SHAPES[int(room.rng.integers(len(SHAPES)))]


def inventory(room: Classroom) -> Lesson | None:
    answer = inventory_answer(room.objects)
    starts = [answer.index(f'"slot_{place}') for place in range(1, SLOTS + 1)] + [len(answer)]
    spans = tuple((o, starts[place], starts[place + 1]) for place, o in enumerate(room.objects[:SLOTS]))
    return Lesson("inventory", room.prompts["inventory"], answer, named=spans)


def inventory_answer(objects: Sequence[ShapeObject]) -> str:
    """Eight slots with fixed keys; the slots after the last object say none."""
    slots = [{"color": item.colour, "shape": item.shape, "size": item.size} for item in objects[:SLOTS]]
    slots += [{"color": "none", "shape": "none", "size": "none"}] * (SLOTS - len(slots))
    return json.dumps({f"slot_{place}": slot for place, slot in enumerate(slots, start=1)})


def spatial_count(room: Classroom) -> Lesson | None:
    """The spatial/count probe: a shape to count, and two named objects, one clearly to a side of the other."""
    pairs = [(a, b) for a in room.named for b in room.named if a is not b and _relation(a, b) is not None]
    if not pairs:
        return None
    subject, reference = pairs[int(room.rng.integers(len(pairs)))]
    shape = _counted(room)
    counted = tuple(item for item in room.objects if item.shape == shape)
    prompt = room.prompts["spatial_count"]
    for word, name in (("counted", shape), ("subject", subject.label), ("reference", reference.label)):
        prompt = prompt.replace("{" + word + "}", name)
    answer = json.dumps({"count": len(counted), "relation": _relation(subject, reference)})
    return Lesson("spatial_count", prompt, answer, subject, reference, counted)


def _relation(subject: ShapeObject, reference: ShapeObject) -> str | None:
    return relation_between(subject.box_xyxy_px, reference.box_xyxy_px)


def _budget(room: Classroom) -> tuple[str, int]:
    """Half of the list prompts carry the budget control's sentence."""
    if room.rng.random() < 0.5:
        return "", SLOTS + 4
    limit = int(room.rng.integers(1, 11))
    return f" Return at most {limit} objects.", limit


def form(room: Classroom) -> Lesson | None:
    """Records given in the prompt, in any order, to be written as JSON: the form, with nothing to see."""
    protocol = room.family.protocol
    other = draw_scene(room.rng, int(room.rng.integers(1, 6)))
    shown = "; ".join(f"{item.label} {_numbers(item, room)}" for item in other.objects)
    sentence, limit = _budget(room)
    records = [box_record(item, other.size_wh_px, protocol) for item in other.objects[:limit]]
    return Lesson(
        "form", f"Write as a JSON list of {protocol.box_format()}: {shown}.{sentence}", protocol.write(records)
    )


def blind_list(room: Classroom) -> Lesson | None:
    """The dense-box prompt, answered with the objects of some other picture in no order."""
    protocol = room.family.protocol
    other = draw_scene(room.rng, int(room.rng.integers(1, 9)))
    sentence, limit = _budget(room)
    records = [box_record(item, other.size_wh_px, protocol) for item in other.objects[:limit]]
    return Lesson("blind_list", room.prompts["dense_bbox"] + sentence, protocol.write(records))


def _within(room: Classroom) -> tuple[str, int]:
    """Two in three prompts carry the budget control's sentence, and these answers are as long as it allows."""
    if room.rng.random() < 1 / 3:
        return "", MOST_OBJECTS
    limit = int(room.rng.integers(1, 11))
    return Controls(budget=limit).prompt_ending(), limit


def _record_ends(answer: str) -> tuple[int, ...]:
    """A written record ends with its label."""
    return tuple(match.start() for match in re.finditer('"}', answer))


def blind_list_within(room: Classroom) -> Lesson | None:
    """As `blind_list`, of pictures with more objects than most budgets allow."""
    protocol = room.family.protocol
    other = draw_scene(room.rng, int(room.rng.integers(1, MOST_OBJECTS + 1)))
    sentence, limit = _within(room)
    answer = protocol.write([box_record(item, other.size_wh_px, protocol) for item in other.objects[:limit]])
    prompt = room.prompts["dense_bbox"] + sentence
    return Lesson("blind_list_within", prompt, answer, ends=_record_ends(answer))


def form_within(room: Classroom) -> Lesson | None:
    """As `form`, under budgets that allow fewer records than the prompt gives."""
    protocol = room.family.protocol
    other = draw_scene(room.rng, int(room.rng.integers(2, 7)))
    shown = "; ".join(f"{item.label} {_numbers(item, room)}" for item in other.objects)
    sentence, limit = _within(room)
    answer = protocol.write([box_record(item, other.size_wh_px, protocol) for item in other.objects[:limit]])
    prompt = f"Write as a JSON list of {protocol.box_format()}: {shown}.{sentence}"
    return Lesson("form_within", prompt, answer, ends=_record_ends(answer))


def names_within(room: Classroom) -> Lesson | None:
    """As `names`, no more of them than the budget."""
    sentence, limit = _within(room)
    whole = names(room._replace(objects=room.objects[:limit]))
    if whole is None:
        return None
    ends = tuple(end for _, _, end in whole.named)
    return whole._replace(kind="names_within", prompt=whole.prompt + sentence, ends=ends)


def inventory_within(room: Classroom) -> Lesson | None:
    """As `inventory`: the slots beyond the budget stay empty."""
    sentence, limit = _within(room)
    whole = inventory(room._replace(objects=room.objects[:limit]))
    return whole and whole._replace(kind="inventory_within", prompt=whole.prompt + sentence)
