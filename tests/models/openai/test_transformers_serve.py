"""Against the real server of transformers: the answers are those of `boxlist_hf` on the same checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from boxlist.controls.list_watch import replay
from boxlist.errors import InputError
from boxlist.models.openai.model import BoxlistOpenAI
from boxlist.tasks.datasets.shapes import draw_scene, render
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.models.answers import ModelAnswer
    from boxlist.models.hf import BoxlistHF

    from ..conftest import Served

RAW: dict[str, Any] = {"max_new_tokens": 160}


def answers(model: Any, requests: list[Any]) -> list[ModelAnswer]:
    found = dict(model.answers(requests))
    return [found[row] for row in range(len(requests))]


def test_the_pocket_base_answers_as_in_this_process(
    transformers_serve: Served, pocket: BoxlistHF, pocket_base: Path, ask: Callable[..., list[Any]]
) -> None:
    """Four pictures, raw and under controls, several at a time: texts, ends and token counts."""
    served = BoxlistOpenAI(
        base_url=transformers_serve.base_url, model=str(pocket_base), concurrency=4, chunk_timeout=600
    )
    rng = np.random.default_rng(11)
    pictures = [Image.fromarray(render(draw_scene(rng, 3 + number))) for number in range(4)]
    prompt = render_prompt(probe_named("boxlist_dense_bbox_shapes").prompt, pocket.protocol)
    controls: list[dict[str, Any]] = [{}, {"repeat_stop": True}, {"max_items": 2}]
    pocket.batch_size = 1
    runs = []
    for model in (pocket, served):
        rows = [(prompt, {"max_new_tokens": 64, **control}, "a") for control in controls for _ in pictures]
        requests = ask(model, rows)
        for document, picture in zip(model.task_dict["a"]["test"], pictures * len(controls), strict=True):
            document["image"] = picture
        runs.append(answers(model, requests))
    here, there = runs
    assert [(a.text, a.finish, a.prompt) for a in there] == [(a.text, a.finish, a.prompt) for a in here]
    assert len({a.text for a in here}) >= 4
    for ours, theirs in zip(here, there, strict=True):
        assert theirs.tokens in {ours.tokens, None}, "None where the stream was closed"
    assert [a.tokens for a in there[:4]] == [a.tokens for a in here[:4]], "raw answers are counted"


def test_lists_that_repeat_are_stopped_while_they_are_written(
    transformers_serve: Served, recite: BoxlistHF, recitations: Any, ask: Callable[..., list[Any]]
) -> None:
    """The reciting model repeats for certain."""
    served = BoxlistOpenAI(base_url=transformers_serve.base_url, model=str(recitations.folder), concurrency=3)
    prompts = list(recitations.answers)[:6]
    recite.batch_size = 1
    for control in ({}, {"repeat_stop": True}):
        rows = [(prompt, {**RAW, **control}, "a") for prompt in prompts]
        here, there = (answers(model, ask(model, rows)) for model in (recite, served))
        assert [(a.text, a.finish) for a in there] == [(a.text, a.finish) for a in here]
    assert {a.finish for a in there} == {"eos", "repeat_stop"}
    assert [a.text for a in there] == [replay(recitations.answers[prompt], recite.protocol).text for prompt in prompts]


def test_a_field_that_it_does_not_know(
    transformers_serve: Served, pocket_base: Path, ask: Callable[..., list[Any]]
) -> None:
    served = BoxlistOpenAI(base_url=transformers_serve.base_url, model=str(pocket_base))
    with pytest.raises(InputError, match=r"status 422: Unexpected fields in the request: \{'repetition_penalty'\}"):
        list(served.answers(ask(served, [("?", {"max_new_tokens": 2, "repetition_penalty": 1.1}, "a")])))
