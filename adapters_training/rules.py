"""What a key of a recipe may hold: a type, a test and both in words; and the check of values against such rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Rule(NamedTuple):
    """What one key may hold: its type, a test of its value, and both in words."""

    type: type
    expected: str
    holds: Callable[[Any], bool]


def whole(least: int, most: int) -> Rule:
    """A whole number within bounds, both included."""
    return Rule(int, f"a whole number from {least} to {most}", lambda value: least <= value <= most)


def switch() -> Rule:
    """true or false."""
    return Rule(bool, "true or false", lambda _: True)


def one_of(names: tuple[str, ...]) -> Rule:
    """One of some names."""
    return Rule(str, f"one of {', '.join(names)}", lambda value: value in names)


def checked_values(where: str, given: Mapping[Any, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """What is given, without the keys that are left empty; every key known and every value within its rule."""
    for key in given:
        if key not in rules:
            raise unknown_name(f"{where}: key", str(key), rules)
    return {key: _checked(where, key, value, rules[key]) for key, value in given.items() if value is not None}


def refuse_missing(where: str, values: Mapping[str, Any], required: tuple[str, ...], rules: Mapping[str, Rule]) -> None:
    """Raise `InputError` for the first required key that has no value."""
    for key in required:
        if key not in values:
            raise InputError(f"{where}: {key}", expected=rules[key].expected, got="nothing", remedy="Add the key.")


def _checked(where: str, key: str, value: object, rule: Rule) -> object:
    if rule.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    good_type = isinstance(value, rule.type) and isinstance(value, bool) == (rule.type is bool)
    if good_type and not (isinstance(value, float) and not math.isfinite(value)) and rule.holds(value):
        return value
    remedy = "Change the value."
    if rule.type is float and isinstance(value, str):
        remedy = "YAML reads 1e-3 as text: write 1.0e-3."
    raise InputError(f"{where}: {key}", expected=rule.expected, got=repr(value)[:80], remedy=remedy)
