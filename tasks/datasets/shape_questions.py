"""Questions about a drawn picture, after the redundancy paper (seed document 003, section 4.1), one row a type.

The paper names "the dominant color and shape", "the unique shapes and colors", "color and shape variety [...] which
colors and shapes are present in the image" and "object count [...] up to 200 objects"; it does not give the wording.
Its figure 2 correlates "the number of unique shapes and colors in the image", so unique is read as how many different
ones there are; the other reading, the one that a single object has, is the type `odd`. docs/decisions/010 says more.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import unknown_name
from boxlist.metrics.shape_questions import COUNT, FORMS
from boxlist.tasks.datasets.shapes import COLOURS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boxlist.metrics.shape_questions import Reply

CLEAR_LEAD = 1.2
"""The most frequent value must be this many times as frequent as the next, so that one answer is plainly right."""
WORDS: dict[str, tuple[str, ...]] = {"shape": SHAPES, "color": tuple(COLOURS)}


class QuestionType(NamedTuple):
    """One type of question: about which attribute, as it is asked, and the right reply to the objects' values.

    `reply` gives None where the question has no plain answer.
    """

    name: str
    attribute: str
    asked: str
    reply: Callable[[Sequence[str]], Reply | None]

    @property
    def words(self) -> tuple[str, ...]:
        """The words that an answer may have; none where it is a number."""
        return () if FORMS[self.name] == "number" else WORDS[self.attribute]

    @property
    def form(self) -> str:
        """What the prompt says in the place of the answer."""
        *others, last = (f'"{word}"' for word in self.words or ("",))
        named = ", ".join(others)
        return {
            "number": "number",
            "word": f"{named} or {last}",
            "words": f"a list of those that are there of {named} and {last}",
        }[FORMS[self.name]]


def dominant(values: Sequence[str]) -> str | None:
    """The most frequent value; None where the next is nearly as frequent.

    >>> dominant(["star", "star", "circle"])
    'star'
    """
    first, *others = Counter(values).most_common(2)
    return first[0] if not others or first[1] >= CLEAR_LEAD * others[0][1] else None


def odd(values: Sequence[str]) -> str | None:
    """The one value that a single object has; None where there is no such value, or several, or nothing else.

    >>> odd(["star", "star", "circle"])
    'circle'
    """
    counts = Counter(values)
    once = [value for value, count in counts.items() if count == 1]
    return once[0] if len(once) == 1 and len(counts) > 1 else None


def _rows() -> tuple[QuestionType, ...]:
    rows = []
    for name in WORDS:
        rows += [
            QuestionType(f"dominant_{name}", name, f"Which {name} is the most frequent in the image?", dominant),
            QuestionType(
                f"unique_{name}s",
                name,
                f"How many different {name}s are there in the image?",
                lambda values: len(set(values)),
            ),
            QuestionType(f"odd_{name}", name, f"Which {name} does only one object in the image have?", odd),
            QuestionType(
                f"{name}_variety",
                name,
                f"Which {name}s are there in the image?",
                lambda values: tuple(sorted({*values})),
            ),
        ]
    return (*rows, QuestionType(COUNT, "shape", "How many objects are there in the image?", len))


QUESTION_TYPES: dict[str, QuestionType] = {row.name: row for row in _rows()}


def question_type_named(name: str) -> QuestionType:
    """Look a type up; an unknown name is an `InputError` with near matches."""
    if name not in QUESTION_TYPES:
        raise unknown_name("question type", name, QUESTION_TYPES)
    return QUESTION_TYPES[name]
