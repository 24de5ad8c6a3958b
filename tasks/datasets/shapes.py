"""Drawn scenes of coloured shapes on white, with exact boxes, from a seed.

The vocabulary is that of the redundancy paper (seed document 003, section on synthetic data): 5 shapes, 10 colours,
3 sizes on a white background. The paper names only the counts; which shapes and colours is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SHAPES = ("circle", "square", "triangle", "star", "cross")
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 30, 30),
    "orange": (255, 140, 0),
    "yellow": (245, 220, 30),
    "green": (30, 150, 50),
    "cyan": (40, 205, 215),
    "blue": (35, 70, 210),
    "purple": (125, 45, 165),
    "pink": (250, 140, 185),
    "brown": (125, 75, 35),
    "black": (20, 20, 20),
}
PALETTE: NDArray[np.uint8] = np.array([(255, 255, 255), *COLOURS.values()], dtype=np.uint8)
_PLACES = {colour: place for place, colour in enumerate(COLOURS, start=1)}
# Side of the bounding square, as a share of the shorter image edge.
SIZES = {"small": 0.10, "medium": 0.145, "large": 0.205}

_SUPERSAMPLE = 4


@dataclass(frozen=True)
class ShapeObject:
    """One drawn shape. `box_xyxy_px` is exact, in whole pixels, with exclusive right and bottom ends."""

    shape: str
    colour: str
    size: str
    box_xyxy_px: tuple[int, int, int, int]

    @property
    def label(self) -> str:
        return f"{self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A scene: its size in pixels and its objects, in the order in which they were drawn."""

    size_wh_px: tuple[int, int]
    objects: tuple[ShapeObject, ...]


def draw_scene(
    rng: np.random.Generator,
    count: int,
    size_wh_px: tuple[int, int] = (224, 224),
    scale: float = 1.0,
    gap_px: int = 2,
) -> Scene:
    """Place `count` random shapes that do not touch.

    `scale` multiplies every side in `SIZES`; scenes of many objects need a smaller one. Raises `ValueError` when the
    objects do not fit after 200 whole attempts.
    """
    width, height = size_wh_px
    shorter = min(width, height)
    for _ in range(200):
        objects: list[ShapeObject] = []
        taken = np.empty((count, 4), dtype=np.int64)
        for _ in range(count):
            kind = _random_kind(rng)
            mask = shape_mask(kind[0], max(4, round(SIZES[kind[2]] * scale * shorter)))
            box = _free_place(rng, mask.shape, (width, height), taken[: len(objects)], gap_px)
            if box is None:
                break
            taken[len(objects)] = box
            objects.append(ShapeObject(*kind, box))
        if len(objects) == count:
            return Scene((width, height), tuple(objects))
    raise ValueError(
        f"shapes: {count} objects do not fit in {width}x{height} pixels at scale {scale}; "
        "give a larger image, fewer objects or a smaller scale"
    )


def _random_kind(rng: np.random.Generator) -> tuple[str, str, str]:
    shape = SHAPES[rng.integers(len(SHAPES))]
    colour = list(COLOURS)[rng.integers(len(COLOURS))]
    return shape, colour, list(SIZES)[rng.integers(len(SIZES))]


def _free_place(
    rng: np.random.Generator,
    mask_hw: tuple[int, ...],
    size_wh_px: tuple[int, int],
    taken: NDArray[np.int64],
    gap_px: int,
) -> tuple[int, int, int, int] | None:
    """Draw a place for a mask that keeps `gap_px` from every taken box, or None after 60 draws."""
    height, width = mask_hw[0], mask_hw[1]
    room_x, room_y = size_wh_px[0] - width - 2, size_wh_px[1] - height - 2
    if room_x < 1 or room_y < 1:
        return None
    xs = rng.integers(1, room_x + 1, size=60)
    ys = rng.integers(1, room_y + 1, size=60)
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        apart = (
            (taken[:, 0] >= x + width + gap_px)
            | (taken[:, 2] + gap_px <= x)
            | (taken[:, 1] >= y + height + gap_px)
            | (taken[:, 3] + gap_px <= y)
        )
        if bool(apart.all()):
            return x, y, x + width, y + height
    return None


@lru_cache(maxsize=4096)
def shape_mask(shape: str, side_px: int) -> NDArray[np.bool_]:
    """The pixels of a shape, cropped to them, so that the array's own size is the exact box."""
    from PIL import Image, ImageDraw

    big = side_px * _SUPERSAMPLE
    canvas = Image.new("L", (big, big), 0)
    draw = ImageDraw.Draw(canvas)
    if shape == "circle":
        draw.ellipse((0, 0, big - 1, big - 1), fill=255)
    else:
        draw.polygon([(x * (big - 1), y * (big - 1)) for x, y in _outline(shape)], fill=255)
    small = np.asarray(canvas.resize((side_px, side_px), Image.Resampling.BOX)) >= 128
    rows, columns = np.flatnonzero(small.any(1)), np.flatnonzero(small.any(0))
    mask: NDArray[np.bool_] = np.ascontiguousarray(small[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    mask.setflags(write=False)
    return mask


def _outline(shape: str) -> Sequence[tuple[float, float]]:
    """Corners of a shape in the unit square, y downwards."""
    if shape == "square":
        return [(0, 0), (1, 0), (1, 1), (0, 1)]
    if shape == "triangle":
        return [(0.5, 0), (1, 1), (0, 1)]
    if shape == "cross":
        a, b = 0.34, 0.66
        return [(a, 0), (b, 0), (b, a), (1, a), (1, b), (b, b), (b, 1), (a, 1), (a, b), (0, b), (0, a), (a, a)]
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 0.5, 0.21)
        return [(0.5 + r * np.cos(t), 0.5 + r * np.sin(t)) for t, r in zip(angles, radii, strict=True)]
    raise ValueError(f"shapes: unknown shape {shape!r}; expected one of {', '.join(SHAPES)}")


def render(scene: Scene) -> NDArray[np.uint8]:
    """Paint a scene: `(height, width, 3)`, RGB."""
    return PALETTE.take(paint(scene), axis=0)


def paint(scene: Scene) -> NDArray[np.uint8]:
    """The same as places in `PALETTE`: `(height, width)`."""
    width, height = scene.size_wh_px
    image = np.zeros((height, width), dtype=np.uint8)
    for item in scene.objects:
        x1, y1, x2, y2 = item.box_xyxy_px
        mask = _mask_of_box(item.shape, x2 - x1, y2 - y1)
        image[y1:y2, x1:x2][mask] = _PLACES[item.colour]
    return image


@lru_cache(maxsize=4096)
def _mask_of_box(shape: str, width: int, height: int) -> NDArray[np.bool_]:
    """The mask whose cropped size is (height, width): the inverse of `shape_mask`."""
    for side in range(max(width, height), 2 * max(width, height) + 4):
        mask = shape_mask(shape, side)
        if mask.shape == (height, width):
            return mask
    raise ValueError(f"shapes: no {shape} is {width}x{height} pixels; expected a box from draw_scene")
