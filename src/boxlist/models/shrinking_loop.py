"""A decoding loop in which rows that are over leave the batch; transformers' own pads them until the last one stops.

For `generate(custom_generate=shrinking_loop)`: generate prepares inputs, positions, cache and logits processors as
always, and this takes the place of its `_sample`. Rows do not see each other in attention, so the rows that stay get
the tokens they would have got.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers.generation.utils import MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel, StoppingCriteriaList

# Rows leave when this share of the batch is over: dropping copies what stays of the cache, about one step's time.
_WORTH_DROPPING = 1 / 8


def shrinking_loop(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    *,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    **model_kwargs: Any,
) -> torch.Tensor:
    """Generate from left-padded `input_ids` `(B, T)`; returns `(B, T + longest)`, padded behind each row's end.

    A stopping criterion that keeps state by row must have `keep_rows(indices)`, which is called when rows leave.
    """
    whole = input_ids.new_full((len(input_ids), generation_config.max_length), generation_config.pad_token_id)
    whole[:, : input_ids.shape[1]] = input_ids
    rows = torch.arange(len(input_ids), device=input_ids.device)  # of the whole batch, which are still in it
    over = torch.zeros_like(rows, dtype=torch.bool)
    outputs: Any = None
    while not bool(over.all()):
        inputs = model.prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=None if outputs is None else 1,
            is_first_iteration=outputs is None,
            **model_kwargs,
        )
        outputs = model(**inputs, return_dict=True)
        model_kwargs = model._update_model_kwargs_for_generation(outputs, _without_images(model_kwargs))
        tokens = _choose(logits_processor(input_ids, outputs.logits[:, -1].float()), generation_config)
        whole[rows[~over], input_ids.shape[1]] = tokens[~over]
        input_ids = torch.cat([input_ids, tokens[:, None]], dim=1)
        over |= stopping_criteria(input_ids, None)
        leaving = int(over.sum())
        if len(over) > leaving >= max(1, len(over) * _WORTH_DROPPING) and _can_shrink(model_kwargs):
            kept = torch.nonzero(~over).flatten()
            input_ids, rows, over = input_ids[kept], rows[kept], over[kept]
            model_kwargs = _keep_rows(model_kwargs, kept)
            for criterion in stopping_criteria:
                if hasattr(criterion, "keep_rows"):
                    criterion.keep_rows(kept.tolist())
    return whole[:, : input_ids.shape[1]]


def _choose(scores: torch.Tensor, config: GenerationConfig) -> torch.Tensor:
    """The next token of each row, `(B,)`."""
    if config.do_sample:
        return torch.multinomial(torch.softmax(scores, dim=-1), num_samples=1).squeeze(1)
    return torch.argmax(scores, dim=-1)


def _without_images(model_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Images are in the cache after the first step, and take no memory from then on."""
    gone = {*MULTIMODAL_INPUTS_TO_DROP_OUTSIDE_PREFILL, "image_grid_thw", "video_grid_thw"}
    return {name: value for name, value in model_kwargs.items() if name not in gone}


def _keep_rows(model_kwargs: Mapping[str, Any], kept: torch.Tensor) -> dict[str, Any]:
    """What the next steps read, for the rows that stay."""
    model_kwargs["past_key_values"].batch_select_indices(kept)
    chosen = dict(model_kwargs)
    for name, value in model_kwargs.items():
        if isinstance(value, torch.Tensor):
            chosen[name] = value.index_select(_ROW_AXIS[name], kept)
    return chosen


def _can_shrink(model_kwargs: Mapping[str, Any]) -> bool:
    """Whether it is known of every tensor which of its axes is the rows."""
    return all(name in _ROW_AXIS for name, value in model_kwargs.items() if isinstance(value, torch.Tensor))


# position_ids are (B, T), or one such plane for each axis of an image
_ROW_AXIS = {"attention_mask": 0, "token_type_ids": 0, "mm_token_type_ids": 0, "position_ids": -2}
