"""The shapes_absent data: drawn pictures, and prompts that name what is not in them.

Blank pictures hold nothing, on a plain pale ground each; half of them are asked for every object, the others for four
classes. Scenes of distractors hold objects, none of them of the four classes asked for. In mixed scenes two of the four
are there. Half of the absent classes, as far as there are such, have the color of one object and the shape of another.
A document's objects are those that were asked for; `others` names what else is to be seen.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from boxlist.tasks.datasets.absent_classes import NamedClasses, listed, name_classes
from boxlist.tasks.datasets.dataset import Dataset, Option
from boxlist.tasks.datasets.shapes import Scene, draw_scene, render
from boxlist.tasks.datasets.shapes_split import LABELS, LICENCE, describe_object
from boxlist.tasks.datasets.split_writing import Picture, write_split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from boxlist.tasks.datasets.dataset import Order

Condition = Literal["blank", "distractors", "mixed"]
SIDE_PX = 224
_PALEST, _DARKEST = 256, 236  # of a blank picture's ground, each channel
_ATTEMPTS = 200


class AskedScene(NamedTuple):
    """A picture and what is asked of it: no classes means every object."""

    condition: Condition
    pixels: NDArray[np.uint8]
    scene: Scene
    named: NamedClasses


def build(order: Order) -> None:
    """Write the test split, the conditions in turn."""
    heading = order.heading("test", LABELS)
    write_split(order.folder / "test", heading, _pictures(order, heading.counts), {})


def _pictures(order: Order, counts: dict[str, int]) -> Iterator[Picture]:
    options = order.options
    wanted: dict[Condition, int] = {
        "blank": options["blank_images"],
        "distractors": options["distractor_images"],
        "mixed": options["mixed_images"],
    }
    for place, (condition, number) in enumerate(_in_turn(wanted)):
        asked = _draw(condition, number, options["seed"])
        classes = asked.named.asked
        targets = [item for item in asked.scene.objects if item.label in classes]
        others = sorted({item.label for item in asked.scene.objects} - set(classes))
        notes = {
            "question": {"asked": f"every {listed(classes)}" if classes else "every object"},
            "answer": {"asked": list(classes), "absent": list(asked.named.absent), "condition": condition},
            "others": others,
        }
        counts["boxes"] += len(targets)
        counts[condition] = counts.get(condition, 0) + 1
        yield Picture(place + 1, asked.pixels, [describe_object(item) for item in targets], notes)


def _in_turn(wanted: dict[Condition, int]) -> Iterator[tuple[Condition, int]]:
    """The conditions spread evenly, each with the number of its picture."""
    every = chain.from_iterable(zip(repeat(name), range(count), repeat(count)) for name, count in wanted.items())
    for name, number, _ in sorted(every, key=lambda row: ((row[1] + 0.5) / row[2], row[0])):
        yield name, number


def _draw(condition: Condition, number: int, seed: int) -> AskedScene:
    """One picture, from the seed, the condition and its number alone."""
    place = ("blank", "distractors", "mixed").index(condition)
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng([seed, place, number, attempt])
        if condition == "blank":
            return _blank(rng, open_prompt=number % 2 == 0)
        scene = draw_scene(rng, int(rng.integers(3, 11)), (SIDE_PX, SIDE_PX))
        there = 2 if condition == "mixed" else 0
        labels = [item.label for item in scene.objects]
        named = name_classes(rng, labels, LABELS, there, 4 - there, near=_near(scene))
        if named is not None:
            return AskedScene(condition, render(scene), scene, named)
    raise ValueError(f"shapes_absent: no scene has two classes after {_ATTEMPTS} attempts")


def _blank(rng: np.random.Generator, *, open_prompt: bool) -> AskedScene:
    ground = rng.integers(_DARKEST, _PALEST, size=3, dtype=np.uint8)
    pixels = np.broadcast_to(ground, (SIDE_PX, SIDE_PX, 3)).copy()
    named = None if open_prompt else name_classes(rng, (), LABELS, 0, 4)
    return AskedScene("blank", pixels, Scene((SIDE_PX, SIDE_PX), ()), named or NamedClasses((), ()))


def _near(scene: Scene) -> set[str]:
    """Labels of the color of one object and the shape of another."""
    return {f"{one.colour} {other.shape}" for one in scene.objects for other in scene.objects}


OPTIONS = (
    Option("seed", 20260617, "Any other draws another set"),
    Option("blank_images", 20, "Pictures of nothing"),
    Option("distractor_images", 20, "Pictures of objects of which none is asked for"),
    Option("mixed_images", 40, "Pictures that have two of the four classes asked for"),
)
SOURCE = "drawn by boxlist (tasks/datasets/shapes_absent.py)"
DATASET = Dataset("shapes_absent", 1, LICENCE, SOURCE, build, ("test",), options=OPTIONS, size="80")
