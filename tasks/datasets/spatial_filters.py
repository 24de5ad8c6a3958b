"""Which objects of an image a question about places may be about: the redundancy paper's filters (seed document 003,
appendix A.3.1), with a named option where it leaves a choice open.

Where it is silent, the defaults are: areas of boxes; an image is dropped when any class occurs in it twice; `alpha` 0.1
of the image's sides, on both axes; and between two objects a direction that is plainly the larger one.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.tasks.datasets.dataset import Option
from boxlist.tasks.datasets.shapes_split import CLEAR_DIRECTION, relation_between
from boxlist.tasks.datasets.spatial_words import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PLACE_OPTIONS = (
    Option("min_area", 0.03, "the least share of the image that a box may cover"),
    Option("max_area", 0.30, "the largest share of the image that a box may cover"),
    Option("repeated", "image", "what is dropped where a class occurs twice", ("image", "class")),
    Option("alpha", 0.1, "how far off the middle a box's centre must be, as a share of a side"),
    Option("alpha_of", "image", "whose side that is", ("image", "box")),
    Option("off_centre", "both", "on how many axes it must be so far off", ("both", "either")),
    Option("axes", "each", "one object: a question for each axis, or the one farther off", ("each", "larger")),
    Option("clear", CLEAR_DIRECTION, "two objects: how many times the other distance the larger one must be"),
    Option("directions", "one", "two objects: ask about the first of them, or about each", ("one", "both")),
)


class Thing(NamedTuple):
    """One object; `is_crowd` says that the box is of several of them."""

    label: str
    box_xyxy_px: tuple[float, float, float, float]
    is_crowd: bool = False


def eligible(things: Sequence[Thing], size_wh_px: tuple[int, int], options: Mapping[str, Any]) -> list[Thing]:
    """The objects of an image that may be asked about, in their order; a crowd counts as its class twice."""
    counts = Counter(thing.label for thing in things)
    counts.update(thing.label for thing in things if thing.is_crowd)
    if options["repeated"] == "image" and any(count > 1 for count in counts.values()):
        return []
    alone = [thing for thing in things if counts[thing.label] == 1]
    return [thing for thing in alone if has_area(thing, size_wh_px, options) and _axes(thing, size_wh_px, options)]


def has_area(thing: Thing, size_wh_px: tuple[int, int], options: Mapping[str, Any]) -> bool:
    """Whether its box covers a share of the image between `min_area` and `max_area`, both included."""
    x1, y1, x2, y2 = thing.box_xyxy_px
    share = (x2 - x1) * (y2 - y1) / (size_wh_px[0] * size_wh_px[1])
    return bool(options["min_area"] <= share <= options["max_area"])


def places(things: Sequence[Thing], size_wh_px: tuple[int, int], options: Mapping[str, Any]) -> Iterator[Place]:
    """Every question that an image's eligible objects give: about each of them in the image, then about pairs."""
    for thing in things:
        for relation in _axes(thing, size_wh_px, options):
            yield Place(thing.label, relation, thing.box_xyxy_px, size_wh_px)
    for first, second in combinations(things, 2):
        for subject, reference in ((first, second), (second, first))[: 1 if options["directions"] == "one" else 2]:
            seen = relation_between(subject.box_xyxy_px, reference.box_xyxy_px, options["clear"])
            if seen is not None:
                boxes = subject.box_xyxy_px, size_wh_px
                yield Place(subject.label, seen, *boxes, reference.label, reference.box_xyxy_px)


def _axes(thing: Thing, size_wh_px: tuple[int, int], options: Mapping[str, Any]) -> list[str]:
    """Where in the image an object is, on each axis that is asked about; none where it is too near the middle."""
    x1, y1, x2, y2 = thing.box_xyxy_px
    offsets = (x1 + x2 - size_wh_px[0]) / 2, (y1 + y2 - size_wh_px[1]) / 2
    sides = size_wh_px if options["alpha_of"] == "image" else (x2 - x1, y2 - y1)
    off = [abs(offset) > options["alpha"] * side for offset, side in zip(offsets, sides, strict=True)]
    if not any(off) or (options["off_centre"] == "both" and not all(off)):
        return []
    named = [("left", "right")[offsets[0] > 0], ("top", "bottom")[offsets[1] > 0]]
    shares = [abs(offset) / side for offset, side in zip(offsets, size_wh_px, strict=True)]
    if options["axes"] == "larger":
        return [named[shares.index(max(shares))]]
    return [name for name, is_off in zip(named, off, strict=True) if is_off]
