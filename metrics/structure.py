"""Scoring the inventory probe: a fixed JSON shape without boxes, and whether it repeats itself.

The answer is one object with the keys slot_1 to slot_8, each an object of the vocabulary's fields and words, such as
`{"color": ..., "shape": ..., "size": ...}`, or with "none" in all of them for an empty slot. Repeats are counted over
filled slots, and read against a floor: the picture may well hold two small red circles, so the right inventory has a
duplicate rate of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from boxlist.metrics.inputs import ImageId, ImageRow, answers_in_order
from boxlist.metrics.json_input import MAX_ANSWER_BYTES, NotJsonError, parse_json, parse_json_answer
from boxlist.records import normalise_label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from boxlist.metrics.inputs import GivenAnswer

N_SLOTS = 8
SLOT_KEYS = tuple(f"slot_{number}" for number in range(1, N_SLOTS + 1))
EMPTY = "none"

_INNERMOST_OBJECT = re.compile(r"\{[^{}]*\}")


Slot: TypeAlias = tuple[str, ...]
"""What one slot of an inventory says, in the order of the vocabulary's fields."""

Vocabulary: TypeAlias = "Mapping[str, Collection[str]]"
"""The fields of a slot, and the words that each may have besides "none"."""


class InventoryTruth(NamedTuple):
    """The right inventory of one image: its filled slots in order, eight at most."""

    image_id: ImageId
    slots: tuple[Slot, ...]


def score_inventory(
    answers: Iterable[GivenAnswer], truths: Sequence[InventoryTruth], vocabulary: Vocabulary
) -> list[ImageRow]:
    """One row for each truth, in their order; an image without an answer has the empty one.

    Slots are counted in every answer, valid or not: whatever complete `{...}` has the fields as text. So a loop
    in an answer that breaks off is seen.
    """
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    rows = []
    for answer, truth in zip(given, truths, strict=True):
        valid = is_inventory(answer.text, vocabulary)
        filled = filled_slots(answer.text, vocabulary)
        duplicates, max_repeat = _repeats(filled)
        floor, _ = _repeats([_normalised(slot) for slot in truth.slots])
        rows.append(
            {
                "image_id": truth.image_id,
                "status": "valid" if valid else "malformed" if answer.text.strip() else "empty",
                "tokens": answer.tokens,
                "target_shape_valid": valid,
                "n_slots": len(filled),
                "duplicates": duplicates,
                "duplicate_rate": duplicates / max(len(filled), 1),
                "max_repeat": max_repeat,
                "n_truth_slots": len(truth.slots),
                "ground_truth_duplicates": floor,
                "ground_truth_duplicate_rate": floor / max(len(truth.slots), 1),
                "triggered": answer.triggered,
            }
        )
    return rows


def is_inventory(text: str, vocabulary: Vocabulary) -> bool:
    """Whether an answer has exactly the probe's shape: its keys, its fields, its words, and no others."""
    try:
        value = parse_json_answer(text)
    except NotJsonError:
        return False
    if not isinstance(value, dict) or set(value) != set(SLOT_KEYS):
        return False
    return all(_is_slot(value[key], vocabulary) for key in SLOT_KEYS)


def filled_slots(text: str, fields: Collection[str]) -> list[Slot]:
    """The slots of an answer that are not empty, normalised, in order; complete ones only, one linear pass."""
    slots = []
    for found in _INNERMOST_OBJECT.finditer(text[:MAX_ANSWER_BYTES]):
        try:
            value = parse_json(found.group())
        except NotJsonError:
            continue
        words = [value.get(field) for field in fields]
        if all(isinstance(word, str) for word in words):
            slots.append(_normalised(words))
    return [slot for slot in slots if set(slot) != {EMPTY}]


def _is_slot(value: Any, vocabulary: Vocabulary) -> bool:
    if not isinstance(value, dict) or set(value) != set(vocabulary):
        return False
    words = [value[field] for field in vocabulary]
    if not all(isinstance(word, str) for word in words):
        return False
    return set(words) == {EMPTY} or all(
        word in allowed for word, allowed in zip(words, vocabulary.values(), strict=True)
    )


def _normalised(slot: Iterable[str]) -> Slot:
    return tuple(map(normalise_label, slot))


def _repeats(slots: Sequence[Slot]) -> tuple[int, int]:
    """How many slots repeat an earlier one, and the copies of the most repeated."""
    copies = Counter(slots)
    return len(slots) - len(copies), max(copies.values(), default=0)
