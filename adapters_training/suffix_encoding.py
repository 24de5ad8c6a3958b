"""The same for PaliGemma, which has no chat template: what is taught is a suffix, written behind a prefix.

The prefix, image and question, is seen both ways, and the suffix only backwards: `token_type_ids` are 0 and 1. Tokens,
token types and labels are those that PaliGemma's own processor makes of `suffix=`, the end token included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.encoding import Encoder, EndOfTurn, answer_tokens, end_of_turn
from boxlist.errors import InputError
from boxlist.models.prompt_encoding import asks_by_prefix

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from boxlist.adapters_training.lists import Sample


class SuffixEncoder(Encoder):
    """Encodes samples for PaliGemma's processor."""

    answer_fill: Mapping[str, int] = {**Encoder.answer_fill, "token_type_ids": 1}

    def _answer(self, sample: Sample) -> tuple[list[int], list[float]]:
        ids, weights = answer_tokens(self.processor.tokenizer, sample, self.end)
        if self.processor.image_token_id in ids:
            raise InputError(
                f"sample {sample.name}",
                expected=f"an answer without {self.processor.image_token}",
                got=repr(sample.answer[:80]),
                remedy="Change the label.",
            )
        return ids, weights


def encoder_for(processor: Any, stop_ids: Collection[int], base: str, max_length: int) -> Encoder:
    """The encoder of a processor, whose samples end with one of the tokens that stop generation.

    Raises `InputError` for a processor that has neither a chat template nor PaliGemma's way, and for PaliGemma's with
    a chat template, which would not say where the suffix begins.
    """
    from transformers import PaliGemmaProcessor

    if asks_by_prefix(processor):
        return SuffixEncoder(processor, _end_of_suffix(processor.tokenizer, stop_ids, base), max_length)
    if isinstance(processor, PaliGemmaProcessor):
        raise InputError(
            f"processor of {base}",
            expected="PaliGemma's without a chat template",
            got="one with it",
            remedy="Remove the template: PaliGemma learns what follows the question, and sees the question both ways.",
        )
    return Encoder(processor, end_of_turn(processor, stop_ids, base), max_length)


def _end_of_suffix(tokenizer: Any, stop_ids: Collection[int], base: str) -> EndOfTurn:
    """What PaliGemma's processor puts behind a suffix: the tokenizer's end of sequence."""
    if tokenizer.eos_token_id not in stop_ids:
        raise InputError(
            f"processor of {base}",
            expected=f"a generation config that stops at {tokenizer.eos_token}, which ends what is taught",
            got=", ".join(tokenizer.convert_ids_to_tokens(sorted(stop_ids))) or "none",
            remedy="Fix eos_token_id in generation_config.json.",
        )
    return EndOfTurn(tokenizer.eos_token, tokenizer.eos_token_id)
