"""Scoring questions about a drawn picture: `{"answer": ...}`, exactly that key, one question an answer.

The answer is a word, a whole number, or a list of words, as the question's type says. Words are those of the question's
vocabulary, compared normalised; a list is right when it names each right word exactly once, in any order. Anything else
is unreadable: wrong, and counted in `target_shape_valid`. It has no count, so `count_mae` leaves it out and says over
how many answers it is the mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from boxlist.errors import unknown_name
from boxlist.metrics.inputs import ImageId, ImageRow, answers_in_order
from boxlist.metrics.json_input import NotJsonError, is_whole_number, parse_json_answer
from boxlist.metrics.spatial_count import MAX_COUNT
from boxlist.records import normalise_label

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from boxlist.metrics.inputs import GivenAnswer

Form: TypeAlias = Literal["word", "number", "words"]
Reply: TypeAlias = str | int | tuple[str, ...]
COUNT = "object_count"
FORMS: dict[str, Form] = {
    "dominant_shape": "word",
    "dominant_color": "word",
    "unique_shapes": "number",
    "unique_colors": "number",
    "odd_shape": "word",
    "odd_color": "word",
    "shape_variety": "words",
    "color_variety": "words",
    COUNT: "number",
}
"""The types of question, and the form of the answer to each."""
KEYS = {"answer"}


class ShapeQuestionTruth(NamedTuple):
    """The right answer to one question; `words` is the vocabulary of its answers, empty where they are numbers."""

    image_id: ImageId
    question_type: str
    reply: str | int | Sequence[str]
    words: Collection[str] = ()


def score_shape_questions(answers: Iterable[GivenAnswer], truths: Sequence[ShapeQuestionTruth]) -> list[ImageRow]:
    """One row for each truth, in their order; a question without an answer has the empty one.

    Each row has a column `TYPE_correct` for every type, None but for its own. Raises `InputError` for an unknown type.
    """
    given = answers_in_order(answers, [truth.image_id for truth in truths])
    return [_row(answer, truth) for answer, truth in zip(given, truths, strict=True)]


def read_reply(text: str, form: Form, words: Collection[str] = ()) -> Reply | None:
    """What an answer says, a list of words sorted; None if it is not exactly of the form.

    >>> read_reply('{"answer": ["Star", "circle"]}', "words", ("circle", "star", "cross"))
    ('circle', 'star')
    """
    try:
        value = parse_json_answer(text)
    except NotJsonError:
        return None
    if not isinstance(value, dict) or set(value) != KEYS:
        return None
    said = value["answer"]
    if form == "number":
        return said if is_whole_number(said) and 0 <= said <= MAX_COUNT else None
    known = {normalise_label(word): word for word in words}
    named = [said] if form == "word" else said
    if not isinstance(named, list) or not all(isinstance(word, str) for word in named):
        return None
    found = [known.get(normalise_label(word)) for word in named]
    replies = sorted(word for word in found if word is not None)
    if len(replies) != len(named) or len(set(replies)) != len(replies):
        return None
    return replies[0] if form == "word" else tuple(replies)


def _row(answer: GivenAnswer, truth: ShapeQuestionTruth) -> ImageRow:
    if truth.question_type not in FORMS:
        raise unknown_name("question type", truth.question_type, FORMS)
    reply = read_reply(answer.text, FORMS[truth.question_type], truth.words)
    right = truth.reply if isinstance(truth.reply, str | int) else tuple(sorted(truth.reply))
    correct = reply is not None and reply == right
    counted = truth.question_type == COUNT
    return {
        "image_id": truth.image_id,
        "status": "valid" if reply is not None else "malformed" if answer.text.strip() else "empty",
        "tokens": answer.tokens,
        "target_shape_valid": reply is not None,
        "question_correct": correct,
        **{f"{name}_correct": correct if name == truth.question_type else None for name in FORMS},
        "count_error": _distance(reply, right) if counted else None,
        "count_exact": correct if counted else None,
        "triggered": answer.triggered,
    }


def _distance(reply: Reply | None, right: Reply) -> int | None:
    return abs(reply - right) if isinstance(reply, int) and isinstance(right, int) else None
