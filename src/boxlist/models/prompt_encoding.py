"""Conversations to a model's inputs: through the processor's chat template, or PaliGemma's own way, which has none.

PaliGemma takes one question: `<image>`, the text and a new line are the prefix, which is seen both ways, and what the
model writes is the suffix. In `token_type_ids` a prefix is 0 and a suffix 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import BatchFeature

_IMAGE = "<image>"


class Prefix(NamedTuple):
    """A question as PaliGemma's processor takes it: a place for each image, and the text."""

    text: str
    images: list[Any]


def asks_by_prefix(processor: Any) -> bool:
    """Whether it is PaliGemma's processor, without a chat template that would say otherwise."""
    from transformers import PaliGemmaProcessor

    return isinstance(processor, PaliGemmaProcessor) and not processor.chat_template


def encode_prompts(processor: Any, conversations: Sequence[Sequence[Mapping[str, Any]]]) -> BatchFeature:
    """A batch padded on the left, ready for the model's turn; image parts hold PIL images.

    Raises `InputError` for a conversation that a processor without a chat template cannot hold.
    """
    if asks_by_prefix(processor):
        return encode_prefixes(processor, [prefix_of(conversation) for conversation in conversations])
    return processor.apply_chat_template(
        [list(conversation) for conversation in conversations],
        tokenize=True,
        add_generation_prompt=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},
    )


def prefix_of(conversation: Sequence[Mapping[str, Any]]) -> Prefix:
    """The prefix that asks what one user turn says. Raises `InputError` for other conversations."""
    parts = [part for turn in conversation for part in turn["content"]]
    images = [part["image"] for part in parts if part["type"] == "image"]
    text = "\n".join(part["text"] for part in parts if part["type"] == "text")
    roles = [str(turn["role"]) for turn in conversation]
    if roles != ["user"] or not images or _IMAGE in text:
        raise InputError(
            "PaliGemma's prompt",
            expected=f"one user turn with an image, and a text without {_IMAGE}",
            got=f"turns of {', '.join(roles)}, {len(images)} images, {text[:80]!r}",
            remedy="Ask this of a model with a chat template.",
        )
    return Prefix(_IMAGE * len(images) + text, images)


def encode_prefixes(
    processor: Any, prefixes: Sequence[Prefix], suffixes: Sequence[str] | None = None, side: str = "left"
) -> BatchFeature:
    """A batch of prefixes, each followed by its suffix and the end token where there are suffixes, padded on a side."""
    inputs = processor(
        images=[prefix.images for prefix in prefixes],
        text=[prefix.text for prefix in prefixes],
        suffix=suffixes,
        padding=True,
        padding_side=side,
    )
    del inputs["labels"]
    # tensors last: of tensors, the processor of transformers 5.23 makes labels in a way that NumPy deprecates
    return inputs.convert_to_tensors("pt")
