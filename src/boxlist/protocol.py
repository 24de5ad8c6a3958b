"""One protocol: how a model family writes a record.

Inside boxlist boxes are `boxes_xyxy_px`: float64 `(N, 4)`, x1 y1 x2 y2 in pixels of the original image, exclusive right
and bottom ends. A protocol turns a model's numbers into these and back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.list_writing import NO_LINES, json_list, line_list, location_list, nested_list, point_tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from boxlist.records import Record

Unit = Literal["pixel", "resized_pixel", "norm1000", "norm1", "percent", "loc1024"]
Order = Literal["xyxy", "yxyx", "xywh", "yxhw", "cxcywh", "xy", "yx"]
Syntax = Literal["json", "nested_json", "plain", "loc", "point"]

BOX_KEYS = ("bbox_2d", "bbox", "box_2d", "box")
POINT_KEYS = ("point_2d", "point")
LABEL_KEYS = ("label", "class", "category", "name")

_DECIMALS: dict[str, int] = {"norm1": 4, "percent": 1}
# (x scale, y scale) of one unit; None where the unit is a pixel of some frame
_FULL_SCALE: dict[str, float] = {"norm1000": 1000.0, "norm1": 1.0, "percent": 100.0, "loc1024": 1024.0}
_NAMED_ORDER = {
    "xyxy": "x1, y1, x2, y2",
    "yxyx": "y1, x1, y2, x2",
    "xywh": "x, y, width, height",
    "yxhw": "y, x, height, width",
    "cxcywh": "center x, center y, width, height",
    "xy": "x, y",
    "yx": "y, x",
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
    label_first: bool = False
    nested: bool = False

    @property
    def n_coordinates(self) -> int:
        return len(self.order) if self.writes_points else 4

    @property
    def writes_points(self) -> bool:
        """True when a record is a point, false when it is a box."""
        return self.order in {"xy", "yx"}

    @property
    def coordinate_keys(self) -> tuple[str, ...]:
        """The JSON keys that the numbers of a record are read under, this protocol's own first."""
        return (self.box_key, *(POINT_KEYS if self.writes_points else BOX_KEYS))

    @property
    def label_keys(self) -> tuple[str, ...]:
        """The JSON keys that a record's label is read under, this protocol's own first."""
        return (self.label_key, *LABEL_KEYS)

    @property
    def needs_frame(self) -> bool:
        """True when boxes can be read only with the size of the processor's resized image."""
        return self.unit == "resized_pixel"

    @property
    def decimals(self) -> int:
        """How many decimals its numbers are written with."""
        return _DECIMALS.get(self.unit, 0)

    def box_format(self) -> str:
        """The record format in words, as prompts state it."""
        unit = _NAMED_UNIT[self.unit]
        if self.syntax == "loc":
            return "<loc y1><loc x1><loc y2><loc x2> label, separated by ' ; '"
        if self.syntax == "point":
            return f'<point x="..." y="...">label</point> in {unit}'
        box = f"[{_NAMED_ORDER[self.order]}]"
        if self.syntax == "plain":
            boxes = f"{box}, {box}, ..." if self.nested else box
            return f"{f'label: {boxes}' if self.label_first else f'{box} label'} in {unit}"
        fields = [f'"{self.box_key}": {f"[{box}, ...]" if self.nested else box}', f'"{self.label_key}": "..."']
        return f"{{{', '.join(reversed(fields) if self.label_first else fields)}}} in {unit}"

    def list_format(self) -> str:
        """The format of a whole answer in words, for prompts that ask for a list."""
        if self.syntax in {"loc", "point"}:
            return self.box_format()
        each = "label" if self.nested else "object"
        if self.syntax == "plain":
            return f"one line for each {each}, written {self.box_format()}, or the word {NO_LINES} if there is nothing"
        return f"a JSON list of {self.box_format()}" + (", one for each label" if self.nested else "")

    def to_xyxy_px(
        self, coordinates: ArrayLike, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Turn a model's numbers `(N, 4)` into `boxes_xyxy_px`; nothing is clipped or reordered.

        `size_wh_px` is the original image's, `(2,)` or `(N, 2)`; `frame_wh_px` the resized image's, needed for
        `resized_pixel` only. Raises `InputError` when that is missing.
        """
        boxes = self.corners(coordinates)
        return boxes if self.unit == "pixel" else boxes * np.tile(self._scale(size_wh_px, frame_wh_px), (1, 2))

    def to_xy_px(
        self, coordinates: ArrayLike, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Turn a model's points `(N, 2)` into x, y in pixels of the original image; as `to_xyxy_px` otherwise."""
        points = np.asarray(coordinates, dtype=np.float64).reshape(-1, 2)[:, self._axes]
        return points * self._scale(size_wh_px, frame_wh_px)

    def from_xy_px(
        self, points_xy_px: ArrayLike, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Turn x, y in pixels `(N, 2)` into this protocol's numbers, unrounded, in its order and unit."""
        points = np.asarray(points_xy_px, dtype=np.float64).reshape(-1, 2)
        return (points / self._scale(size_wh_px, frame_wh_px))[:, self._axes]

    def from_xyxy_px(
        self, boxes_xyxy_px: ArrayLike, size_wh_px: ArrayLike, frame_wh_px: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Turn `boxes_xyxy_px` `(N, 4)` into this protocol's numbers, unrounded, in its order and unit."""
        boxes = np.asarray(boxes_xyxy_px, dtype=np.float64).reshape(-1, 4)
        boxes = boxes / np.tile(self._scale(size_wh_px, frame_wh_px), (1, 2))
        x1, y1, x2, y2 = boxes.T
        orders: dict[str, tuple[NDArray[np.float64], ...]] = {
            "xyxy": (x1, y1, x2, y2),
            "yxyx": (y1, x1, y2, x2),
            "xywh": (x1, y1, x2 - x1, y2 - y1),
            "yxhw": (y1, x1, y2 - y1, x2 - x1),
            "cxcywh": ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1),
        }
        return np.stack(orders[self.order], axis=-1)

    def round(self, coordinates: ArrayLike) -> NDArray[np.float64]:
        """Round numbers as this protocol writes them: whole, four decimals in 0-1, one in percent; `loc` below 1024."""
        numbers = np.asarray(coordinates, dtype=np.float64).round(self.decimals)
        if self.unit == "loc1024":
            numbers = np.clip(numbers, 0, 1023)
        return numbers

    def write(self, records: Iterable[Record]) -> str:
        """The answer that says `records`, as training teaches it. Coordinates are written as they are given.

        >>> from boxlist.records import Record
        >>> Protocol("norm1000_xyxy", "xyxy", "norm1000", "Qwen3-VL").write([Record("red circle", (1, 2, 3, 4))])
        '[{"bbox_2d": [1, 2, 3, 4], "label": "red circle"}]'
        """
        given = list(records)
        if self.syntax == "loc":
            return location_list(given)
        if self.syntax == "point":
            return point_tags(given)
        if self.syntax == "plain":
            return line_list(given, label_first=self.label_first, nested=self.nested)
        if self.syntax == "nested_json":
            return nested_list(given, self.box_key, self.label_key)
        return json_list(given, self.box_key, self.label_key, label_first=self.label_first)

    def corners(self, coordinates: ArrayLike) -> NDArray[np.float64]:
        """A model's boxes `(N, 4)` as x1 y1 x2 y2, still in its own unit; points `(N, 2)` as they are."""
        if self.writes_points:
            return np.asarray(coordinates, dtype=np.float64).reshape(-1, 2)
        a, b, c, d = np.asarray(coordinates, dtype=np.float64).reshape(-1, 4).T
        orders: dict[str, tuple[NDArray[np.float64], ...]] = {
            "xyxy": (a, b, c, d),
            "yxyx": (b, a, d, c),
            "xywh": (a, b, a + c, b + d),
            "yxhw": (b, a, b + d, a + c),
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
        return scale

    @property
    def _axes(self) -> list[int]:
        """Where x and y stand among a point's numbers; the same list turns them back."""
        return [1, 0] if self.order == "yx" else [0, 1]
