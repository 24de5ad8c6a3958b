"""Rows in flight on Gemma 4's own classes with random weights: sliding windows, grouped keys, keys that are values."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from boxlist.models.growing_cache import GrowingLayer, WindowLayer
from boxlist.models.image_tokens import hidden_image_tokens
from boxlist.models.rows_in_flight import RowChoice, RowsInFlight, prefill

WORDS, IMAGE, PATCHES, WINDOW = 64, 40, 16, 12


@pytest.fixture(scope="module")
def gemma() -> Any:
    from transformers import Gemma4UnifiedConfig, Gemma4UnifiedForConditionalGeneration

    config = Gemma4UnifiedConfig(
        text_config={
            "vocab_size": WORDS,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "global_head_dim": 16,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
            "sliding_window": WINDOW,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "initializer_range": 0.5,  # so that what comes next depends on what came before
        },
        vision_config={
            "patch_size": 4,
            "pooling_kernel_size": 2,
            "mm_embed_dim": 32,
            "mm_posemb_size": 4,
            "output_proj_dims": 32,
        },
        audio_config=None,
        image_token_id=IMAGE,
        video_token_id=41,
        audio_token_id=42,
        boi_token_id=43,
        eoi_token_id=44,
        boa_token_id=45,
        eoa_token_index=46,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Gemma4UnifiedForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model


def prompts(*texts: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Prompts of an image and so many words each, padded on the left."""
    generator = torch.Generator().manual_seed(seed)
    width = max(texts) + PATCHES + 2
    ids = torch.zeros(len(texts), width, dtype=torch.long)
    for row, words in enumerate(texts):
        image = torch.tensor([43, *[IMAGE] * PATCHES, 44])
        ids[row, width - words - len(image) :] = torch.cat([image, torch.randint(3, 40, (words,), generator=generator)])
    columns, rows = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="xy")
    return {
        "input_ids": ids,
        "attention_mask": (ids != 0).long(),
        "mm_token_type_ids": (ids == IMAGE).long(),
        "pixel_values": torch.rand(len(texts), PATCHES, 8 * 8 * 3, generator=generator),
        "image_position_ids": torch.stack([columns, rows], -1).reshape(1, PATCHES, 2).expand(len(texts), -1, -1),
    }


def row_of(inputs: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    """One prompt by itself, without padding."""
    start = int(inputs["attention_mask"][row].argmax())
    one = {name: value[row : row + 1] for name, value in inputs.items()}
    return {name: value[:, start:] if name not in _OF_PIXELS else value for name, value in one.items()}


_OF_PIXELS = frozenset({"pixel_values", "image_position_ids"})


def board(model: Any, inputs: Any, **more: Any) -> RowsInFlight:
    choices = [RowChoice()] * len(inputs["input_ids"])
    return prefill(model, inputs, choices, max_new_tokens=64, do_sample=False, **more)


def alone(model: Any, inputs: dict[str, torch.Tensor], tokens: int) -> list[int]:
    """What transformers' own loop and cache write to one prompt."""
    with torch.inference_mode():
        output = model.generate(**inputs, max_new_tokens=tokens, do_sample=False)
    new: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
    return new


def fly(rows: RowsInFlight, seats: list[list[int]], steps: int) -> None:
    for _ in range(steps):
        for seat, token in zip(seats, rows.choose(), strict=True):
            seat.append(token)
        rows.go_on()


def test_rows_leave_and_join_across_sliding_windows(gemma: Any) -> None:
    """Prompts longer and shorter than the window, joining behind and in front of what is in it."""
    first, second = prompts(3, 9), prompts(20, 2, seed=1)
    rows = board(gemma, first)
    assert {type(layer) for layer in rows._cache.layers} == {GrowingLayer, WindowLayer}
    assert rows.can_change
    seats: list[list[int]] = [[], [], [], []]
    fly(rows, [seats[0], seats[1]], 5)
    rows.replace([0], board(gemma, row_of(second, 0)))
    fly(rows, [seats[2], seats[1]], 9)
    rows.keep([1])
    fly(rows, [seats[1]], 4)
    rows.replace([0], board(gemma, row_of(second, 1)))
    fly(rows, [seats[3]], 12)
    asked = [row_of(first, 0), row_of(first, 1), row_of(second, 0), row_of(second, 1)]
    assert [len(seat) for seat in seats] == [5, 18, 9, 12]
    for got, inputs in zip(seats, asked, strict=True):
        assert got == alone(gemma, inputs, len(got))
    assert len({tuple(seat[:5]) for seat in seats}) == 4, "the prompts do differ"


def test_hidden_image_tokens_hide_the_image(gemma: Any) -> None:
    """With all of them hidden, pictures make no difference; with some, they do."""
    inputs, other = prompts(8), prompts(8)
    other["pixel_values"] = 1 - other["pixel_values"]

    def logits(given: dict[str, torch.Tensor], share: float) -> torch.Tensor:
        hidden = hidden_image_tokens(given, gemma.config, share, [torch.Generator().manual_seed(0)])
        assert int(hidden.sum()) == round(share * PATCHES)
        return board(gemma, given, hidden=hidden)._logits

    assert torch.allclose(logits(inputs, 1.0), logits(other, 1.0), atol=1e-5)
    assert not torch.allclose(logits(inputs, 0.5), logits(other, 0.5), atol=1e-3)
    assert not torch.allclose(logits(inputs, 0.5), logits(inputs, 1.0), atol=1e-3)
