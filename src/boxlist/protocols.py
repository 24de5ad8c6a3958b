"""Protocols: how a model family writes a record. Declared by the run, never guessed from values.

One row a protocol in `PROTOCOLS`. Inside boxlist boxes are `boxes_xyxy_px`: float64 `(N, 4)`, x1 y1 x2 y2 in pixels
of the original image, exclusive right and bottom ends. A protocol turns a model's numbers into these and back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from boxlist.errors import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from boxlist.records import Record

Unit = Literal["pixel", "resized_pixel", "norm1000", "norm1", "percent", "loc1024"]
Order = Literal["xyxy", "yxyx", "xywh", "cxcywh", "xy"]
Syntax = Literal["json", "loc", "point"]

BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box")
LABEL_KEYS = ("label", "class", "category", "name")

# (x scale, y scale) of one unit; None where the unit is a pixel of some frame
_FULL_SCALE: dict[str, float] = {"norm1000": 1000.0, "norm1": 1.0, "percent": 100.0, "loc1024": 1024.0}
_NAMED_ORDER = {
    "xyxy": "x1, y1, x2, y2",
    "yxyx": "y1, x1, y2, x2",
    "xywh": "x, y, width, height",
    "cxcywh": "center x, center y, width, height",
    "xy": "x, y",
}
_NAMED_UNIT = {
    "pixel": "pixels of the image",
    "resized_pixel": "pixels of the resized image",
    "norm1000": "thousandths of the image size, from 0 to 1000",
    "norm1": "shares of the image size, from 0 to 1",
    "percent": "percent of the image size, from 0 to 100",
    "loc1024": "location tokens, from 0 to 1023",
}


class SizeWH(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Protocol:
    """How a family writes a record: order of the numbers, their unit, the keys, the syntax around them."""

    name: str
    order: Order
    unit: Unit
    family: str
    syntax: Syntax = "json"
    box_key: str = "bbox_2d"
    label_key: str = "label"

    @property
    def n_coordinates(self) -> int:
        return 2 if self.order == "xy" else 4

    @property
    def needs_frame(self) -> bool:
        """True when boxes can be read only with the size of the processor's resized image."""
        return self.unit == "resized_pixel"

    def box_format(self) -> str:
        """The record format in words, as prompts state it."""
        if self.syntax == "loc":
            return "<loc y1><loc x1><loc y2><loc x2> label, separated by ' ; '"
        if self.syntax == "point":
            return '<point x="..." y="..."> label, in ' + _NAMED_UNIT[self.unit]
        numbers = _NAMED_ORDER[self.order]
        return f'{{"{self.box_key}": [{numbers}], "{self.label_key}": "..."}} in {_NAMED_UNIT[self.unit]}'

    def to_xyxy_px(
        self, coordinates: ArrayLike, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Turn a model's numbers `(N, 4)` into `boxes_xyxy_px`; nothing is clipped or reordered.

        `size_wh_px` is the original image's, `(2,)` or `(N, 2)`; `frame_wh_px` the resized image's, needed for
        `resized_pixel` only. Raises `InputError` when that is missing.
        """
        boxes = self.corners(coordinates)
        return boxes if self.unit == "pixel" else boxes * self._scale(size_wh_px, frame_wh_px)

    def from_xyxy_px(
        self, boxes_xyxy_px: ArrayLike, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Turn `boxes_xyxy_px` `(N, 4)` into this protocol's numbers, unrounded, in its order and unit."""
        boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        boxes = boxes / self._scale(size_wh_px, frame_wh_px)
        x1, y1, x2, y2 = boxes.T
        orders: dict[str, tuple[NDArray[np.float64], ...]] = {
            "xyxy": (x1, y1, x2, y2),
            "yxyx": (y1, x1, y2, x2),
            "xywh": (x1, y1, x2 - x1, y2 - y1),
            "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        }
        return np.stack(orders[self.order], axis=-1)

    def round(self, coordinates: ArrayLike) -> NDArray[np.float64]:
        """Round numbers as this protocol writes them: whole, or four decimals in 0-1; `loc` stays below 1024."""
        numbers = np.round(np.asarray(coordinates, dtype=np.float64), 4 if self.unit == "norm1" else 0)
        if self.unit == "loc1024":
            numbers = np.clip(numbers, 0, 1023)
        return numbers

    def write(self, records: Iterable[Record]) -> str:
        """The answer that says `records`, as training teaches it. Coordinates are written as they are given.

        >>> from boxlist.records import Record
        >>> PROTOCOLS["norm1000_xyxy"].write([Record("red circle", (1, 2, 3, 4))])
        '[{"bbox_2d": [1, 2, 3, 4], "label": "red circle"}]'
        """
        if self.syntax == "loc":
            return " ; ".join(
                "".join(f"<loc{int(c):04d}>" for c in record.coordinates) + f" {record.label}" for record in records
            )
        return json.dumps(
            [
                {self.box_key: [_plain(c) for c in record.coordinates], self.label_key: record.label}
                for record in records
            ],
            ensure_ascii=False,
        )

    def corners(self, coordinates: ArrayLike) -> NDArray[np.float64]:
        """A model's numbers `(N, 4)` as x1 y1 x2 y2, still in its own unit."""
        a, b, c, d = np.asarray(coordinates, dtype=np.float64).reshape(-1, 4).T
        orders: dict[str, tuple[NDArray[np.float64], ...]] = {
            "xyxy": (a, b, c, d),
            "yxyx": (b, a, d, c),
            "xywh": (a, b, a + c, b + d),
            "cxcywh": (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
        }
        return np.stack(orders[self.order], axis=-1)

    def _scale(self, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None) -> NDArray[np.float64]:
        size = np.asarray(size_wh_px, dtype=np.float64).reshape(-1, 2)
        if self.unit == "pixel":
            scale = np.ones_like(size)
        elif self.unit == "resized_pixel":
            if frame_wh_px is None:
                raise InputError(
                    f"protocol {self.name}",
                    expected="the size of the resized image",
                    got="none",
                    remedy="Give each answer a frame: [width, height], or use another protocol.",
                )
            scale = size / np.asarray(frame_wh_px, dtype=np.float64).reshape(-1, 2)
        else:
            scale = size / _FULL_SCALE[self.unit]
        return np.tile(scale, (1, 2))


_ROWS = (
    Protocol("pixel_xyxy", "xyxy", "pixel", "Gemma 4 in the paper"),
    Protocol("norm1000_xyxy", "xyxy", "norm1000", "Qwen3-VL"),
    Protocol("resized_pixel_xyxy", "xyxy", "resized_pixel", "Qwen2.5-VL"),
    Protocol("norm1_xyxy", "xyxy", "norm1", "generic"),
    Protocol("norm1000_yxyx", "yxyx", "norm1000", "Gemini", box_key="box_2d"),
    Protocol("loc1024_yxyx", "yxyx", "loc1024", "PaliGemma", syntax="loc"),
    Protocol("pixel_xywh", "xywh", "pixel", "COCO; format studies", box_key="bbox"),
    Protocol("norm1_xywh", "xywh", "norm1", "format studies", box_key="bbox"),
    Protocol("norm1000_xywh", "xywh", "norm1000", "format studies", box_key="bbox"),
    Protocol("pixel_cxcywh", "cxcywh", "pixel", "format studies", box_key="bbox"),
    Protocol("norm1_cxcywh", "cxcywh", "norm1", "YOLO; format studies", box_key="bbox"),
    Protocol("norm1000_cxcywh", "cxcywh", "norm1000", "format studies", box_key="bbox"),
    Protocol("percent_xy", "xy", "percent", "Molmo points", syntax="point"),
    Protocol("norm1000_xy", "xy", "norm1000", "points", syntax="point"),
)
PROTOCOLS: dict[str, Protocol] = {row.name: row for row in _ROWS}
DEFAULT_PROTOCOL = "norm1000_xyxy"


def protocol_named(name: str) -> Protocol:
    """Look a protocol up; an unknown name is an `InputError` with near matches."""
    if name not in PROTOCOLS:
        raise unknown_name("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def _plain(number: float) -> int | float:
    """45.0 is written 45."""
    return int(number) if float(number).is_integer() else float(number)
