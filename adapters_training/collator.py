"""From a question and its answer to the tensors of a training step: the one collator, for every chat model.

The prompt is encoded exactly as for generation. Labels lie on the answer and on the end-of-turn token that the chat
template puts after it, and nowhere else. Nothing is ever truncated: a sample that is too long is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError
from boxlist.models.prompts import open_rgb

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from boxlist.adapters_training.lists import Sample

IGNORE = -100
_MARKER = "boxlistmarker"
_CACHE_BYTES = 1 << 30
_PER_TOKEN_FILL = {"labels": IGNORE}  # keys whose padding is not 0; input_ids get the tokenizer's own


class EndOfTurn(NamedTuple):
    """The token with which the chat template ends an answer, and with which generation stops."""

    text: str
    token_id: int


class Encoded(NamedTuple):
    """One sample: `(L,)` tensors with one entry a token, and what else the processor gives for its image."""

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

    def __init__(self, processor: Any, end: EndOfTurn, max_length: int) -> None:
        self.processor, self.end, self.max_length = processor, end, max_length

    def __call__(self, sample: Sample) -> Encoded:
        """Encode one sample; `InputError` when it is longer than `max_length` or its image cannot be read."""
        import torch

        answer_ids = torch.tensor(self._answer_ids(sample))
        inputs = self.processor.apply_chat_template(
            chat(sample.prompt, open_rgb(sample.file, sample.name)),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        shape = inputs["input_ids"].shape
        per_token = {key: value[0] for key, value in inputs.items() if value.shape == shape}
        per_image = {key: value for key, value in inputs.items() if key not in per_token}
        prompt_length, length = shape[1], shape[1] + len(answer_ids)
        if length > self.max_length:
            raise InputError(
                f"sample {sample.name}",
                expected=f"at most max_length = {self.max_length} tokens",
                got=f"{length} (prompt and image {prompt_length}, answer {len(answer_ids)})",
                remedy="Raise max_length: a list that is cut loses its end, and with it the end token.",
            )
        fills = {"input_ids": answer_ids, "attention_mask": torch.ones_like(answer_ids)}
        zeros = torch.zeros_like(answer_ids)
        per_token = {key: torch.cat([row, fills.get(key, zeros).to(row.dtype)]) for key, row in per_token.items()}
        per_token["labels"] = torch.cat([torch.full((prompt_length,), IGNORE), answer_ids])
        return Encoded(per_token, per_image)

    def _answer_ids(self, sample: Sample) -> list[int]:
        """The tokens of the answer and of the end of the turn, each checked against the text that they stand for."""
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
        ids: list[int] = tokenizer(sample.answer, add_special_tokens=False)["input_ids"]
        decoded = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        if decoded != sample.answer or self.end.token_id in ids:
            raise InputError(
                f"sample {sample.name}",
                expected="an answer that the tokenizer can write",
                got=f"{decoded[:60]!r} for {sample.answer[:60]!r}",
                remedy="Change the labels, or use another base.",
            )
        return [*ids, self.end.token_id]


class EncodedSamples:
    """The training set: encoded on first use, and kept while all kept ones fit into `cache_bytes`."""

    def __init__(self, samples: Sequence[Sample], encoder: Encoder, cache_bytes: int = _CACHE_BYTES) -> None:
        self.samples, self.encoder = samples, encoder
        self._room = cache_bytes
        self._kept: dict[int, Encoded] = {}
        self.longest = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Encoded:
        if index in self._kept:
            return self._kept[index]
        encoded = self.encoder(self.samples[index])
        self.longest = max(self.longest, encoded.length)
        if encoded.nbytes <= self._room:
            self._room -= encoded.nbytes
            self._kept[index] = encoded
        return encoded


class Collator:
    """Pads samples on the right to one length and joins their images.

    With `logits_to_keep` the batch asks the model for logits from the first label on and no earlier: over a large
    vocabulary they are what takes the memory.
    """

    def __init__(self, pad_id: int, *, logits_to_keep: bool) -> None:
        self.pad_id, self.logits_to_keep = pad_id, logits_to_keep

    def __call__(self, batch: Sequence[Encoded]) -> dict[str, Any]:
        """Tensors `(B, L)` for per-token keys; image tensors joined along their first dimension."""
        import torch

        length = max(sample.length for sample in batch)
        joined: dict[str, Any] = {}
        for key in batch[0].per_token:
            fill = self.pad_id if key == "input_ids" else _PER_TOKEN_FILL.get(key, 0)
            rows = [sample.per_token[key] for sample in batch]
            joined[key] = torch.stack(
                [torch.nn.functional.pad(row, (0, length - len(row)), value=fill) for row in rows]
            )
        for key in batch[0].per_image:
            joined[key] = torch.cat([sample.per_image[key] for sample in batch])
        if self.logits_to_keep:
            first_label = int((joined["labels"] != IGNORE).any(0).nonzero()[0])
            joined["logits_to_keep"] = length - first_label + 1
        return joined


def token_weighted_loss(outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
    """Cross-entropy summed over labelled tokens, divided by their number in the whole accumulated batch.

    So every token of a step weighs the same, however samples fall into micro-batches; the models' own loss would be
    a mean of micro-batch means, in which short lists outweigh dense ones. `labels` `(B, L)` are not shifted; logits
    `(B, K, V)` are those of the last K positions.
    """
    import torch

    logits = outputs["logits"]
    targets = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORE)[:, -logits.shape[1] :]
    labelled = targets != IGNORE
    total = torch.nn.functional.cross_entropy(logits[labelled].float(), targets[labelled], reduction="sum")
    count = labelled.sum() if num_items_in_batch is None else num_items_in_batch
    return total / count
