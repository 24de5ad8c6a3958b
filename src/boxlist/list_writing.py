"""The text that says a list of records, one function a syntax. Coordinates are written as they are given."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.records import Record

NO_LINES = "none"
"""What a list of lines says when there is nothing to list."""


def json_list(records: Sequence[Record], box_key: str, label_key: str, *, label_first: bool = False) -> str:
    """A JSON array of an object a record."""
    items = [{box_key: numbers(record), label_key: record.label} for record in records]
    if label_first:
        items = [dict(reversed(item.items())) for item in items]
    return json.dumps(items, ensure_ascii=False)


def nested_list(records: Sequence[Record], box_key: str, label_key: str) -> str:
    """A JSON array of an object a label, which comes before the list of its boxes."""
    items = [{label_key: label, box_key: boxes} for label, boxes in _by_label(records)]
    return json.dumps(items, ensure_ascii=False)


def line_list(records: Sequence[Record], *, label_first: bool = False, nested: bool = False) -> str:
    """Lines of plain text: one a record, or one a label where `nested`, which comes before its boxes.

    White space in a label becomes single spaces; brackets in it would be read as a box.
    """
    if nested:
        lines = [f"{label}: {', '.join(map(json.dumps, boxes))}" for label, boxes in _by_label(records)]
    elif label_first:
        lines = [f"{record.label}: {json.dumps(numbers(record))}" for record in records]
    else:
        lines = [f"{json.dumps(numbers(record))} {record.label}" for record in records]
    return "\n".join(" ".join(line.split()) for line in lines) or NO_LINES


def location_list(records: Sequence[Record]) -> str:
    """PaliGemma's location tokens."""
    return " ; ".join(
        "".join(f"<loc{int(c):04d}>" for c in record.coordinates) + f" {record.label}" for record in records
    )


def point_tags(records: Sequence[Record]) -> str:
    """Molmo's notation: one tag for points of one label, `<points>` for several of them; else a tag each."""
    if len(records) < 2 or len({record.label for record in records}) > 1:
        return "\n".join(_point_tag("point", [record]) for record in records)
    return _point_tag("points", records)


def numbers(record: Record) -> list[int | float]:
    """45.0 is written 45."""
    return [int(number) if float(number).is_integer() else float(number) for number in record.coordinates]


def _by_label(records: Sequence[Record]) -> list[tuple[str, list[list[int | float]]]]:
    """The labels in the order of their first records, each with its boxes in theirs."""
    found: dict[str, list[list[int | float]]] = {}
    for record in records:
        found.setdefault(record.label, []).append(numbers(record))
    return list(found.items())


def _point_tag(name: str, records: Sequence[Record]) -> str:
    counted = [""] if name == "point" else [str(number) for number in range(1, len(records) + 1)]
    points = " ".join(
        f'x{number}="{float(record.coordinates[0])}" y{number}="{float(record.coordinates[1])}"'
        for number, record in zip(counted, records, strict=True)
    )
    label = escape(records[0].label)
    return f'<{name} {points} alt="{label}">{label}</{name}>'
