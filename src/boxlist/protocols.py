"""The protocols by name. A run declares one; it is never guessed from values.

One row a family's protocol in `PROTOCOLS`. Any other way to write boxes in JSON or plain text is composed by its name:
`UNIT_ORDER` and, behind a `+` each, what differs from a flat JSON list with the box first, as in
`norm1000_yxhw+plain+label_first`. See `protocol_named`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from boxlist.errors import InputError, unknown_name
from boxlist.protocol import BOX_KEYS, LABEL_KEYS, POINT_KEYS, Order, Protocol, SizeWH, Syntax, Unit

__all__ = [
    "BOX_KEYS",
    "DEFAULT_POINT_PROTOCOL",
    "DEFAULT_PROTOCOL",
    "LABEL_KEYS",
    "MAX_NAME_CHARS",
    "PARTS",
    "POINT_KEYS",
    "PROTOCOLS",
    "Order",
    "Protocol",
    "SizeWH",
    "Syntax",
    "Unit",
    "is_protocol_name",
    "protocol_named",
]

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
    Protocol("percent_xy", "xy", "percent", "Molmo and PaliGemma points", syntax="point"),
    Protocol("pixel_xy", "xy", "pixel", "points of the pocket Gemma 4", syntax="point"),
    Protocol("norm1000_xy", "xy", "norm1000", "Qwen3-VL points", box_key="point_2d"),
    Protocol("norm1000_yx", "yx", "norm1000", "Gemini points", box_key="point"),
    Protocol("resized_pixel_xy", "xy", "resized_pixel", "Qwen2.5-VL points", box_key="point_2d"),
)
PROTOCOLS: dict[str, Protocol] = {row.name: row for row in _ROWS}
DEFAULT_PROTOCOL = "norm1000_xyxy"
DEFAULT_POINT_PROTOCOL = "percent_xy"
COMPOSED = "composed; format studies"
MAX_NAME_CHARS = 80

_BOX_ORDERS: tuple[Order, ...] = ("xyxy", "xywh", "yxyx", "yxhw", "cxcywh")
_BOX_UNITS: tuple[Unit, ...] = ("pixel", "resized_pixel", "norm1000", "norm1", "percent")
_GRID = (Protocol(f"{unit}_{order}", order, unit, COMPOSED) for unit in _BOX_UNITS for order in _BOX_ORDERS)
_BASES = {**{base.name: base for base in _GRID}, **PROTOCOLS}
# What may stand behind a `+`, and what it chooses; the first of each choice is the one that a name need not say.
PARTS: dict[str, str] = {
    **dict.fromkeys(("json", "plain"), "syntax"),
    **dict.fromkeys(("per_box", "nested"), "structure"),
    **dict.fromkeys(("box_first", "label_first"), "sequence"),
    **dict.fromkeys((*BOX_KEYS, "coordinates", "bounding_box"), "key of the box"),
    **dict.fromkeys((*LABEL_KEYS, "class_name"), "key of the label"),
}


@lru_cache(maxsize=256)
def protocol_named(name: str) -> Protocol:
    """A protocol by its name: a row of `PROTOCOLS`, or one composed of a base and parts.

    The base is `UNIT_ORDER`, and a box protocol that writes JSON; parts choose `plain` text, a `nested` list (a label
    once, before all its boxes), `label_first`, and the keys. However the parts are given, the same format has the same
    `name`. Raises `InputError` with near matches for what is unknown, and for parts that do not go together.

    >>> protocol_named("norm1000_xyxy+label_first+plain").name
    'norm1000_xyxy+plain+label_first'
    >>> protocol_named("percent_yxhw+nested+box_2d").box_format()
    '{"label": "...", "box_2d": [[y, x, height, width], ...]} in percent of the image size, from 0 to 100'
    """
    base_name, *parts = name.split("+")
    if base_name not in _BASES:
        raise unknown_name("protocol", base_name, _BASES)
    base = _BASES[base_name]
    if parts and (base.syntax != "json" or base.writes_points):
        raise _misfit(name, "no parts after this name", parts[0], "Compose with a box protocol in JSON.")
    return _composed(base, _choices(name, parts), name) if parts else base


def is_protocol_name(name: str) -> bool:
    """Whether it is the one name of a protocol, as that protocol gives it."""
    try:
        return len(name) <= MAX_NAME_CHARS and protocol_named(name).name == name
    except InputError:
        return False


def _choices(name: str, parts: list[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for part in parts:
        if part not in PARTS:
            raise unknown_name(f"protocol {name[:MAX_NAME_CHARS]!r}: part", part, PARTS)
        if PARTS[part] in chosen:
            raise _misfit(name, f"one {PARTS[part]}", f"{chosen[PARTS[part]]} and {part}", "Drop one of them.")
        chosen[PARTS[part]] = part
    return chosen


def _composed(base: Protocol, chosen: dict[str, str], name: str) -> Protocol:
    plain, nested = chosen.get("syntax") == "plain", chosen.get("structure") == "nested"
    keys = [part for choice, part in chosen.items() if choice.startswith("key ")]
    if plain and keys:
        raise _misfit(name, "keys in JSON only", f"plain and {keys[0]}", "Drop one of them.")
    if nested and chosen.get("sequence") == "box_first":
        raise _misfit(
            name, "the label before its boxes where they are nested", "box_first", "Drop it: else no box is whole yet."
        )
    own = replace(
        base,
        family=COMPOSED,
        syntax="plain" if plain else "nested_json" if nested else "json",
        box_key=chosen.get("key of the box", base.box_key),
        label_key=chosen.get("key of the label", base.label_key),
        label_first=nested or chosen.get("sequence") == "label_first",
        nested=nested,
    )
    said = {
        "plain": plain,
        "nested": nested,
        "label_first": own.label_first and not nested,
        own.box_key: own.box_key != base.box_key,
        own.label_key: own.label_key != base.label_key,
    }
    name = "+".join([base.name, *(part for part, is_said in said.items() if is_said)])
    return base if name == base.name else replace(own, name=name)


def _misfit(name: str, expected: str, got: str, remedy: str) -> InputError:
    return InputError(f"protocol {name[:MAX_NAME_CHARS]!r}", expected=expected, got=got, remedy=remedy)
