"""The fast way for what most answers are: one flat list of records, nothing else.

It says nothing about any other answer, and what it accepts the scanner reads alike (a property test).
"""

from __future__ import annotations

import json
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from boxlist.found import MAX_RECORD_CHARS
from boxlist.json_list import FENCED_LIST, are_finite_numbers, refuse_constant
from boxlist.records import Record

if TYPE_CHECKING:
    from boxlist.protocols import Protocol

_parse_at = json.JSONDecoder(parse_constant=refuse_constant).raw_decode
_make_record: Any = partial(tuple.__new__, Record)  # what Record(...) does, without a Python call per record


def read_plain_list(text: str, protocol: Protocol) -> tuple[Record, ...] | None:
    """The records of a valid list of records that have a box and a label each and nothing else; None for the rest."""
    body = _list_in(text)
    try:
        items, end = _parse_at(body)
    except (ValueError, RecursionError):
        return None
    if end != len(body) or (len(text) > MAX_RECORD_CHARS and _may_pass_limit(text, len(items))):
        return None
    if not items:
        return ()
    try:
        box_key = next(filter(protocol.coordinate_keys.__contains__, items[0]), "")
        label_key = next(filter(protocol.label_keys.__contains__, items[0]), "")
        boxes = list(map(itemgetter(box_key), items))
        labels = list(map(itemgetter(label_key), items))
        are_records = (
            set(map(len, boxes)) == {protocol.n_coordinates}
            and set(map(type, labels)) == {str}
            and are_finite_numbers(list(chain.from_iterable(boxes)))  # numbers, so that the boxes are lists too
        )
    except (KeyError, TypeError):  # a missing key, no object, no list
        return None
    if not are_records or text.count(":") != 2 * len(items):  # more colons may be repeated keys, or other fields
        return None
    return tuple(map(_make_record, zip(labels, map(tuple, boxes), strict=True)))


def _list_in(text: str) -> str:
    """The text without white space and fence if it may be a list; empty if not."""
    body = text.strip()
    if body.endswith("]"):
        return body
    fenced = FENCED_LIST.fullmatch(body)
    return fenced.group(1) if fenced else ""


def _may_pass_limit(text: str, n: int) -> bool:
    parts = text.split("}")
    return len(parts) != n + 1 or max(map(len, parts)) >= MAX_RECORD_CHARS
