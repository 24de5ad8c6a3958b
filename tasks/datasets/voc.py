"""Boxes out of Pascal VOC XML, read with expat: no document type, no entities, bounded size and depth."""

from __future__ import annotations

import math
from typing import NamedTuple, NoReturn
from xml.parsers import expat

from boxlist.errors import InputError

_LARGEST_BYTES = 16 * 2**20
_DEEPEST = 16
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


class VocObject(NamedTuple):
    """One annotated object. `box_xyxy_px` is xmin ymin xmax ymax as the file has them."""

    name: str
    box_xyxy_px: tuple[float, float, float, float]


class VocFile(NamedTuple):
    """What a VOC file says: the image's size and its objects in order."""

    size_wh_px: tuple[int, int]
    objects: tuple[VocObject, ...]


def read_voc(data: bytes, where: str, *, any_extent: bool = False) -> VocFile:
    """Read a VOC annotation; `where` names it in errors.

    Raises `InputError` for anything that is not plain VOC: a document type (so no entity can be declared), broken XML,
    a missing or non-finite number and, unless `any_extent`, a box without extent.
    """
    if len(data) > _LARGEST_BYTES:
        _refuse(where, f"at most {_LARGEST_BYTES} bytes", f"{len(data)}")
    leaves = _leaves(data, where)
    size: dict[str, str] = {}
    objects: list[dict[str, str]] = []
    for path, text in leaves:
        if path == ("annotation", "object"):
            objects.append({})
        elif path[:2] == ("annotation", "object") and objects:
            objects[-1].setdefault("/".join(path[2:]), text)
        elif path[:2] == ("annotation", "size"):
            size["/".join(path[2:])] = text
    width, height = (_number(size.get(side), f"{where}: size, {side}") for side in ("width", "height"))
    return VocFile(
        (int(width), int(height)),
        tuple(
            _object(fields, f"{where}: object {number}", any_extent=any_extent)
            for number, fields in enumerate(objects, start=1)
        ),
    )


def _leaves(data: bytes, where: str) -> list[tuple[tuple[str, ...], str]]:
    """Every element as (path, text), in the order in which the elements open."""
    found: list[tuple[tuple[str, ...], list[str]]] = []
    path: list[str] = []
    open_elements: list[list[str]] = []

    def start(name: str, _attributes: dict[str, str]) -> None:
        if len(path) >= _DEEPEST:
            _refuse(where, f"at most {_DEEPEST} nested elements", "more")
        path.append(name)
        open_elements.append([])
        found.append((tuple(path), open_elements[-1]))

    def end(_name: str) -> None:
        path.pop()
        open_elements.pop()

    def characters(text: str) -> None:
        if open_elements:
            open_elements[-1].append(text)

    def document_type(*_declaration: object) -> None:
        _refuse(where, "XML without a document type", "a DOCTYPE, which could declare entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, document_type
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        _refuse(where, "well-formed XML", str(error))
    return [(elements, "".join(pieces).strip()) for elements, pieces in found]


def _object(fields: dict[str, str], where: str, *, any_extent: bool) -> VocObject:
    x1, y1, x2, y2 = (_number(fields.get(f"bndbox/{corner}"), f"{where}, {corner}") for corner in _CORNERS)
    if not any_extent and (x2 <= x1 or y2 <= y1):
        _refuse(where, "xmin < xmax and ymin < ymax", f"{x1:g} {y1:g} {x2:g} {y2:g}")
    return VocObject(fields.get("name", ""), (x1, y1, x2, y2))


def _number(text: str | None, where: str) -> float:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        _refuse(where, "a finite number", "nothing" if text is None else repr(text[:40]))
    return number


def _refuse(where: str, expected: str, got: str) -> NoReturn:
    raise InputError(where, expected=expected, got=got, remedy="Fix the file.")
