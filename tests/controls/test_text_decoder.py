"""Decoding token by token gives exactly the tokenizer's text of all tokens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.controls.text_decoder import TextDecoder, Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

TEXT = '[{"bbox_2d": [1, 22, 333, 999], "label": "naïve 树 🌲 e\u0301"}]\n```'


def decode_in_steps(vocabulary: Vocabulary, token_ids: list[int]) -> list[str]:
    decoder = TextDecoder(vocabulary)
    return [*(decoder.feed(token_id) for token_id in token_ids), decoder.finish()]


@pytest.fixture(scope="module")
def byte_level(pocket_base: Path) -> Vocabulary:
    from transformers import AutoTokenizer

    return Vocabulary.of(AutoTokenizer.from_pretrained(pocket_base))


@pytest.fixture(scope="module")
def byte_fallback() -> Vocabulary:
    """A tokenizer in the manner of Gemma and Llama: ▁ for spaces, <0xNN> for what has no word, first space stripped."""
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", "▁red", "red", "a", "▁▁", "},"]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [], byte_fallback=True))
    tokenizer.add_special_tokens([AddedToken("<s>", special=True), AddedToken("</s>", special=True)])
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer.decoder = decoders.Sequence(steps)
    return Vocabulary.of(PreTrainedTokenizerFast(tokenizer_object=tokenizer))


@given(token_ids=st.lists(st.integers(0, 511), max_size=40))
def test_byte_level_on_random_tokens(byte_level: Vocabulary, token_ids: list[int]) -> None:
    assert "".join(decode_in_steps(byte_level, token_ids)) == byte_level.text(token_ids)


@given(token_ids=st.lists(st.integers(0, 264), max_size=40))
def test_byte_fallback_on_random_tokens(byte_fallback: Vocabulary, token_ids: list[int]) -> None:
    assert "".join(decode_in_steps(byte_fallback, token_ids)) == byte_fallback.text(token_ids)


@given(
    token_ids=st.lists(
        st.integers(259, 264) | st.sampled_from([2, 3 + 0x41, 3 + 0xF0, 3 + 0x9F, 3 + 0x8C, 3 + 0xB2, 3 + 0xFF]),
        max_size=24,
    )
)
def test_byte_fallback_on_runs_of_bytes(byte_fallback: Vocabulary, token_ids: list[int]) -> None:
    assert "".join(decode_in_steps(byte_fallback, token_ids)) == byte_fallback.text(token_ids)


def test_text_comes_out_as_soon_as_it_is_certain(byte_level: Vocabulary) -> None:
    token_ids = byte_level.tokenizer(TEXT)["input_ids"]
    pieces = decode_in_steps(byte_level, token_ids)
    assert "".join(pieces) == TEXT
    assert "\ufffd" not in "".join(pieces)
    tree = byte_level.tokenizer("🌲")["input_ids"]
    assert len(tree) == 4
    assert decode_in_steps(byte_level, tree) == ["", "", "", "🌲", ""]  # four tokens of one byte each
    assert decode_in_steps(byte_level, tree[:3]) == ["", "", "", "\ufffd"]  # cut inside a character
    assert decode_in_steps(byte_level, byte_level.tokenizer("ab]")["input_ids"])[-1] == ""  # nothing is held back


def test_special_tokens_are_skipped(byte_level: Vocabulary) -> None:
    token_ids = byte_level.tokenizer("a<|im_end|>b<|image_pad|><|endoftext|>")["input_ids"]
    assert decode_in_steps(byte_level, token_ids) == ["a", "", "b", "", "", ""]


def test_clean_up_of_spaces_is_off_even_where_a_tokenizer_asks_for_it() -> None:
    """With clean-up the word "a" would have to be taken back when "." comes: "a ." reads "a."."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, ".": 2}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=True)
    assert fast.decode([1, 2]) == "a."
    vocabulary = Vocabulary.of(fast)
    assert "".join(decode_in_steps(vocabulary, [1, 2, 1])) == vocabulary.text([1, 2, 1]) == "a . a"


def test_json_survives(byte_level: Vocabulary) -> None:
    text = json.dumps([{"label": "tree", "bbox_2d": [1, 2, 3, 4]}])
    assert "".join(decode_in_steps(byte_level, byte_level.tokenizer(text)["input_ids"])) == text
