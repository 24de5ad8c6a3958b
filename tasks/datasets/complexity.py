"""The complexity set of the redundancy paper, as numbers: which images there are, and what is drawn in each.

Source: "Seeing beyond redundancy", section 4.1 (seed document 003): "we start with a base configuration which consists
of a single object of random shape, color, and size [...] For each count, it produces that number of objects with only
the baseline configuration, then it systematically varies one aspect at a time (shape, color, or size) as well as a
mixture of each. [...] images of 1000x1000 with 20 base configurations, resulting in 8,220 images in total." What that
leaves open is an option here; docs/decisions/010 says why each default is what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.tasks.datasets.shapes import COLOURS, SHAPES, SIZES, Scene, ShapeObject, shape_mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

Variation = Literal["none", "shape", "color", "size", "mixed"]
VARIATIONS: tuple[Variation, ...] = ("none", "shape", "color", "size", "mixed")
AXES: dict[str, tuple[str, ...]] = {"shape": SHAPES, "color": tuple(COLOURS), "size": tuple(SIZES)}
MOST_OBJECTS = 1000
_BASES, _SCENE = 0, 1  # the first number behind the seed: what a generator is for
_TRIES, _DRAWS = 20, 24
_BOUNDS = {
    "side_px": (16, 8192),
    "bases": (1, 150),
    "varied_images": (1, 1000),
    "gap_px": (0, 1000),
    "seed": (0, 2**63),
}


@dataclass(frozen=True)
class ComplexityOptions:
    """What the set is made of; written into its manifest.

    `counts` are the numbers of objects, `varied_images` how many images each of the four variations has at each count
    and base. `sides_px` are the sides of small, medium and large objects' bounding squares. With `sample` "all" the
    whole set is built, else `sample_images` at each of `sample_counts`, which are images of the whole set.
    """

    seed: int = 20260616
    side_px: int = 1000
    bases: int = 20
    counts: str = "1-44 48-200/4"
    varied_images: int = 1
    sides_px: str = "20 30 42"
    gap_px: int = 2
    sample: Literal["balanced", "all"] = "balanced"
    sample_counts: str = "1-3 5 8 12 16 20 28 36 48 64 80 100 140 200"
    sample_images: int = 4

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            given = getattr(self, name)
            if not least <= given <= most:
                raise InputError(name, expected=f"{least} to {most}", got=str(given), remedy="Choose another.")


class Look(NamedTuple):
    """What one object looks like; a base configuration is one."""

    shape: str
    color: str
    size: str


class Configuration(NamedTuple):
    """One image of the set: number of the base, number of objects, what is varied, and which of such images it is."""

    base: int
    objects: int
    variation: Variation
    repeat: int


def read_counts(text: str) -> tuple[int, ...]:
    """The numbers that ranges with steps name, ascending and without repetition.

    >>> read_counts("1-3 10-20/5")
    (1, 2, 3, 10, 15, 20)
    """
    found: set[int] = set()
    for part in text.split() or [text]:
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4})(?:/(\d{1,4}))?)?", part, re.ASCII)
        numbers = [int(number) for number in match.groups("0")] if match else [0, 0, 0]
        first, last, step = numbers[0], numbers[1] or numbers[0], numbers[2] or 1
        if not 1 <= first <= last <= MOST_OBJECTS:
            raise InputError(
                "counts",
                expected=f"numbers and ranges from 1 to {MOST_OBJECTS}, such as 1-44 48-200/4",
                got=repr(part[:40]),
                remedy="Correct it.",
            )
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def read_sides(text: str) -> tuple[int, ...]:
    """The three sides in pixels, each at least 4, below which no shape can be told from another."""
    words = text.split()
    if len(words) != len(SIZES) or not all(
        re.fullmatch(r"\d{1,4}", word, re.ASCII) and int(word) >= 4 for word in words
    ):
        expected = "three numbers of pixels from 4, such as 20 30 42"
        raise InputError("sides_px", expected=expected, got=repr(text[:40]), remedy="Correct it.")
    return tuple(map(int, words))


def base_looks(options: ComplexityOptions) -> list[Look]:
    """The base configurations: different looks, drawn by the seed."""
    shapes, colours, sizes = AXES.values()
    every = [Look(shape, colour, size) for shape in shapes for colour in colours for size in sizes]
    chosen = np.random.default_rng([options.seed, _BASES]).permutation(len(every))[: options.bases]
    return [every[index] for index in chosen.tolist()]


def configurations(options: ComplexityOptions) -> Iterator[Configuration]:
    """Every image of the set or of its sample, each count once before any comes again.

    One object has nothing to vary, so a count of 1 has the base alone: 20 * (1 + 82 * 5) = 8,220 images by default.
    """
    if options.sample == "balanced":
        yield from _sample(options)
        return
    counts = read_counts(options.counts)
    families: list[tuple[int, Variation, int]] = [
        (base, variation, repeat)
        for turn in range(len(VARIATIONS))
        for base in range(options.bases)
        for variation in (VARIATIONS[(base + turn) % len(VARIATIONS)],)
        for repeat in range(1 if variation == "none" else options.varied_images)
    ]
    for base, variation, repeat in families:
        for count in counts:
            if count > 1 or variation == "none":
                yield Configuration(base, count, variation, repeat)


def _sample(options: ComplexityOptions) -> Iterator[Configuration]:
    """The same number of images at each count, over variations and bases in turn."""
    most = options.bases * (1 + 4 * options.varied_images)
    if not 1 <= options.sample_images <= options.bases:
        raise InputError(
            "sample_images",
            expected=f"1 to {options.bases}, as there are bases; sample=all has {most} images at a count",
            got=str(options.sample_images),
            remedy="Choose another.",
        )
    for number in range(options.sample_images):
        for place, count in enumerate(read_counts(options.sample_counts)):
            variation = VARIATIONS[(place + number) % len(VARIATIONS)] if count > 1 else "none"
            base = (place * options.sample_images + number) % options.bases
            yield Configuration(base, count, variation, 0)


def draw(configuration: Configuration, options: ComplexityOptions, bases: Sequence[Look]) -> Scene:
    """Draw one image's scene. It follows from the seed and the configuration alone, whatever else is drawn.

    Raises `InputError` when so many objects do not fit.
    """
    base, count, variation, repeat = configuration
    rng = np.random.default_rng([options.seed, _SCENE, base, count, VARIATIONS.index(variation), repeat])
    looks = vary(rng, bases[base], count, variation)
    sides = dict(zip(SIZES, read_sides(options.sides_px), strict=True))
    boxes = place(
        rng, [shape_mask(look.shape, sides[look.size]).shape for look in looks], options.side_px, options.gap_px
    )
    if boxes is None:
        raise InputError(
            f"{count} objects of {options.sides_px} pixels",
            expected=f"room for them in {options.side_px}x{options.side_px} pixels",
            got="none",
            remedy="Choose smaller sides_px, fewer objects, or a larger side_px.",
        )
    objects = [ShapeObject(look.shape, look.color, look.size, box) for look, box in zip(looks, boxes, strict=True)]
    return Scene((options.side_px, options.side_px), tuple(objects))


def vary(rng: np.random.Generator, base: Look, count: int, variation: Variation) -> list[Look]:
    """The looks of an image's objects: the base's own, but for what is varied."""
    values = {axis: [value] * count for axis, value in base._asdict().items()}
    for axis in AXES if variation == "mixed" else () if variation == "none" else (variation,):
        values[axis] = _several(rng, AXES[axis], values[axis][0], count)
    return [Look(*look) for look in zip(*values.values(), strict=True)]


def _several(rng: np.random.Generator, known: Sequence[str], own: str, count: int) -> list[str]:
    """`count` values, the base's own and at least one other among them, in uneven shares and random order.

    How many different ones there are is drawn evenly from 2 to what is possible.
    """
    if count < 2:
        return [own] * count
    others = [value for value in known if value != own]
    n_values = int(rng.integers(2, min(count, len(known)) + 1))
    used = [own, *(others[index] for index in rng.permutation(len(others))[: n_values - 1].tolist())]
    shares = rng.dirichlet(np.ones(n_values))
    rest = rng.choice(n_values, size=count - n_values, p=shares)
    drawn = rng.permutation(np.concatenate([np.arange(n_values), rest]))
    return [used[index] for index in drawn.tolist()]


def place(
    rng: np.random.Generator, masks_hw: Sequence[tuple[int, ...]], side_px: int, gap_px: int
) -> list[tuple[int, int, int, int]] | None:
    """Boxes xyxy in pixels for masks in their order, a pixel from the edge and `gap_px` apart; None without room.

    The largest are placed first; each at a place drawn evenly from those that are left.
    """
    order = sorted(range(len(masks_hw)), key=lambda index: -masks_hw[index][0] * masks_hw[index][1])
    for _ in range(_TRIES):
        boxes = np.zeros((len(masks_hw), 4), dtype=np.int64)
        for number, index in enumerate(order):
            corner = _free_corner(rng, masks_hw[index], boxes[order[:number]], side_px, gap_px)
            if corner is None:
                break
            boxes[index] = (*corner, corner[0] + masks_hw[index][1], corner[1] + masks_hw[index][0])
        else:
            return [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]
    return None


def _free_corner(
    rng: np.random.Generator, mask_hw: tuple[int, ...], taken: NDArray[np.int64], side_px: int, gap_px: int
) -> tuple[int, int] | None:
    """A free place for the upper left corner: tried at random first, then drawn from all that there are."""
    height, width = mask_hw
    room_x, room_y = side_px - width - 1, side_px - height - 1
    if room_x < 1 or room_y < 1:
        return None
    # where the corner must not be: from `low` up to and without `high`
    low = taken[:, :2] - (width + gap_px - 1, height + gap_px - 1)
    high = taken[:, 2:] + gap_px
    draws = rng.integers((1, 1), (room_x + 1, room_y + 1), size=(_DRAWS, 2))
    blocked = np.ones((_DRAWS, len(taken)), dtype=bool)
    for axis in range(2):
        column = draws[:, axis, None]
        blocked &= (column >= low[:, axis]) & (column < high[:, axis])
    free_draws = np.flatnonzero(~blocked.any(1))
    if len(free_draws):
        x, y = draws[free_draws[0]].tolist()
        return x, y
    free = np.zeros((side_px, side_px), dtype=bool)
    free[1 : room_y + 1, 1 : room_x + 1] = True
    for (left, top), (right, bottom) in zip(np.maximum(low, 0).tolist(), high.tolist(), strict=True):
        free[top:bottom, left:right] = False
    places = np.flatnonzero(free)
    if not len(places):
        return None
    y, x = divmod(int(places[rng.integers(len(places))]), side_px)
    return x, y
