"""JSON that others wrote, models or people: bounded, finite, and never a crash."""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any, NoReturn, TypeGuard

MAX_ANSWER_BYTES = 1 << 20
_MARK = "```"
_FENCE = re.compile(rf"{_MARK}[\w+-]*")


class NotJsonError(ValueError):
    """Text that is not JSON, or not JSON that may be used; the message says what is wrong with it."""


def parse_json(text: str, *, unique_keys: bool = True) -> Any:
    """The value that JSON text writes.

    Raises `NotJsonError` for anything else: NaN and Infinity, numbers of more digits than Python converts, nesting
    that no data has, and, with `unique_keys`, objects that have a key twice; without it the last one counts.
    """
    try:
        return (_UNIQUE_KEYS if unique_keys else _ANY_KEYS).decode(text)
    except RecursionError:
        raise NotJsonError("brackets nested too deeply") from None
    except NotJsonError:
        raise
    except json.JSONDecodeError as error:
        raise NotJsonError(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except ValueError:
        raise NotJsonError("a number of too many digits") from None


def parse_json_answer(text: str) -> Any:
    """The value of a model's answer that is JSON, in white space and at most one Markdown fence.

    Raises `NotJsonError` for anything else, and for more than `MAX_ANSWER_BYTES`.
    """
    if len(text) > MAX_ANSWER_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_ANSWER_BYTES:
        raise NotJsonError(f"more than {MAX_ANSWER_BYTES} bytes")
    body = text.strip()
    fence = _FENCE.match(body)
    if fence:
        if len(body) < fence.end() + len(_MARK) or not body.endswith(_MARK):
            raise NotJsonError("a fence that is not closed")
        body = body[fence.end() : -len(_MARK)]
    return parse_json(body)


def is_finite_number(value: object) -> TypeGuard[int | float]:
    """Whether it is an int or float that float64 holds; booleans are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return isfinite(value)
    except OverflowError:
        return False


def is_whole_number(value: object) -> TypeGuard[int]:
    """Whether it is an int; booleans are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def show(value: object) -> str:
    """A value as an error message quotes it: short."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:  # an int of more digits than Python writes
        text = "a number of too many digits"
    except RecursionError:
        text = "brackets nested too deeply"
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse_constant(name: str) -> NoReturn:
    raise NotJsonError(f"{name}, which is no JSON number")


def _object_of_unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in fields if keys.count(key) > 1)
        raise NotJsonError(f"the key {show(twice)} twice in one object")
    return fields


# json.loads would make a decoder at every call
_UNIQUE_KEYS = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_object_of_unique_keys)
_ANY_KEYS = json.JSONDecoder(parse_constant=_refuse_constant)
