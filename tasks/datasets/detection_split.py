"""What data sets out of COCO detection files share: options to choices, the documents, and the funnel for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.tasks.datasets.object_selection import Choices

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.tasks.datasets.object_selection import Candidate, Selection

_FIELDS = frozenset(Choices.__dataclass_fields__)


def choices_of(options: Mapping[str, Any]) -> Choices:
    """The options that decide the selection, as `select` takes them; those that a data set has not keep defaults.

    Raises `InputError` for a number below 0, which no option here has a use for.
    """
    for name, value in options.items():
        if isinstance(value, int | float) and value < 0:
            raise InputError(f"--option {name}", expected="0 or more", got=str(value), remedy="Change it.")
    chosen = {name: value for name, value in options.items() if name in _FIELDS}
    return Choices(**{**chosen, "excluded": names_in(options["excluded"])})


def names_in(text: str) -> tuple[str, ...]:
    """The names in a text with commas between them.

    >>> names_in("person, car,")
    ('person', 'car')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())


def class_words(candidate: Candidate, classes: Sequence[str], named: str) -> str:
    """The classes as a prompt's `{classes}` names them: all, or with `named` "present" those in the image."""
    present = {item["label"] for item in candidate.objects}
    return ", ".join(name for name in classes if named == "all" or name in present)


def funnel_notes(selection: Selection, ready: int) -> list[str]:
    """The classes with their numbers, and how many images and boxes went out at each step, a line each.

    `ready` is how many may be drawn in the end, where file names decide too.
    """
    funnel = selection.funnel
    classes = ", ".join(f"{name} {number}" for name, number in funnel["classes"].items())
    steps = [f"{key.replace('_', ' ')}: {number} out" for key, number in funnel["out"].items() if number]
    return [
        f"classes: {classes}",
        f"the file: {funnel['images']} images, {funnel['boxes']} boxes",
        *steps,
        f"left to draw from: {ready} images",
    ]
