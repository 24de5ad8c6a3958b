"""Which requests are answered together: those of one task, one split and the same generation options, and no others."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.models.generation import GenerationOptions, read_generation_kwargs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lmms_eval.api.instance import Instance


POOL_BATCHES = 8


@dataclass(frozen=True)
class Question:
    """One request of lmms-eval, taken apart. `nth` counts earlier requests for the same document."""

    index: int
    task: str
    split: str
    doc_id: int
    nth: int
    context_length: int
    doc_to_messages: Callable[[Any], Any]
    options: GenerationOptions


def read_requests(requests: Sequence[Instance]) -> list[Question]:
    """Take chat requests apart and check their generation kwargs, all of them before anything is generated."""
    seen: Counter[tuple[str, str, int]] = Counter()
    questions = []
    for index, request in enumerate(requests):
        if len(request.args) != 6 or not callable(request.args[1]):
            raise InputError(
                f"request {index}",
                expected="a chat request (context, doc_to_messages, kwargs, doc_id, task, split)",
                got=f"{len(request.args)} arguments of another kind",
                remedy="boxlist's models are chat models: run without --force_simple.",
            )
        context, doc_to_messages, kwargs, doc_id, task, split = request.args
        options = read_generation_kwargs(kwargs)
        document = (task, split, doc_id)
        questions.append(
            Question(index, task, split, doc_id, seen[document], len(str(context)), doc_to_messages, options)
        )
        seen[document] += 1
    return questions


def plan_pools(
    questions: Sequence[Question], documents: Mapping[str, Mapping[str, Sequence[Any]]], batch_size: int
) -> Iterator[list[Question]]:
    """Pools of at most `POOL_BATCHES` batches, in a group sorted by image size and prompt length to save padding.

    Questions of different pools never share a batch, and the pools depend on nothing but the questions: a pool that
    is asked again, whole, falls into the same batches as before.
    """
    groups: dict[tuple[str, str, GenerationOptions], list[Question]] = {}
    for question in questions:
        groups.setdefault((question.task, question.split, question.options), []).append(question)
    size = batch_size * POOL_BATCHES
    for (task, split, _), group in groups.items():
        group.sort(key=lambda question: _shape(question, documents[task][split]))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def question_seed(seed: int, question: Question) -> int:
    """The sampling seed of a question: from the run's seed and the document, so that its place does not matter."""
    what = repr((seed, question.task, question.split, question.doc_id, question.nth))
    return int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big") >> 1


def _shape(question: Question, documents: Sequence[Any]) -> tuple[int, int, int, int]:
    """Image size, where the document says it, then prompt length, then the order of asking."""
    document = documents[question.doc_id]
    sizes = [document.get(side) for side in ("width", "height")] if isinstance(document, Mapping) else []
    width, height = (int(side) if isinstance(side, int | float) else 0 for side in sizes or (0, 0))
    return width, height, question.context_length, question.index
