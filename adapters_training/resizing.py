"""How images are resized: written down when an adapter is trained, and compared where it is evaluated.

The base's files are compared by content as well (`provenance.base_differences`). What is written down says it in
words, and finds a library that does something else with the same files.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.provenance import read_provenance
from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

IMAGES = "images"
"""The key in the provenance's `training`; adapters from before it was written down have none."""

_LARGEST_SIDE = 1 << 14
_NO_SETTING = frozenset({"image_processor_type", "processor_class"})  # two classes may do the same


class Resized(NamedTuple):
    """An image's width and height in pixels, and those it came to; None where the processor does not tell."""

    from_wh_px: tuple[int, int]
    to_wh_px: tuple[int, int] | None


def images_record(processor: Any, wh_px: tuple[int, int], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON: the processor's settings for images, and what it made of the first one.

    `inputs` are the tensors that the model got for that image, whose size is `wh_px`.
    """
    to = _resized_wh_px(processor.image_processor, inputs)
    first = {"from_wh_px": list(wh_px), "to_wh_px": None if to is None else list(to)}
    return {"settings": _settings(processor), "first_image": first}


def refuse_other_resizing(adapter: Path, processor: Any) -> None:
    """Raise `InputError` where `processor` resizes images otherwise than when the adapter was trained."""
    provenance = read_provenance(adapter)
    record = None if provenance is None else provenance.training.get(IMAGES)
    if record is None:
        return
    differences = _differences(record, processor, f"adapter {adapter}: training.{IMAGES}")
    if differences:
        raise InputError(
            f"adapter {adapter}",
            expected="images that are resized as in its training",
            got="; ".join(differences),
            remedy="Use the base's own processor, and the library versions that its provenance names.",
        )


def resizing_text(record: object) -> str:
    """The record for people, one line."""
    if not isinstance(record, dict):
        return "how they were resized was not written down"
    first, settings = _part(record, "first_image"), _part(record, "settings")
    sizes = [first.get(key) for key in ("from_wh_px", "to_wh_px")]
    shown = ["x".join(map(str, size)) if isinstance(size, list) else "a size not told" for size in sizes]
    words = ", ".join(f"{key} {json.dumps(value)}" for key, value in sorted(settings.items()))
    return f"the first was {shown[0]} pixels and came to {shown[1]}; settings: {words or 'none'}"


def _differences(record: object, processor: Any, where: str) -> list[str]:
    """In what the processor differs from the record; settings that only one of them has do not count."""
    before, first = _read(record, where)
    now = _settings(processor)
    shared = sorted((before.keys() & now.keys()) - _NO_SETTING)
    found = [f"{key} is {_short(now[key])}, was {_short(before[key])}" for key in shared if now[key] != before[key]]
    came = _of_blank(processor, first.from_wh_px)
    if first.to_wh_px not in (None, came):
        sizes = [first.from_wh_px, came or ("?", "?"), first.to_wh_px or ("?", "?")]
        one, here, then = (f"{width}x{height}" for width, height in sizes)
        found.append(f"an image of {one} pixels comes to {here}, came to {then}")
    return found


def _settings(processor: Any) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(json.dumps(processor.image_processor.to_dict(), default=str))
    return settings


def _of_blank(processor: Any, wh_px: tuple[int, int]) -> tuple[int, int] | None:
    """What an image of a size comes to."""
    from PIL import Image

    inputs = processor.image_processor(images=[Image.new("RGB", wh_px)], return_tensors="pt")
    return _resized_wh_px(processor.image_processor, inputs)


def _resized_wh_px(image_processor: Any, inputs: Mapping[str, Any]) -> tuple[int, int] | None:
    """The first image's size in pixels before it was cut into patches; None where `inputs` do not tell."""
    pixels = inputs["pixel_values"]
    if "image_grid_thw" in inputs:
        _, rows, columns = inputs["image_grid_thw"][0].tolist()
        return columns * image_processor.patch_size, rows * image_processor.patch_size
    if "image_position_ids" in inputs:  # (x, y) of each patch of side x side pixels in three colours, -1 for padding
        columns, rows = (inputs["image_position_ids"][0].amax(0) + 1).tolist()
        side = round((pixels.shape[-1] / 3) ** 0.5)
        return columns * side, rows * side
    return (pixels.shape[3], pixels.shape[2]) if pixels.ndim == 4 else None


def _read(record: object, where: str) -> tuple[dict[str, Any], Resized]:
    """The settings and the first image of a record, which anybody may have written."""
    settings, first = _part(record, "settings"), _part(record, "first_image")
    from_wh_px, to_wh_px = _size(first.get("from_wh_px")), _size(first.get("to_wh_px"))
    if settings and from_wh_px and (to_wh_px or first.get("to_wh_px") is None):
        return settings, Resized(from_wh_px, to_wh_px)
    raise InputError(
        where,
        expected=f"settings, and the first image's size with sides of 1 to {_LARGEST_SIDE} pixels",
        got=_short(record),
        remedy="Restore the provenance, or train the adapter again.",
    )


def _part(record: object, key: str) -> dict[str, Any]:
    """An object within a record; empty where there is none."""
    part = record.get(key) if isinstance(record, dict) else None
    return part if isinstance(part, dict) else {}


def _size(value: object) -> tuple[int, int] | None:
    sides = value if isinstance(value, list) else []
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= _LARGEST_SIDE for side in sides):
        return None
    return sides[0], sides[1]


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
