"""Rows that are generated together, leave and are joined by others: the tokens that each would get alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import DynamicCache, PretrainedConfig

from boxlist.controls.hf_generation import RowReader
from boxlist.list_schema import list_schema
from boxlist.models.growing_cache import GrowingCache, GrowingLayer, WindowLayer
from boxlist.models.image_tokens import hidden_image_tokens
from boxlist.models.rows_in_flight import RowChoice, prefill
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boxlist.models.hf import BoxlistHF
    from boxlist.models.rows_in_flight import RowsInFlight


@pytest.fixture(scope="module")
def prompts(recitations: Any) -> list[dict[str, Any]]:
    """Conversations whose answers end at different times, one of them far from its end."""
    image = Image.new("RGB", (224, 224), "white")
    scenes = [prompt for prompt in recitations.answers if "Return" not in prompt][:8]
    return [
        {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": scene}]}
        for scene in scenes
    ]


@pytest.fixture
def conversations(prompts: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    return [[message] for message in prompts]


def alone(model: BoxlistHF, conversation: list[dict[str, Any]], **options: Any) -> list[int]:
    """What transformers' own loop and cache write to one prompt."""
    inputs = model._encode([conversation])
    with torch.inference_mode():
        output = model.model.generate(**inputs, do_sample=False, **options)
    tokens: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
    return tokens


def board(model: BoxlistHF, conversations: Sequence[Any], **options: Any) -> RowsInFlight:
    choices = [RowChoice()] * len(conversations)
    return prefill(
        model.model, model._encode(list(conversations)), choices, do_sample=False, max_new_tokens=64, **options
    )


def fly(rows: RowsInFlight, seats: list[list[int]], until: Callable[[], bool]) -> None:
    """Step until something is so, writing each row's tokens into its seat."""
    while not until():
        for seat, token in zip(seats, rows.choose(), strict=True):
            seat.append(token)
        rows.go_on()


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
    [{}, {"repetition_penalty": 1.3}, {"no_repeat_ngram_size": 4}],
    ids=["greedy", "penalty", "n-grams"],
)
def test_rows_that_leave_and_join_get_the_tokens_they_would_get_alone(
    recite: BoxlistHF, conversations: list[Any], options: dict[str, Any]
) -> None:
    """Three rows fly; one is replaced by a row with a longer prompt, one by a shorter, one leaves; two join again."""
    long = [{"role": "user", "content": [*conversations[4][0]["content"], {"type": "text", "text": " Take care." * 9}]}]
    rows = board(recite, conversations[:3], **options)
    written: list[list[int]] = [[] for _ in range(5)]
    first, second, third, fourth, fifth = written
    fly(rows, [first, second, third], lambda: len(first) == 5)
    rows.replace([1], board(recite, [long], **options))
    fly(rows, [first, fourth, third], lambda: len(first) == 9)
    rows.keep([2, 1])
    fly(rows, [third, fourth], lambda: len(fourth) == 20)
    rows.replace([0], board(recite, [conversations[3]], **options))
    fly(rows, [fifth, fourth], lambda: len(fourth) == 40)
    assert len(rows) == 2
    asked = [conversations[0], conversations[1], conversations[2], long, conversations[3]]
    for got, conversation in zip(written, asked, strict=True):
        expected = alone(recite, conversation, max_new_tokens=len(got), **options)
        assert got[: len(expected)] == expected


def test_a_penalty_on_rows_with_padding(recite: BoxlistHF, conversations: list[Any]) -> None:
    """Each row's penalty sees its own prompt and answer, and no padding, whatever its company."""
    long = [{"role": "user", "content": [*conversations[4][0]["content"], {"type": "text", "text": " Take care." * 9}]}]
    rows = board(recite, [conversations[0], long], repetition_penalty=1.3)
    written: list[list[int]] = [[], []]
    fly(rows, written, lambda: len(written[0]) == 12)
    for got, conversation in zip(written, [conversations[0], long], strict=True):
        expected = alone(recite, conversation, max_new_tokens=12, repetition_penalty=1.3)
        assert got[: len(expected)] == expected


def test_padding_goes_when_the_row_that_needs_it_has_left(recite: BoxlistHF, conversations: list[Any]) -> None:
    long = [{"role": "user", "content": [*conversations[4][0]["content"], {"type": "text", "text": " Take care." * 9}]}]
    rows = board(recite, [long, conversations[0]])
    wide = rows._ids.shape[1]
    rows.keep([1])
    assert rows._ids.shape[1] < wide
    assert rows._cache.get_seq_length() == rows._ids.shape[1]
    assert bool((rows._inputs["attention_mask"] == 1).all())


def test_answers_take_the_places_of_finished_ones(
    recite: BoxlistHF, ask: Callable[..., list[Any]], prompts: list[dict[str, Any]], rows_seen: list[int]
) -> None:
    """Every step has as many rows as there are seats until no question waits; then fewer and fewer."""
    scenes = [prompt["content"][1]["text"] for prompt in prompts]
    recite.batch_size = 3
    answers = [answer for _, answer in sorted(recite.answers(ask(recite, [(s, {}, "a") for s in scenes])))]
    steps = [seen for seen in rows_seen if seen == 3]
    assert len(steps) >= sum(answer.tokens or 0 for answer in answers) / 3 - max(a.tokens or 0 for a in answers)
    assert rows_seen[-1] < 3
    recite.batch_size = 1
    assert [answer for _, answer in sorted(recite.answers(ask(recite, [(s, {}, "a") for s in scenes])))] == answers


def test_a_sampled_answer_does_not_depend_on_its_company(recite: BoxlistHF, ask: Callable[..., list[Any]]) -> None:
    hot = {"max_new_tokens": 20, "temperature": 20.0}
    requests = ask(recite, [(f"Scene {scene}.", hot, "a") for scene in range(5)])
    found = []
    for batch_size in (1, 2, 5):
        recite.batch_size = batch_size
        found.append(sorted(recite.answers(requests)))
    assert found[0] == found[1] == found[2]
    assert len({answer.text for _, answer in found[0]}) == 5


def test_what_it_does_not_know_keeps_the_batch_whole(
    recite: BoxlistHF,
    ask: Callable[..., list[Any]],
    rows_seen: list[int],
    prompts: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A model of the future may carry a tensor that we know nothing about."""
    scenes = [prompt["content"][1]["text"] for prompt in prompts]
    recite.batch_size = 4
    requests = ask(recite, [(scene, {}, "a") for scene in scenes])
    expected = sorted(recite.answers(requests))
    monkeypatch.setattr("boxlist.models.rows_in_flight._ROW_AXIS", {"attention_mask": 0})
    rows_seen.clear()
    assert sorted(recite.answers(requests)) == expected
    assert set(rows_seen) == {4}


def test_a_pool_of_which_some_is_done_is_asked_whole_in_short_numbers(
    recitations: Any, ask: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bfloat16 the company decides on the last bits, so that the rest must fly with the company it had before."""
    from boxlist.models.hf import BoxlistHF

    model = BoxlistHF(str(recitations.folder), dtype="bfloat16", device="cpu", batch_size=2)
    requests = ask(model, [(f"Scene {scene}.", {"max_new_tokens": 12}, "a") for scene in range(5)])
    boarded: list[int] = []
    encode = model._encode

    def seen_encode(asked: list[Any]) -> Any:
        boarded.append(len(asked))
        return encode(asked)

    monkeypatch.setattr(model, "_encode", seen_encode)
    whole = dict(model.answers(requests))
    seen, boarded[:] = list(boarded), []
    rest = dict(model.answers(requests, done={0, 3}))
    assert boarded == seen
    assert rest == {index: whole[index] for index in (1, 2, 4)}
    assert dict(model.answers(requests, done=range(5))) == {}


def test_answers_held_to_a_grammar_are_lists_and_with_repeat_stop_no_record_comes_twice(
    recite: BoxlistHF, ask: Callable[..., list[Any]], prompts: list[dict[str, Any]]
) -> None:
    """Some of these answers are fenced when nothing holds them, and most repeat a record."""
    scenes = [prompt["content"][1]["text"] for prompt in prompts]
    recite.batch_size = 3

    def texts(**controls: bool) -> list[str]:
        requests = ask(recite, [(scene, {"max_new_tokens": 160, **controls}, "a") for scene in scenes])
        return [answer.text for _, answer in sorted(recite.answers(requests))]

    def repeats(text: str) -> int:
        records = [record.key for record in read_answer(text, recite.protocol).records]
        return len(records) - len(set(records))

    assert any(text.startswith("```") for text in texts())
    held, stopped = texts(json_only=True), texts(json_only=True, repeat_stop=True)
    for text in (*held, *stopped):
        jsonschema.validate(json.loads(text), list_schema(recite.protocol))
    assert sum(map(repeats, held)) > 0
    assert sum(map(repeats, stopped)) == 0


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_the_model_sees_the_same_with_image_tokens_hidden_as_without_them(pocket: BoxlistHF, share: float) -> None:
    """Beside a language model that is given the other tokens only, at their own positions."""
    rng = np.random.default_rng(4)
    picture = Image.fromarray(rng.integers(0, 255, (224, 224, 3), dtype=np.uint8))
    content = [{"type": "image", "image": picture}, {"type": "text", "text": "Name the objects."}]
    inputs = pocket._encode([[{"role": "user", "content": content}]])
    generator = torch.Generator().manual_seed(1)
    hidden = hidden_image_tokens(inputs, pocket.model.config, share, [generator])
    image = inputs["input_ids"] == pocket.model.config.image_token_id
    assert int(hidden.sum()) == round(share * int(image.sum()))
    assert not bool((hidden & ~image).any())
    rows = prefill(pocket.model, inputs, [RowChoice()], hidden=hidden, do_sample=False, max_new_tokens=4)
    model = pocket.model.model
    with torch.inference_mode():
        embeds = model.get_input_embeddings()(inputs["input_ids"])
        features = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
        embeds[image] = torch.cat(list(features))
        positions, _ = model.get_rope_index(
            inputs["input_ids"], inputs["mm_token_type_ids"], image_grid_thw=inputs["image_grid_thw"]
        )
        seen = ~hidden[0]
        output = model.language_model(inputs_embeds=embeds[:, seen], position_ids=positions[:, :, seen])
        logits = pocket.model.lm_head(output.last_hidden_state[:, -1])
    assert torch.allclose(rows._logits, logits, atol=1e-4)
    whole = prefill(pocket.model, inputs, [RowChoice()], do_sample=False, max_new_tokens=4)
    assert not torch.allclose(rows._logits, whole._logits, atol=1e-3)


def test_hidden_image_tokens_are_drawn_by_question_and_seed(
    pocket: BoxlistHF, ask: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[list[list[bool]]] = []

    def spied(*args: Any) -> torch.Tensor:
        drawn.append(hidden_image_tokens(*args).tolist())
        return torch.tensor(drawn[-1])

    monkeypatch.setattr("boxlist.models.hf.hidden_image_tokens", spied)
    kwargs = {"max_new_tokens": 1, "drop_image_tokens": 0.5}
    for batch_size, seed in ((2, 0), (1, 0), (2, 1)):
        pocket.batch_size = batch_size
        list(pocket.answers(ask(pocket, [("Detect.", {**kwargs, "seed": seed}, "a") for _ in range(2)])))
    together, first, second, other = drawn[0], drawn[1][0], drawn[2][0], drawn[3]
    assert together == [first, second]
    assert first != second
    assert other != together


def test_the_cache_holds_what_transformers_own_holds(recite: BoxlistHF) -> None:
    generator = torch.Generator().manual_seed(0)
    mine, other = GrowingCache(recite.model.config), DynamicCache(config=recite.model.config)
    assert {type(layer) for layer in mine.layers} == {GrowingLayer}
    rows = 5
    for step in range(200):
        size = 70 if step == 0 else 1
        for layer in range(len(mine.layers)):
            keys, values = (torch.randn(rows, 2, size, 4, generator=generator) for _ in range(2))
            assert all(map(torch.equal, mine.update(keys, values, layer), other.update(keys, values, layer)))
        assert mine.get_seq_length() == other.get_seq_length() == 70 + step
        if step in {3, 150}:
            kept = torch.tensor([0, 2, 3])[: rows - 2]
            mine.select(kept)
            other.batch_select_indices(kept)
            rows = len(kept)
            assert torch.equal(mine.layers[0].keys, other.layers[0].keys)


def windowed() -> PretrainedConfig:
    """One layer of full attention, one with a window of 8 tokens, as Gemma mixes them."""
    return PretrainedConfig(layer_types=["full_attention", "sliding_attention"], sliding_window=8, num_hidden_layers=2)


@pytest.mark.parametrize("joining", [3, 6, 12], ids="joining with {} tokens".format)
@pytest.mark.parametrize("ahead", [4, 7, 20], ids="{} tokens ahead".format)
def test_a_row_that_joins_ends_where_the_others_end(joining: int, ahead: int) -> None:
    """Behind zeros, or behind what the row before it left, which the mask hides."""
    ours, theirs = GrowingCache(windowed()), GrowingCache(windowed())
    assert [type(layer) for layer in ours.layers] == [GrowingLayer, WindowLayer]
    for number in range(2):
        ours.update(torch.full((3, 1, ahead, 1), 1.0), torch.full((3, 1, ahead, 1), 1.0), number)
        new = torch.arange(100.0, 100.0 + joining).reshape(1, 1, joining, 1)
        theirs.update(new, -new, number)
    width = max(ahead, joining)
    ours.fit(width)
    ours.replace(torch.tensor([1]), theirs)
    for number, slots in ((0, width), (1, min(width, 7))):
        keys, shown = ours.layers[number].keys, min(slots, joining)
        assert ours.layers[number].get_seq_length() == width
        assert keys.shape == ours.layers[number].values.shape == (3, 1, slots, 1)
        expected = [100.0 + joining - shown + place for place in range(shown)]
        assert keys[1, 0, slots - shown :, 0].tolist() == expected
        assert ours.layers[number].values[1, 0, slots - shown :, 0].tolist() == [-value for value in expected]
        assert set(keys[[0, 2]].flatten().tolist()) <= {0.0, 1.0}
        last = ours.update(torch.zeros(3, 1, 1, 1), torch.zeros(3, 1, 1, 1), number)[0]
        assert last[1, 0, -2, 0] == 100.0 + joining - 1


def test_writing_copies_little() -> None:
    """Appending n tokens one by one makes new buffers about log n times, not n times."""
    layer, places = GrowingLayer(), set()
    for _ in range(1000):
        layer.update(torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2))
        places.add(layer.keys.data_ptr())
    assert len(places) < 12


def test_a_reader_ends_with_its_turn_and_counts_it(recite: BoxlistHF) -> None:
    eos = recite.processor.tokenizer.eos_token_id
    reader = RowReader(None, recite._vocabulary, [eos])
    reader.feed([*recite.processor.tokenizer.encode("[]"), eos, 7, 7])
    assert reader.over
    assert reader.answer().text == "[]"
    assert reader.tokens == reader.answer().tokens == len(recite.processor.tokenizer.encode("[]")) + 1
