"""Rows that are being generated together, from any step to the next; finished ones leave and new ones join.

transformers' `generate` prepares inputs, positions and logits processors as always and computes the prompts; from then
on its loop, which pads finished rows until the last one stops, is not used. Rows do not see each other in attention,
so each gets the tokens it would get alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import RepetitionPenaltyLogitsProcessor
from transformers.generation.utils import MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL

from boxlist.models.growing_cache import GrowingCache

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import BatchFeature, GenerationConfig, LogitsProcessorList, PreTrainedModel

    from boxlist.controls.json_grammar import GrammarPlace

# Which axis of what a step reads is the rows: position_ids are (B, T), or one such plane for each axis of an image.
_ROW_AXIS = {"attention_mask": 0, "token_type_ids": 0, "mm_token_type_ids": 0, "position_ids": -2}
_IMAGES = frozenset({*MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL, "image_grid_thw", "video_grid_thw"})


@dataclass(frozen=True)
class RowChoice:
    """How one row's tokens are chosen: the likeliest, or drawn from `generator`, of those that `grammar` allows.

    A row draws from its own generator, so what it gets does not depend on its company. A flight's rows either all
    draw or none does, and are all held to a grammar or none.
    """

    generator: torch.Generator | None = None
    grammar: GrammarPlace | None = None


class RowsInFlight:
    """`B` rows before their next token, all ending at the same place, padded on the left.

    One step is `choose`, which gives each row its next token, and `go_on`, which reads them.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processors: LogitsProcessorList,
        ids: torch.Tensor,
        logits: torch.Tensor,
        inputs: Mapping[str, Any],
        choices: Sequence[RowChoice],
    ) -> None:
        self._model = model
        self._processors = processors
        self._ids = ids  # (B, T)
        self._logits = logits  # (B, V), float32, for the token at T
        self._inputs = _of_next_step(inputs)  # all tensors but the mask, which is (B, T + 1), end in one token
        if self._inputs.get("attention_mask") is None:  # generate drops a mask without padding
            self._inputs["attention_mask"] = ids.new_ones((ids.shape[0], ids.shape[1] + 1))
        self._choices = list(choices)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def can_change(self) -> bool:
        """Whether rows may leave and join: whether the rows of all that a step reads are known."""
        tensors = {name for name, value in self._inputs.items() if isinstance(value, torch.Tensor)}
        return tensors <= _ROW_AXIS.keys() and "position_ids" in tensors and bool(self._cache.can_change)

    @torch.inference_mode()
    def choose(self) -> list[int]:
        """The next token of each row."""
        scores = self._processed()
        for row, choice in enumerate(self._choices):
            if choice.grammar is not None:
                allowed = torch.from_numpy(choice.grammar.allowed()).to(scores.device)
                scores[row].masked_fill_(~allowed, -torch.inf)
        generators = [choice.generator for choice in self._choices if choice.generator is not None]
        if generators:
            drawn = torch.cat([torch.rand(1, generator=g, dtype=torch.float64) for g in generators])
            self._chosen = _draw(scores, drawn.to(scores.device))
        else:
            self._chosen = torch.argmax(scores, dim=-1)
        tokens: list[int] = self._chosen.tolist()
        for token, choice in zip(tokens, self._choices, strict=True):
            if choice.grammar is not None:
                choice.grammar.take(token)
        return tokens

    @torch.inference_mode()
    def go_on(self) -> None:
        """Read the chosen tokens."""
        self._ids = torch.cat([self._ids, self._chosen[:, None]], dim=1)
        step = self._model.prepare_inputs_for_generation(self._ids, next_sequence_length=1, **self._inputs)
        outputs = self._model(**step, return_dict=True)
        self._logits = outputs.logits[:, -1].float()
        self._inputs = _of_next_step(self._model._update_model_kwargs_for_generation(outputs, self._inputs))

    @torch.inference_mode()
    def keep(self, places: Sequence[int]) -> None:
        """Go on with the rows at these places only, which become 0, 1, ..."""
        indices = torch.tensor(places, device=self._ids.device)
        self._ids, self._logits = self._ids[indices], self._logits[indices]
        for name, value in self._tensors():
            self._inputs[name] = value.index_select(_ROW_AXIS[name], indices)
        self._choices = [self._choices[place] for place in places]
        self._cache.select(indices)
        self._fit(int(self._lengths().max()))

    @torch.inference_mode()
    def replace(self, places: Sequence[int], joining: RowsInFlight) -> None:
        """Put the rows of `joining` at these places, one each; `joining` is not to be used afterwards."""
        indices = torch.tensor(places, device=self._ids.device)
        width = max(self._ids.shape[1], joining._ids.shape[1])
        self._fit(width)
        self._cache.replace(indices, joining._cache)
        joining._ids = _fitted(joining._ids, width)
        joining._inputs["attention_mask"] = _fitted(joining._inputs["attention_mask"], width + 1)
        self._ids[indices], self._logits[indices] = joining._ids, joining._logits
        for name, value in self._tensors():
            value.index_copy_(_ROW_AXIS[name], indices, joining._inputs[name])
        for place, choice in zip(places, joining._choices, strict=True):
            self._choices[place] = choice
        self._fit(int(self._lengths().max()))

    @property
    def _cache(self) -> GrowingCache:
        cache: GrowingCache = self._inputs["past_key_values"]
        return cache

    def _tensors(self) -> list[tuple[str, torch.Tensor]]:
        return [(name, value) for name, value in self._inputs.items() if isinstance(value, torch.Tensor)]

    def _fit(self, width: int) -> None:
        """Have `width` tokens, padding added or dropped on the left."""
        if width != self._ids.shape[1]:
            self._ids = _fitted(self._ids, width)
            self._inputs["attention_mask"] = _fitted(self._inputs["attention_mask"], width + 1)
            self._cache.fit(width)

    def _lengths(self) -> torch.Tensor:
        """Tokens of each row without padding, `(B,)`."""
        starts = self._inputs["attention_mask"].argmax(dim=1)  # hidden tokens may follow, so ones are not counted
        lengths: torch.Tensor = self._ids.shape[1] - starts
        return lengths

    def _processed(self) -> torch.Tensor:
        """Scores after the logits processors, which see each row without its padding: padding is often the end-of-turn
        token, and a penalty on it would depend on how much of it a row has."""
        if not self._processors:
            return self._logits
        starts = (self._ids.shape[1] - self._lengths()).tolist()
        rows = [
            self._processors(self._ids[row : row + 1, start:], self._logits[row : row + 1])
            for row, start in enumerate(starts)
        ]
        return torch.cat(rows)


@torch.inference_mode()
def prefill(
    model: Any,
    inputs: BatchFeature,
    choices: Sequence[RowChoice],
    *,
    hidden: torch.Tensor | None = None,
    **options: Any,
) -> RowsInFlight:
    """Read prompts, encoded with their images and padded on the left; `options` are those of `generate`.

    `choices` has one a row. No token looks at those that are `hidden`, `(B, T)` booleans; all keep their positions.
    """
    caught: list[RowsInFlight] = []

    def catch(
        model: PreTrainedModel,
        input_ids: torch.Tensor,
        *,
        logits_processor: LogitsProcessorList,
        stopping_criteria: object,  # noqa: ARG001  each row is watched by its own reader
        generation_config: GenerationConfig,  # noqa: ARG001
        **model_kwargs: Any,
    ) -> torch.Tensor:
        if hidden is not None:
            mask = model_kwargs.get("attention_mask")
            model_kwargs["attention_mask"] = (torch.ones_like(input_ids) if mask is None else mask) * ~hidden
        step = model.prepare_inputs_for_generation(input_ids, is_first_iteration=True, **model_kwargs)
        outputs = model(**step, return_dict=True)
        following = model._update_model_kwargs_for_generation(outputs, model_kwargs)
        logits = outputs.logits[:, -1].float()
        for processor in logits_processor:
            if isinstance(processor, RepetitionPenaltyLogitsProcessor):
                processor.prompt_ignore_length = None  # the padding of this batch; rows come to it alone, without any
        caught.append(RowsInFlight(model, logits_processor, input_ids, logits, following, choices))
        return input_ids

    model.generate(**inputs, **options, custom_generate=catch, past_key_values=GrowingCache(model.config))
    return caught[0]


def _of_next_step(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the next step reads: images are in the cache, and of all but the mask only the last token's share counts."""
    return {
        name: value[..., -1:] if name in _ROW_AXIS and name != "attention_mask" and value is not None else value
        for name, value in inputs.items()
        if name not in _IMAGES
    }


def _fitted(rows: torch.Tensor, width: int) -> torch.Tensor:
    """`(B, T)` with `width` columns: the last ones, behind zeros where there are fewer."""
    length = rows.shape[1]
    if width <= length:
        return rows[:, length - width :]
    fitted = rows.new_zeros((len(rows), width))
    fitted[:, width - length :] = rows
    return fitted


def _draw(scores: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """One token a row, `(B,)`, from the softmax of the scores and a number from [0, 1) each."""
    cumulative = torch.softmax(scores.double(), dim=-1).cumsum(dim=-1)
    total = cumulative[:, -1:]
    # rounding must not reach the end, behind which there may be tokens of no probability
    wanted = torch.minimum(uniform[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, wanted, right=True).squeeze(1)
