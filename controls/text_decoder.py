"""Tokens to text, one token at a time: the pieces together are exactly the tokenizer's text of all tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

_REPLACEMENT = "\ufffd"  # how a character shows of which some bytes are still to come


class Vocabulary(NamedTuple):
    """What decoding piece by piece must know of a tokenizer; made once, shared by all rows.

    `whole_pieces` remembers tokens that read the same wherever they stand, None where a tokenizer has no such tokens.
    """

    tokenizer: PreTrainedTokenizerBase
    special_ids: frozenset[int]
    byte_ids: frozenset[int]
    whole_pieces: dict[int, str] | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
        bytes_as_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
        ids = tokenizer.convert_tokens_to_ids(bytes_as_tokens)
        names = tokenizer.convert_ids_to_tokens([0 if i is None else i for i in ids])
        return cls(
            tokenizer,
            frozenset(i for i, token in tokenizer.added_tokens_decoder.items() if token.special),
            frozenset(i for i, name, byte in zip(ids, names, bytes_as_tokens, strict=True) if name == byte),
            {} if _is_byte_level(tokenizer) else None,
        )

    def whole_piece(self, token_id: int) -> str:
        """A token's text, if it is whole characters in any surroundings; else "".

        So it is for most tokens of byte-level tokenizers, which put bytes one after the other and nothing else.
        """
        if self.whole_pieces is None:
            return ""
        piece = self.whole_pieces.get(token_id)
        if piece is None:
            text = self.text([token_id])
            piece = self.whole_pieces[token_id] = "" if _REPLACEMENT in text else text
        return piece

    def text(self, token_ids: Sequence[int]) -> str:
        """The tokenizer's text of tokens: special ones skipped, spaces as they are.

        `clean_up_tokenization_spaces` is always off: it changes text that is already out when a later token comes.
        """
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class TextDecoder:
    """Decodes one row as it grows.

    Text is given out when its last character is complete. Of a run of byte tokens (`<0xNN>`) nothing is given out
    before the run is over, since one bad byte changes how the whole run reads. Each step decodes the tokens since
    the last output, and the few before them, because tokenizers treat the beginning of a text specially.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._context: list[int] = []
        self._context_text = ""
        self._pending: list[int] = []

    def feed(self, token_id: int) -> str:
        """The text that this token completes; often "" for part of a character."""
        if token_id in self._vocabulary.special_ids:
            return ""
        if not self._pending and (piece := self._vocabulary.whole_piece(token_id)):
            return piece
        self._pending.append(token_id)
        if token_id in self._vocabulary.byte_ids:
            return ""
        text = self._vocabulary.text(self._context + self._pending)
        if text.endswith(_REPLACEMENT) or len(text) <= len(self._context_text):
            return ""
        piece = text[len(self._context_text) :]
        self._context, self._pending = self._pending, []
        self._context_text = self._vocabulary.text(self._context)
        return piece

    def finish(self) -> str:
        """What is left when no more tokens come."""
        text = self._vocabulary.text(self._context + self._pending)
        return text[len(self._context_text) :]


def _is_byte_level(tokenizer: PreTrainedTokenizerBase) -> bool:
    from tokenizers.decoders import ByteLevel

    backend = getattr(tokenizer, "backend_tokenizer", None)
    return backend is not None and isinstance(backend.decoder, ByteLevel)
