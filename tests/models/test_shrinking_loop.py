"""The decoding loop in which finished rows leave: the tokens of the usual loop, in smaller and smaller batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import DynamicCache

from boxlist.models.growing_cache import GrowingLayer, growing_cache
from boxlist.models.shrinking_loop import shrinking_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxlist.models.hf import BoxlistHF


@pytest.fixture(scope="module")
def prompts(recitations: Any) -> list[dict[str, Any]]:
    """Conversations whose answers end at different times, one of them far from its end."""
    from PIL import Image

    image = Image.new("RGB", (224, 224), "white")
    scenes = [prompt for prompt in recitations.answers if "Return" not in prompt][:8]
    return [
        {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": scene}]}
        for scene in scenes
    ]


@pytest.fixture
def inputs(recite: BoxlistHF, prompts: list[dict[str, Any]]) -> Any:
    return recite._encode([[message] for message in prompts])


def ours(model: Any, inputs: Any, **options: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.generate(
            **inputs, custom_generate=shrinking_loop, past_key_values=growing_cache(model.config), **options
        )
    return found


def theirs(model: Any, inputs: Any, **options: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.generate(**inputs, **options)
    return found


@pytest.fixture
def rows_seen(recite: BoxlistHF, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of every step of the language model."""
    seen: list[int] = []
    language_model = recite.model.model.language_model
    forward: Callable[..., Any] = language_model.forward

    def spied(*args: Any, **kwargs: Any) -> Any:
        seen.append(len(kwargs["inputs_embeds"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(language_model, "forward", spied)
    return seen


@pytest.mark.parametrize(
    "options",
    [{"max_new_tokens": 160}, {"max_new_tokens": 9}, {"max_new_tokens": 160, "repetition_penalty": 1.3}],
    ids=["to the end", "cut", "penalty"],
)
def test_the_tokens_are_those_of_transformers_own_loop(recite: BoxlistHF, inputs: Any, options: dict[str, Any]) -> None:
    expected = theirs(recite.model, inputs, **options)
    assert torch.equal(ours(recite.model, inputs, **options), expected)


def test_rows_that_are_over_leave_the_batch(recite: BoxlistHF, inputs: Any, rows_seen: list[int]) -> None:
    tokens = ours(recite.model, inputs, max_new_tokens=160)
    eos = recite.model.generation_config.eos_token_id
    width = inputs["input_ids"].shape[1]
    lengths = [row.tolist().index(eos) + 1 for row in tokens[:, width:]]
    assert len(set(lengths)) >= 4
    assert rows_seen == [sum(length > step for length in lengths) for step in range(max(lengths))]


def test_sampling_draws_for_each_row_that_is_left(recite: BoxlistHF, inputs: Any) -> None:
    torch.manual_seed(3)
    first = ours(recite.model, inputs, max_new_tokens=30, do_sample=True, temperature=3.0)
    torch.manual_seed(3)
    assert torch.equal(ours(recite.model, inputs, max_new_tokens=30, do_sample=True, temperature=3.0), first)
    assert not torch.equal(first, theirs(recite.model, inputs, max_new_tokens=30)[:, : first.shape[1]])


def test_what_it_cannot_cut_by_rows_keeps_the_batch_whole(
    recite: BoxlistHF, inputs: Any, rows_seen: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of the future may carry a tensor that we know nothing about."""
    monkeypatch.setattr("boxlist.models.shrinking_loop._ROW_AXIS", {"attention_mask": 0})
    expected = theirs(recite.model, inputs, max_new_tokens=160)
    rows_seen.clear()
    assert torch.equal(ours(recite.model, inputs, max_new_tokens=160), expected)
    assert set(rows_seen) == {len(inputs["input_ids"])}


def test_the_cache_holds_what_transformers_own_holds(recite: BoxlistHF) -> None:
    generator = torch.Generator().manual_seed(0)
    mine, other = growing_cache(recite.model.config), DynamicCache(config=recite.model.config)
    assert {type(layer) for layer in mine.layers} == {GrowingLayer}
    rows = 5
    for step in range(200):
        size = 70 if step == 0 else 1
        keys, values = (torch.randn(rows, 2, size, 4, generator=generator) for _ in range(2))
        assert all(map(torch.equal, mine.update(keys, values, 0), other.update(keys, values, 0)))
        assert mine.get_seq_length() == other.get_seq_length() == 70 + step
        if step in {3, 150}:
            kept = torch.tensor([0, 2, 3])[: rows - 2]
            mine.batch_select_indices(kept)
            other.batch_select_indices(kept)
            rows = len(kept)
            assert torch.equal(mine.layers[0].keys, other.layers[0].keys)


def test_writing_copies_little(recite: BoxlistHF) -> None:
    """Appending n tokens one by one makes new buffers about log n times, not n times."""
    layer, places = GrowingLayer(), set()
    for _ in range(1000):
        layer.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
        places.add(layer.keys.data_ptr())
    assert len(places) < 12
