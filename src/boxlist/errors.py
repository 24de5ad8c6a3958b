"""The errors that boxlist raises on purpose.

BoxlistError
└── InputError        the user's input is wrong: one line, exit status 2
    └── MissingExtraError  an optional library is not installed
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class BoxlistError(Exception):
    """Anything boxlist refuses to do, with a message that a user can act on."""


class InputError(BoxlistError):
    """Wrong input from the user: says where, what was expected, what was got, and the remedy, in one line.

    >>> print(InputError("ann.json: image 17, box 3", expected="width > 0", got="-4.0", remedy="Fix the file."))
    ann.json: image 17, box 3: expected width > 0, got -4.0. Fix the file.
    """

    def __init__(self, where: str, *, expected: str, got: str, remedy: str) -> None:
        super().__init__(_one_line(f"{where}: expected {expected}, got {got}. {remedy}"))
        self.where, self.expected, self.got, self.remedy = where, expected, got, remedy

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.where, self.expected, self.got, self.remedy)


class MissingExtraError(InputError):
    """An optional library is needed and not there."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(
            f"import {library}", expected="it installed", got="nothing", remedy=f"Run: pip install 'boxlist[{extra}]'"
        )


def unknown_name(kind: str, name: str, known: Iterable[str], remedy: str = "") -> InputError:
    """The error for a name that is in no table, with its near matches and then all that there are.

    >>> print(unknown_name("control", "repeatstop", ["budget", "repeat_stop"]))
    control 'repeatstop': expected one of budget, repeat_stop, got an unknown name. Did you mean repeat_stop?
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else "Choose one of them."
    shown = ", ".join(names) or "(none)"
    return InputError(f"{kind} {name[:80]!r}", expected=f"one of {shown}", got="an unknown name", remedy=remedy or hint)


def _rebuild(kind: type[InputError], where: str, expected: str, got: str, remedy: str) -> InputError:
    error = InputError(where, expected=expected, got=got, remedy=remedy)
    error.__class__ = kind
    return error


def _one_line(text: str) -> str:
    """Keep a message on one line, whatever a file name or a label holds."""
    return "".join(char if char.isprintable() else " " for char in text)
