"""From a question and its answer to the tokens of a training step, for every chat model.

The prompt is encoded exactly as for generation. Labels lie on the answer and on the end-of-turn token that the chat
template puts after it, and nowhere else. Nothing is ever truncated: a sample that is too long is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError
from boxlist.models.prompt_encoding import encode_prompts
from boxlist.models.prompts import open_rgb

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from boxlist.adapters_training.lists import Sample
    from boxlist.adapters_training.repeats import Mark

IGNORE = -100
"""The label of a token that is not learnt, as PyTorch's cross-entropy has it."""

_MARKER = "boxlistmarker"


class EndOfTurn(NamedTuple):
    """The token with which the chat template ends an answer, and with which generation stops."""

    text: str
    token_id: int


class Encoded(NamedTuple):
    """One sample: `(L,)` tensors with one entry a token, and what else the processor gives for its image.

    Per token: what the model takes, `labels`, and `loss_weights`, what the label counts in the loss (below 0: to be
    unlikely, by so much).
    """

    per_token: dict[str, Tensor]
    per_image: dict[str, Tensor]

    @property
    def length(self) -> int:
        return len(self.per_token["input_ids"])

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for part in self for tensor in part.values())


def chat(prompt: str, image: Image | None = None, answer: str | None = None) -> list[dict[str, Any]]:
    """The conversation: the image, then the prompt, as evaluation sends them, and the answer where there is one."""
    question: list[dict[str, Any]] = [{"type": "image", "image": image}] if image is not None else [{"type": "image"}]
    turns: list[dict[str, Any]] = [{"role": "user", "content": [*question, {"type": "text", "text": prompt}]}]
    if answer is not None:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return turns


def end_of_turn(processor: Any, stop_ids: Collection[int], base: str) -> EndOfTurn:
    """Find what the chat template puts after an answer; it must begin with a token that stops generation.

    A model trained without it never learns to stop. Raises `InputError` when the template has no such token.
    """
    if not getattr(processor, "chat_template", None):
        raise InputError(
            f"processor of {base}", expected="a chat template", got="none", remedy="Train on an instruction-tuned base."
        )
    tail = processor.apply_chat_template(chat("?", answer=_MARKER), tokenize=False).rpartition(_MARKER)[2]
    ids = processor.tokenizer(tail, add_special_tokens=False)["input_ids"]
    if not ids or ids[0] not in stop_ids:
        stops = ", ".join(processor.tokenizer.convert_ids_to_tokens(sorted(stop_ids))) or "none"
        raise InputError(
            f"processor of {base}",
            expected=f"a chat template that ends an answer with a token that stops generation ({stops})",
            got=f"{tail[:40]!r} after the answer" if tail else "nothing after the answer",
            remedy="Fix the chat template, or eos_token_id in generation_config.json.",
        )
    return EndOfTurn(processor.tokenizer.convert_ids_to_tokens(ids[0]), ids[0])


class Encoder:
    """Encodes samples for one processor. Images are resized by the processor, as at evaluation."""

    answer_fill: Mapping[str, int] = {"attention_mask": 1}
    """What else the model takes of an answer's tokens, where it is not 0."""

    def __init__(self, processor: Any, end: EndOfTurn, max_length: int) -> None:
        self.processor, self.end, self.max_length = processor, end, max_length

    def __call__(self, sample: Sample, prompt: Encoded | None = None) -> Encoded:
        """Encode one sample; `InputError` when it is longer than `max_length` or its image cannot be read.

        `prompt` is what `prompt(sample)` gave, where that is known from before: only the answer changes.
        """
        import torch

        asked = self.prompt(sample) if prompt is None else prompt
        ids, weights = self._answer(sample)
        answer_ids = torch.tensor(ids)
        prompt_length, length = asked.length, asked.length + len(ids)
        if length > self.max_length:
            raise InputError(
                f"sample {sample.name}",
                expected=f"at most max_length = {self.max_length} tokens",
                got=f"{length} (prompt and image {prompt_length}, answer {len(ids)})",
                remedy="Raise max_length: a list that is cut loses its end, and with it the end token.",
            )
        per_token = dict(asked.per_token)
        for key, row in asked.per_token.items():
            filled = torch.full_like(answer_ids, self.answer_fill.get(key, 0), dtype=row.dtype)
            per_token[key] = torch.cat([row, answer_ids if key == "input_ids" else filled])
        loss_weights = torch.tensor(weights)
        labels = answer_ids.masked_fill(loss_weights == 0, IGNORE)
        per_token["labels"] = torch.cat([torch.full((prompt_length,), IGNORE), labels])
        per_token["loss_weights"] = torch.cat([torch.zeros(prompt_length), loss_weights])
        return Encoded(per_token, asked.per_image)

    def prompt(self, sample: Sample) -> Encoded:
        """The question alone, with its image, as generation gets it."""
        inputs = encode_prompts(self.processor, [chat(sample.prompt, open_rgb(sample.file, sample.name))])
        shape = inputs["input_ids"].shape
        per_token = {key: value[0] for key, value in inputs.items() if value.shape == shape}
        return Encoded(per_token, {key: value for key, value in inputs.items() if key not in per_token})

    def _answer(self, sample: Sample) -> tuple[list[int], list[float]]:
        """The tokens of the answer and of the end of the turn, and what each counts in the loss."""
        tokenizer = self.processor.tokenizer
        prompt_text = self.processor.apply_chat_template(
            chat(sample.prompt), tokenize=False, add_generation_prompt=True
        )
        whole = self.processor.apply_chat_template(chat(sample.prompt, answer=sample.answer), tokenize=False)
        if not whole.startswith(prompt_text + sample.answer + self.end.text):
            raise InputError(
                f"sample {sample.name}",
                expected="a chat template that writes the answer as it is right after the generation prompt",
                got=repr(whole[len(prompt_text) - 20 :][:80]),
                remedy="Use a base whose template adds nothing to an answer, such as an instruct variant.",
            )
        return answer_tokens(tokenizer, sample, self.end)


def answer_tokens(tokenizer: Any, sample: Sample, end: EndOfTurn) -> tuple[list[int], list[float]]:
    """The tokens of a sample's answer and the end token, checked against the text, and what each counts in the loss."""
    encoding = tokenizer(sample.answer, add_special_tokens=False, return_offsets_mapping=bool(sample.marks))
    ids: list[int] = encoding["input_ids"]
    decoded = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    if decoded != sample.answer or end.token_id in ids:
        raise InputError(
            f"sample {sample.name}",
            expected="an answer that the tokenizer can write",
            got=f"{decoded[:60]!r} for {sample.answer[:60]!r}",
            remedy="Change the labels, or use another base.",
        )
    spans = encoding["offset_mapping"] if sample.marks else ()
    weights = _weights(spans, sample.marks) if sample.marks else [1.0] * len(ids)
    return [*ids, end.token_id], [*weights, sample.end_weight]


def _weights(spans: Sequence[tuple[int, int]], marks: Sequence[Mark]) -> list[float]:
    """What the tokens count that cover these characters: what the last of them does, or less than 0 if one does."""
    weights = []
    first = 0
    for start, end in spans:
        while first < len(marks) and marks[first].end <= start:
            first += 1
        last = first
        while last < len(marks) and marks[last].start < end:
            last += 1
        touched = marks[first:last]
        at_its_end = touched[-1].weight if touched and touched[-1].end >= end else 1.0
        weights.append(min([at_its_end, *[mark.weight for mark in touched if mark.weight < 0]]))
    return weights
