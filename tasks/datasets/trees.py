"""The trees data: real aerial photographs with real boxes, out of the DeepForest wheel, cut into tiles.

Training tiles come from one photograph (Yellowstone, NEON tile 528000_4978000), test tiles from three others: one of
Yellowstone 13 km away (541000_4977000), one of Florida (OSBS) and one of California (SOAP). All at 10 cm a pixel.

A photograph is cut into an even grid of tiles of about 224 pixels a side, without gap or overlap. A box belongs to the
tile that holds its centre and is clipped to it, so that each tree is counted exactly once, in the tile that shows the
larger part of it. Nothing is resized. Coordinates are taken as DeepForest takes them: xmin ymin xmax ymax with
exclusive right and bottom ends. Every label is "tree"; the file's own name (Tree, or Alive and Dead at SOAP) is kept.
"""

from __future__ import annotations

import io
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from boxlist.errors import InputError
from boxlist.tasks.datasets.dataset import Dataset
from boxlist.tasks.datasets.manifest import Heading
from boxlist.tasks.datasets.split_writing import Picture, write_split
from boxlist.tasks.datasets.voc import VocFile, VocObject, read_voc
from boxlist.tasks.datasets.wheel import PinnedWheel, read_members

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from boxlist.tasks.datasets.split_folder import DocumentObject

VERSION = 1
LABEL = "tree"
LICENCE = "MIT"
SOURCE = "photographs and boxes of the deepforest 2.1.0 wheel, Copyright (c) 2019 Ben Weinstein"
WHEEL = PinnedWheel(
    "deepforest",
    "2.1.0",
    "8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    20.6,
    "BOXLIST_DEEPFOREST_WHEEL",
)
PHOTOGRAPHS = {
    "train": ("2019_YELL_2_528000_4978000_image_crop2",),
    "test": ("2019_YELL_2_541000_4977000_image_crop", "OSBS_029", "SOAP_061"),
}
TILE_PX = 224
_LICENCE_MEMBER = "deepforest-2.1.0.dist-info/licenses/LICENSE"
_LARGEST_MEMBER_BYTES = 32 * 2**20
_SHOWS_WELL = 0.6


class Tile(NamedTuple):
    """One tile of a photograph: its place there, xyxy in pixels, and the objects whose centre lies in it, clipped."""

    place_xyxy_px: tuple[int, int, int, int]
    objects: tuple[DocumentObject, ...]


def build(folder: Path) -> None:
    """Fetch the wheel and write both splits into `folder`."""
    names = [name for split in PHOTOGRAPHS.values() for name in split]
    members = {name: (f"deepforest/data/{name}.png", f"deepforest/data/{name}.xml") for name in names}
    wanted = [_LICENCE_MEMBER, *(member for pair in members.values() for member in pair)]
    content = read_members(WHEEL, wanted, _LARGEST_MEMBER_BYTES)
    texts = {"LICENSE-deepforest.txt": content[_LICENCE_MEMBER].decode("utf-8")}
    options = {"wheel": WHEEL.requirement, "wheel_sha256": WHEEL.sha256, "tile_px": TILE_PX, "box_rule": "centre"}
    for split, first_id in (("train", 1), ("test", 1001)):
        photographs = {name: (content[members[name][0]], content[members[name][1]]) for name in PHOTOGRAPHS[split]}
        described = {**options, "photographs": list(photographs)}
        heading = Heading("trees", VERSION, split, (LABEL,), LICENCE, SOURCE, described, {"boxes": 0})
        write_split(folder / split, heading, _pictures(photographs, first_id, heading), texts)


def cut(size_wh_px: tuple[int, int], objects: tuple[VocObject, ...], tile_px: int = TILE_PX) -> list[Tile]:
    """Cut a photograph into an even grid, row by row, and give each box to the tile that holds its centre.

    A box whose centre lies outside the photograph goes to no tile.
    """
    columns, rows = (_edges(side, tile_px) for side in size_wh_px)
    tiles = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            place = (left, top, right, bottom)
            tiles.append(Tile(place, tuple(_clip(item, place) for item in objects if _holds_centre(place, item))))
    return tiles


def _edges(side_px: int, tile_px: int) -> list[int]:
    """Where an even grid cuts a side: about `tile_px` apart, whole pixels, from 0 to the end."""
    count = max(1, round(side_px / tile_px))
    return [round(number * side_px / count) for number in range(count + 1)]


def _holds_centre(place_xyxy_px: tuple[int, int, int, int], item: VocObject) -> bool:
    x1, y1, x2, y2 = item.box_xyxy_px
    left, top, right, bottom = place_xyxy_px
    return left <= (x1 + x2) / 2 < right and top <= (y1 + y2) / 2 < bottom


def _clip(item: VocObject, place_xyxy_px: tuple[int, int, int, int]) -> DocumentObject:
    left, top, right, bottom = place_xyxy_px
    x1, y1, x2, y2 = (round(corner) for corner in item.box_xyxy_px)
    box = [max(x1, left) - left, max(y1, top) - top, min(x2, right) - left, min(y2, bottom) - top]
    visible = (box[2] - box[0]) * (box[3] - box[1]) / ((x2 - x1) * (y2 - y1))
    return {"label": LABEL, "box_xyxy_px": box, "name": item.name, "visible": round(visible, 3)}


def _pictures(photographs: dict[str, tuple[bytes, bytes]], first_id: int, heading: Heading) -> Iterator[Picture]:
    image_id = first_id
    heading.counts.update(photographs=[], notes=[])
    for name, (png, xml) in photographs.items():
        annotation = read_voc(xml, f"{WHEEL.requirement}: {name}.xml")
        pixels = _read_png(png, annotation, f"{WHEEL.requirement}: {name}.png")
        tiles = cut(annotation.size_wh_px, annotation.objects)
        count = _count(name, annotation, tiles)
        heading.counts["photographs"].append(count)
        heading.counts["notes"].append(
            f"{name}: {len(tiles)} tiles, {count['boxes_in']} boxes in, {count['boxes_kept']} kept, "
            f"{count['boxes_dropped']} dropped, {count['boxes_shown_below_60_percent']} shown below 60%"
        )
        heading.counts["boxes"] += sum(len(tile.objects) for tile in tiles)
        for tile in tiles:
            left, top, right, bottom = tile.place_xyxy_px
            notes = {"photograph": name, "place_xyxy_px": list(tile.place_xyxy_px)}
            yield Picture(image_id, np.ascontiguousarray(pixels[top:bottom, left:right]), tile.objects, notes)
            image_id += 1


def _count(name: str, annotation: VocFile, tiles: list[Tile]) -> dict[str, int | str]:
    """Boxes in and out of a photograph: kept, dropped, and how many of the kept show less than 60% of themselves."""
    kept = [item for tile in tiles for item in tile.objects]
    return {
        "name": name,
        "tiles": len(tiles),
        "boxes_in": len(annotation.objects),
        "boxes_kept": len(kept),
        "boxes_dropped": len(annotation.objects) - len(kept),
        "boxes_shown_below_60_percent": sum(item["visible"] < _SHOWS_WELL for item in kept),
    }


def _read_png(png: bytes, annotation: VocFile, where: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        if image.size != annotation.size_wh_px:
            got = "x".join(map(str, image.size))
            expected = "x".join(map(str, annotation.size_wh_px)) + " pixels, as its annotation says"
            raise InputError(where, expected=expected, got=got, remedy="Report it: the pinned wheel should agree.")
        return np.asarray(image.convert("RGB"))


DATASET = Dataset("trees", VERSION, LICENCE, SOURCE, lambda order: build(order.folder), size="38")
