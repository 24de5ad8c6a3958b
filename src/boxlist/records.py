"""A record: one object in an answer. No coordinate frame is known here; `protocols` gives one."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

RecordKey = tuple[str, tuple[float, ...]]


class Record(NamedTuple):
    """One object as the model wrote it.

    `coordinates` are finite, in the order and unit of the run's protocol: four for a box, two for a point.
    """

    label: str
    coordinates: tuple[float, ...]

    @property
    def key(self) -> RecordKey:
        """The normalised record: two records are exact repeats when their keys are equal.

        >>> Record(" Red  Circle", (45, 1, 2, 3)).key == Record("red circle", (45.0, 1, 2, 3)).key
        True
        """
        return normalise_label(self.label), tuple(map(float, self.coordinates))


def normalise_label(label: str) -> str:
    r"""Unicode NFC, stripped, inner white space collapsed, case-folded.

    >>> normalise_label("  Cafe\u0301 \n Table ")
    'café table'
    """
    if label.isascii():
        return " ".join(label.split()).lower()
    folded = unicodedata.normalize("NFC", label).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())
