"""Which classes a prompt names when some of them are not in the picture, drawn by a seed, for any data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np


class NamedClasses(NamedTuple):
    """The classes that a prompt names, in the order of the prompt, and those of them that the picture lacks."""

    asked: tuple[str, ...]
    absent: tuple[str, ...]


def name_classes(
    rng: np.random.Generator,
    present: Collection[str],
    known: Sequence[str],
    n_present: int,
    n_absent: int,
    near: Collection[str] = (),
) -> NamedClasses | None:
    """Draw classes that the picture has and classes that it lacks, and shuffle them; None where there are not so many.

    `known` are all classes. Of the absent ones, half come from `near`, as far as it goes: those that are easily taken
    for something in the picture.
    """
    there = [label for label in known if label in set(present)]
    missing = [label for label in known if label not in set(present)]
    if len(there) < n_present or len(missing) < n_absent:
        return None
    close = _draw(rng, [label for label in missing if label in set(near)], n_absent // 2)
    absent = close + _draw(rng, [label for label in missing if label not in close], n_absent - len(close))
    asked = _draw(rng, _draw(rng, there, n_present) + absent, n_present + n_absent)
    return NamedClasses(tuple(asked), tuple(label for label in asked if label in absent))


def listed(classes: Sequence[str]) -> str:
    """Classes as a prompt names them.

    >>> listed(["red circle", "blue star", "dog"])
    'red circle, blue star and dog'
    """
    *others, last = classes
    return f"{', '.join(others)} and {last}" if others else last


def _draw(rng: np.random.Generator, labels: Sequence[str], count: int) -> list[str]:
    return [labels[index] for index in rng.permutation(len(labels))[:count].tolist()]
