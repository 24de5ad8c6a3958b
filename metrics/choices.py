"""Scoring questions with given options: by how likely a model finds each, or by the one that it writes.

Ties and unreadable answers are wrong: the right option must be the likeliest by itself. What's Up also counts pairs
(both of two opposite prepositions right) and sets (all four of two objects right), as in `evaluate_scores` of
github.com/amitakamath/whatsup_vlms; a pair or set of which not every image was asked counts for nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from boxlist.metrics.inputs import ImageId, ImageRow, answers_in_order
from boxlist.metrics.option_scores import read_option_scores
from boxlist.records import normalise_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from boxlist.metrics.inputs import GivenAnswer

LETTERS = "ABCDEFGH"
_CHOSEN = re.compile(r"\(?([A-Za-z])(?:[.:)]|\)[.:])?(?:\s+(\S.*))?", re.DOTALL)
_GROUPS = (("pair", 2), ("set", 4))


class ChoiceTruth(NamedTuple):
    """The options of one image's question, at most as many as there are `LETTERS`, and the place of the right one.

    `pair` and `set` name the groups that the image belongs to, if any.
    """

    image_id: ImageId
    options: tuple[str, ...]
    right: int
    pair: str | None = None
    set: str | None = None


def score_option_likelihoods(answers: Iterable[GivenAnswer], truths: Sequence[ChoiceTruth]) -> list[ImageRow]:
    """One row for each truth, in their order, from answers that hold `option_scores`."""
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    rows = []
    for answer, truth in zip(given, truths, strict=True):
        scores = read_option_scores(answer.text, len(truth.options))
        chosen = None if scores is None else _likeliest([one.logprob for one in scores])
        by_token = None if scores is None else _likeliest([one.logprob / one.tokens for one in scores])
        row = _row(answer, truth, chosen, readable=scores is not None)
        rows.append({**row, "choice_correct_per_token": by_token == truth.right})
    return rows


def score_choices(answers: Iterable[GivenAnswer], truths: Sequence[ChoiceTruth]) -> list[ImageRow]:
    """One row for each truth, in their order, from answers in the model's own words."""
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    rows = []
    for answer, truth in zip(given, truths, strict=True):
        chosen = read_choice(answer.text, truth.options)
        rows.append(_row(answer, truth, chosen, readable=chosen is not None))
    return rows


def read_choice(text: str, options: Sequence[str]) -> int | None:
    """The place of the option that an answer names, by its letter, its words, or both; None for anything else.

    >>> read_choice("(B) A mug under a table.", ["A mug on a table", "A mug under a table"])
    1
    """
    body = text.strip()
    words = [_words(option) for option in options]
    if _words(body) in words:
        return words.index(_words(body))
    found = _CHOSEN.fullmatch(body)
    place = LETTERS.find(found[1].upper()) if found else -1
    if not 0 <= place < len(options) or (found and found[2] and _words(found[2]) != words[place]):
        return None
    return place


def with_groups(rows: Sequence[ImageRow]) -> list[ImageRow]:
    """The rows with the outcome of each whole pair and set, which stands in the row of its first image.

    So a resample of images is one of pairs and sets too.
    """
    found = [dict(row) for row in rows]
    for name, size in _GROUPS:
        groups: dict[str, list[ImageRow]] = defaultdict(list)
        for row in found:
            row |= {f"{name}s": 0, f"{name}s_correct": 0}
            if row[name] is not None:
                groups[row[name]].append(row)
        for members in groups.values():
            if len(members) == size:
                right = all(member["choice_correct"] for member in members)
                members[0] |= {f"{name}s": 1, f"{name}s_correct": int(right)}
    return found


def _likeliest(logprobs: Sequence[float]) -> int | None:
    """The place of the largest; None where two share it."""
    best = max(logprobs)
    return logprobs.index(best) if list(logprobs).count(best) == 1 else None


def _row(answer: GivenAnswer, truth: ChoiceTruth, chosen: int | None, *, readable: bool) -> ImageRow:
    row: ImageRow = {
        "image_id": truth.image_id,
        "status": "valid" if readable else "malformed" if answer.text.strip() else "empty",
        "tokens": answer.tokens,
        "chosen": chosen,
        "choice_correct": chosen == truth.right,
        "choice_readable": readable,
        "pair": truth.pair,
        "set": truth.set,
        "triggered": answer.triggered,
    }
    return row | {f"{name}s{end}": 0 for name, _ in _GROUPS for end in ("", "_correct")}


def _words(text: str) -> str:
    return normalise_label(text).rstrip(" .")
