"""Which requests share a batch, and in what order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.models.batches import POOL_BATCHES, Question, plan_pools, question_seed, read_requests
from boxlist.models.generation import read_generation_kwargs


class Request:
    """What `read_requests` reads of an lmms-eval Instance."""

    def __init__(self, *args: Any) -> None:
        self.args = args


def request(
    task: str, doc_id: int, kwargs: dict[str, Any] | None = None, context: str = "", split: str = "test"
) -> Any:
    return Request(context, dict, kwargs or {}, doc_id, task, split)


def documents(rows: int = 100) -> dict[str, dict[str, list[dict[str, int]]]]:
    sizes = [{"width": 100 * (1 + row % 3), "height": 50} for row in range(rows)]
    return {task: {"test": sizes, "train": sizes} for task in "abc"}


questions_of = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 99),
        st.sampled_from([{}, {"budget": 8}, {"repeat_stop": True}, {"budget": 9}, {"max_new_tokens": 5}]),
        st.sampled_from(["", "short", "a longer context"]),
        st.sampled_from(["test", "train"]),
    ),
    max_size=60,
)


@given(questions_of, st.integers(1, 9))
def test_every_question_once_and_never_with_another_task_split_or_control(rows: list[Any], batch_size: int) -> None:
    questions = read_requests([request(task, doc, kwargs, text, split) for task, doc, kwargs, text, split in rows])
    pools = list(plan_pools(questions, documents(), batch_size))
    assert sorted(question.index for pool in pools for question in pool) == list(range(len(rows)))
    for pool in pools:
        assert 1 <= len(pool) <= batch_size * POOL_BATCHES
        assert len({(question.task, question.split, question.options) for question in pool}) == 1


def test_images_of_one_size_go_together_then_prompts_of_one_length() -> None:
    rows = [request("a", doc, context="x" * (doc % 2)) for doc in range(12)]
    order = [question for pool in plan_pools(read_requests(rows), documents(), 4) for question in pool]
    shapes = [(question.doc_id % 3, question.context_length, question.index) for question in order]
    assert shapes == sorted(shapes)


def test_documents_without_sizes_keep_the_order_of_asking() -> None:
    kinds: list[list[Any]] = [[{}] * 3, [{"width": None, "height": "tall"}] * 3, ["text"] * 3]
    for rows in kinds:
        questions = read_requests([request("a", doc) for doc in (2, 0, 1)])
        (pool,) = plan_pools(questions, {"a": {"test": rows}}, 8)
        assert [question.doc_id for question in pool] == [2, 0, 1]


def test_requests_that_are_not_chat() -> None:
    with pytest.raises(InputError) as caught:
        read_requests([Request("context", {}, dict, 0, "a", "test")])
    assert str(caught.value) == (
        "request 0: expected a chat request (context, doc_to_messages, kwargs, doc_id, task, split), got 6 arguments "
        "of another kind. boxlist's models are chat models: run without --force_simple."
    )
    with pytest.raises(InputError, match="got 2 arguments of another kind"):
        read_requests([Request("context", 1)])


def test_seeds_follow_the_documents_not_the_place() -> None:
    def question(doc: int, nth: int = 0, index: int = 0) -> Question:
        return Question(index, "a", "test", doc, nth, 0, dict, read_generation_kwargs({}))

    seeds = [
        question_seed(0, question(1)),
        question_seed(1, question(1)),
        question_seed(0, question(2)),
        question_seed(0, question(1, nth=1)),
    ]
    assert question_seed(0, question(1, index=9)) == seeds[0]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_repeats_of_a_document_are_told_apart() -> None:
    questions = read_requests([request("a", 1), request("a", 1), request("b", 1), request("a", 1)])
    assert [question.nth for question in questions] == [0, 1, 0, 2]
