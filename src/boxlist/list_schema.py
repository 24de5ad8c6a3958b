"""The JSON schema of a whole answer, for engines that can be held to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError

if TYPE_CHECKING:
    from boxlist.protocol import Protocol

LONGEST_LABEL = 100
_LARGEST = {"norm1000": 1000, "norm1": 1, "percent": 100}


def list_schema(protocol: Protocol) -> dict[str, Any]:
    """A list of records as `protocol` writes them: its keys in its order, four numbers in the range of its unit.

    Numbers are whole where the protocol writes whole ones. Raises `InputError` for a protocol that does not write a
    JSON list of records with one box or point each.

    >>> from boxlist.protocols import protocol_named
    >>> list_schema(protocol_named("norm1000_xyxy"))["items"]["required"]
    ['bbox_2d', 'label']
    """
    if protocol.syntax != "json" or protocol.nested:
        raise InputError(
            f"control json_only under protocol {protocol.name}",
            expected="a protocol that writes a JSON list with one object a record",
            got=f"one that writes {protocol.list_format()[:120]}",
            remedy="Leave json_only out, or choose another protocol.",
        )
    number: dict[str, Any] = {"type": "number" if protocol.decimals else "integer", "minimum": 0}
    if protocol.unit in _LARGEST:
        number["maximum"] = _LARGEST[protocol.unit]
    n = protocol.n_coordinates
    box = {"type": "array", "items": number, "minItems": n, "maxItems": n}
    keys = {protocol.box_key: box, protocol.label_key: {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}}
    if protocol.label_first:
        keys = dict(reversed(keys.items()))
    record = {"type": "object", "properties": keys, "required": list(keys), "additionalProperties": False}
    return {"type": "array", "items": record}
