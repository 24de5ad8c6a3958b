"""Seal what a boxlist model knows about an answer into the answer's own text.

Stock lmms-eval hands only text to scoring: the trigger, the protocol, the size of the resized image and the token
count would be lost, and with them every control. A sealed answer is the model's text, then one trailer: U+241E (symbol
for record separator) and compact ASCII JSON. Only the last trailer counts, and boxlist models always append one, so
text that the model wrote can never pass for it. The trailer survives `str.strip`, caches, logs and ranks.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from boxlist.protocols import Protocol, SizeWH, is_protocol_name, protocol_named

SEPARATOR = "\u241e"
_KEYS = frozenset({"boxlist", "protocol", "finish", "tokens", "frame"})
_VERSION = 1
_LONGEST_TRAILER = 400
_OWN_ENDS = frozenset({"eos", "length", "likelihood"})
_FINISH = re.compile("[a-z][a-z_]{0,39}")  # an end of the model's own, or the name of the control that made one
_LARGEST = 10**9


class Sealed(NamedTuple):
    """An answer taken apart. Without a trailer everything but `text` says "unknown": None, and not triggered."""

    text: str
    protocol: Protocol | None = None
    triggered: bool = False
    finish: str | None = None
    tokens: int | None = None
    frame: SizeWH | None = None


def seal(
    text: str, *, protocol: Protocol | str, finish: str, tokens: int | None, frame_wh_px: tuple[int, int] | None
) -> str:
    """Append the trailer.

    >>> unseal(seal("[]", protocol="pixel_xyxy", finish="eos", tokens=2, frame_wh_px=None)).finish
    'eos'
    """
    row = protocol_named(protocol) if isinstance(protocol, str) else protocol
    if row.needs_frame and frame_wh_px is None:
        raise ValueError(f"seal: protocol {row.name} needs frame_wh_px, the size of the resized image; got None")
    trailer = {
        "boxlist": _VERSION,
        "protocol": row.name,
        "finish": finish,
        "tokens": None if tokens is None else int(tokens),
        "frame": None if frame_wh_px is None else [int(side) for side in frame_wh_px],
    }
    return f"{text}{SEPARATOR}{json.dumps(trailer, separators=(',', ':'))}"


def unseal(text: str) -> Sealed:
    """Split a sealed answer; a text without a well-formed last trailer comes back whole. Never raises."""
    body, separator, tail = text.rpartition(SEPARATOR)
    trailer = _read_trailer(tail) if separator else None
    if trailer is None:
        return Sealed(text)
    frame = None if trailer["frame"] is None else SizeWH(*trailer["frame"])
    finish: str = trailer["finish"]
    triggered = finish not in _OWN_ENDS
    return Sealed(body, protocol_named(trailer["protocol"]), triggered, finish, tokens=trailer["tokens"], frame=frame)


def _read_trailer(tail: str) -> dict[str, Any] | None:
    """The trailer's fields, or None where anything about them is not what `seal` writes."""
    if len(tail) > _LONGEST_TRAILER:
        return None
    try:
        fields = json.loads(tail)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or set(fields) != _KEYS or fields["boxlist"] != _VERSION:
        return None
    known = (
        isinstance(fields["protocol"], str)
        and is_protocol_name(fields["protocol"])
        and isinstance(fields["finish"], str)
        and _FINISH.fullmatch(fields["finish"]) is not None
        and (fields["tokens"] is None or _is_count(fields["tokens"]))
        and _is_frame(fields["frame"], protocol_named(fields["protocol"]))
    )
    return fields if known else None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _is_frame(value: object, protocol: Protocol) -> bool:
    if value is None:
        return not protocol.needs_frame
    return isinstance(value, list) and len(value) == 2 and all(_is_count(side) and side > 0 for side in value)
