"""A pocket's tokenizer: small, and otherwise ordinary."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedTokenizerFast

    from boxlist.adapters_training.pocket.families import Markup

VOCABULARY = 512
# Single digits, as in Qwen and Gemma; runs of punctuation and space as one word, so that a record costs about 22
# tokens; a newline always alone, so that the first word of an answer never melts into the prompt's last.
_WORDS = r"bbox_2d|slot_|\n|\p{N}| ?\p{L}+|[^\p{L}\p{N}\n]+"


def train_tokenizer(texts: Iterable[str], markup: Markup) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 512 words learnt from `texts`; any text can be encoded."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(markup.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    known = {markup.end, markup.padding, markup.beginning}
    others = [token for token in markup.special if token not in known]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=markup.beginning,
        eos_token=markup.end,
        pad_token=markup.padding,
        extra_special_tokens=dict(markup.names) or others,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )
