"""How likely a model finds given texts after an image and a prompt: sums of token log-probabilities.

A text is scored as the beginning of the assistant's turn, right after what generation would continue, without an end
of turn: the log-probability of the continuation, as `lmms_eval.api.model.lmms.loglikelihood` asks for it. Tokens are
those of prompt and text together; where the text changes the prompt's last tokens, those are scored too, in all
options of one question alike. Rows are padded on the right, where no token of theirs can see the padding.
PaliGemma's options are suffixes, of which its processor makes tokens of their own.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from boxlist.errors import InputError
from boxlist.metrics.option_scores import OptionScore
from boxlist.models.prompt_encoding import Prefix, asks_by_prefix, encode_prefixes, prefix_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lmms_eval.api.instance import Instance
    from transformers import BatchFeature


class Row(NamedTuple):
    """One sequence to score: the whole text with its images, and the tokens at its end that count.

    With a `suffix` the text is PaliGemma's prefix, and the suffix is what counts.
    """

    text: str
    images: list[Any]
    scored_ids: list[int]
    suffix: str | None = None


def rows_of(processor: Any, messages: Sequence[Mapping[str, Any]], options: Sequence[str], where: str) -> list[Row]:
    """One row an option, in order. Raises `InputError`, naming `where`, for no options or one without a token."""
    rows = (_suffix_rows if asks_by_prefix(processor) else _chat_rows)(processor, messages, options)
    if not rows:
        raise InputError(
            where,
            expected="options to score, each of at least one token",
            got=f"{len(options)} options, one of them empty" if options else "none",
            remedy="Give the question its options, or leave likelihood out of the generation kwargs.",
        )
    return rows


def _chat_rows(processor: Any, messages: Sequence[Mapping[str, Any]], options: Sequence[str]) -> list[Row]:
    """The rows of a processor with a chat template; none where an option adds no token."""
    prompt: str = processor.apply_chat_template([list(messages)], tokenize=False, add_generation_prompt=True)[0]
    images = [part["image"] for message in messages for part in message["content"] if part["type"] == "image"]
    prompt_ids = _ids(processor, prompt)
    whole_ids = [_ids(processor, prompt + option) for option in options]
    start = min((_shared(prompt_ids, ids) for ids in whole_ids), default=0)
    if any(len(ids) <= len(prompt_ids) for ids in whole_ids):
        return []
    return [Row(prompt + option, images, ids[start:]) for option, ids in zip(options, whole_ids, strict=True)]


def _suffix_rows(processor: Any, messages: Sequence[Mapping[str, Any]], options: Sequence[str]) -> list[Row]:
    """The rows of PaliGemma's processor; none where an option has no token."""
    prefix = prefix_of(messages)
    rows = [Row(prefix.text, prefix.images, _ids(processor, option), option) for option in options]
    return rows if all(row.scored_ids for row in rows) else []


def score_all(processor: Any, model: Any, asked: Iterable[list[Row]], batch_size: int) -> Iterator[list[OptionScore]]:
    """The scores of each list of rows, in their order, `batch_size` rows at a time whatever list they are of."""
    sizes: deque[int] = deque()

    def in_turn() -> Iterator[Row]:
        for rows in asked:
            sizes.append(len(rows))
            yield from rows

    waiting, found = in_turn(), list[OptionScore]()
    while batch := list(islice(waiting, batch_size)):
        inputs = encode(processor, batch).to(model.device, dtype=model.dtype)
        found += score(model, inputs, batch)
        while sizes and len(found) >= sizes[0]:
            size = sizes.popleft()
            yield found[:size]
            found = found[size:]


def encode(processor: Any, rows: Sequence[Row]) -> BatchFeature:
    """The rows as a batch, padded on the right, tokenised as `apply_chat_template` or PaliGemma's processor does it."""
    suffixes = [row.suffix for row in rows if row.suffix is not None]
    if suffixes:
        inputs = encode_prefixes(processor, [Prefix(row.text, row.images) for row in rows], suffixes, "right")
        ends = inputs["attention_mask"].sum(dim=1, keepdim=True) - 1
        inputs["attention_mask"].scatter_(1, ends, 0)  # the end token, which is not scored, becomes padding
        return inputs
    bos = processor.tokenizer.bos_token
    special = {"add_special_tokens": False} if bos is not None and rows[0].text.startswith(bos) else {}
    images = [row.images for row in rows]
    return processor(
        text=[row.text for row in rows],
        images=images if any(images) else None,
        padding=True,
        padding_side="right",
        return_tensors="pt",
        **special,
    )


def score(model: Any, inputs: BatchFeature, rows: Sequence[Row]) -> list[OptionScore]:
    """Run the batch through the model once; logits are asked for only from the first scored token on."""
    ids = inputs["input_ids"]
    ends = inputs["attention_mask"].sum(dim=1).tolist()
    spans = [(end - len(row.scored_ids), end) for row, end in zip(rows, ends, strict=True)]
    for row, (start, end), sequence in zip(rows, spans, ids, strict=True):
        if start < 1 or sequence[start:end].tolist() != row.scored_ids:
            raise InputError(
                "likelihood",
                expected="a processor that writes a continuation as its tokenizer does",
                got=f"other tokens at the end of {row.text[-40:]!r}",
                remedy="Ask this model by generation.",
            )
    first = min(start for start, _ in spans) - 1  # the logits before a token are about it
    with torch.inference_mode():
        output = model(**inputs, use_cache=False, logits_to_keep=ids.shape[1] - first)
    logits = output.logits[:, -(ids.shape[1] - first) :]
    return [
        _option_score(logits[place, start - 1 - first : end - 1 - first], ids[place, start:end])
        for place, (start, end) in enumerate(spans)
    ]


def requested_rows(
    processor: Any, requests: Sequence[Instance], documents: Mapping[str, Mapping[str, Sequence[Any]]]
) -> Iterator[list[Row]]:
    """The row of each request of lmms-eval's type `loglikelihood`, alone in a list.

    lmms-eval 0.7.3 builds those requests for its simple tasks only, as `(context, continuation or doc_to_target,
    doc_to_visual, doc_id, task, split)` (`ConfigurableTask.construct_requests`; `multiple_choice` makes one of each
    choice), and with `acc_mutual_info` also `(context, continuation)` without images; its chat tasks refuse the type.
    """
    for number, request in enumerate(requests):
        where = f"request {number}"
        if len(request.args) not in {2, 6}:
            raise InputError(
                where,
                expected="(context, continuation, doc_to_visual, doc_id, task, split), or the first two of them",
                got=f"{len(request.args)} arguments",
                remedy="Build it as lmms-eval's ConfigurableTask does.",
            )
        context, continuation, *rest = request.args
        images = []
        if rest:
            doc_to_visual, doc_id, task, split = rest
            document = documents[task][split][doc_id]
            images = [image.convert("RGB") for image in doc_to_visual(document)]
            continuation = continuation if isinstance(continuation, str) else continuation(document)
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": context}]
        yield rows_of(processor, [{"role": "user", "content": content}], [str(continuation)], where)


def _option_score(logits: torch.Tensor, ids: torch.Tensor) -> OptionScore:
    """From the logits `(T, V)` before each of `T` tokens."""
    chosen = logits.float().log_softmax(dim=-1).gather(1, ids[:, None])
    greedy = bool((logits.argmax(dim=-1) == ids).all())
    return OptionScore(min(0.0, float(chosen.sum(dtype=torch.float64))), len(ids), greedy)


def _ids(processor: Any, text: str) -> list[int]:
    ids: list[int] = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _shared(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
