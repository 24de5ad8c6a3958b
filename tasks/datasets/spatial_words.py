"""How questions about places are worded: captions to choose from, referring expressions, and a place as a hint.

The sentences are those of the redundancy paper (seed document 003, appendix A.3.1). It gives no caption for the top
and the bottom of an image; "at the top" and "at the bottom" are ours.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.choices import LETTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

OPPOSITES = {"left": "right", "right": "left", "above": "below", "below": "above", "top": "bottom", "bottom": "top"}
_OF_TWO = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}
_OF_ONE = {"left": "to the left", "right": "to the right", "top": "at the top", "bottom": "at the bottom"}


class Place(NamedTuple):
    """Where an object is: seen from `reference`, or in the image where there is none. Boxes are x1 y1 x2 y2 in
    pixels."""

    subject: str
    relation: str
    box_xyxy_px: Sequence[float]
    size_wh_px: tuple[int, int]
    reference: str | None = None
    reference_xyxy_px: Sequence[float] = ()

    @property
    def relations(self) -> tuple[str, ...]:
        """The relations that it might be."""
        return tuple(_OF_ONE if self.reference is None else _OF_TWO)


def caption(place: Place, relation: str) -> str:
    """What a photo would show if the object were there.

    >>> caption(Place("dog", "left", (0, 0, 1, 1), (9, 9), "car"), "right")
    'A photo of a dog to the right of a car'
    """
    if place.reference is None:
        return f"A photo of a {place.subject} {_OF_ONE[relation]}"
    return f"A photo of a {place.subject} {_OF_TWO[relation]} a {place.reference}"


def expression(place: Place) -> str:
    """The object by its place.

    >>> expression(Place("dog", "bottom", (0, 0, 1, 1), (9, 9)))
    'dog on the bottom'
    """
    if place.reference is None:
        return f"{place.subject} on the {place.relation}"
    return f"{place.subject} {_OF_TWO[place.relation]} {place.reference}"


def place_notes(place: Place, n_options: int, order: Sequence[int]) -> dict[str, Any]:
    """The question and the answer of a document about a place, for captions, choices and referring alike.

    The options are the right caption and that of the opposite (2), or those of all relations (4). `order` seeds theirs.
    """
    others = [OPPOSITES[place.relation]] if n_options == 2 else [r for r in place.relations if r != place.relation]
    notes = option_notes([caption(place, relation) for relation in (place.relation, *others)], order)
    of_one = f"Describe the spatial relationship of the {place.subject} relative to the image."
    of_two = f"Describe the spatial relationship between the {place.subject} and the {place.reference} in the image."
    hint = "" if place.reference is None else json.dumps([*place.reference_xyxy_px, *place.size_wh_px])
    words = {"describe": of_one if place.reference is None else of_two, "expression": expression(place), "hint": hint}
    answer = {"subject": place.subject, "relation": place.relation, "box_xyxy_px": list(place.box_xyxy_px)}
    return {"question": {**words, **notes["question"]}, "answer": {**answer, **notes["answer"]}}


def option_notes(right_first: Sequence[str], order: Sequence[int]) -> dict[str, Any]:
    """The question and the answer of a document with options, of which the first that is given is the right one.

    They are shuffled by a generator seeded with `order`, so that neither a place nor a letter tells the right one.
    Raises `InputError` for options that cannot be told apart, fewer than two, or more than there are letters.
    """
    distinct = {" ".join(option.split()).casefold().rstrip(" .") for option in right_first}
    if not 2 <= len(right_first) <= len(LETTERS) or len(distinct) < len(right_first) or "" in distinct:
        raise InputError(
            f"options {list(right_first)!r:.160}",
            expected=f"2 to {len(LETTERS)} captions that differ",
            got=f"{len(right_first)}, {len(distinct)} of them different",
            remedy="Correct the file, or leave the question out.",
        )
    places = np.random.default_rng(list(order)).permutation(len(right_first)).tolist()
    options = [right_first[place] for place in places]
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    *letters, last = list(LETTERS[: len(options)])
    question = {"options": "\n{}\n".format("\n".join(lines)), "letters": f"{', '.join(letters)} or {last}"}
    return {"question": question, "answer": {"options": options, "right": places.index(0)}}
