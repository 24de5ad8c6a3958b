"""Hide a random share of an image's tokens from a model: what does it still see?

The redundancy paper drops N = share x image tokens at random from the model's input (section 3.4). Here they stay in
their places, so that all others keep their positions, and no token looks at them: the language model is given the same
as without them. The vision part sees the whole image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import BatchFeature, PretrainedConfig


def hidden_image_tokens(
    inputs: BatchFeature, config: PretrainedConfig, share: float, generators: Sequence[torch.Generator]
) -> torch.Tensor:
    """Which tokens of `inputs["input_ids"]` `(B, T)` are hidden, booleans `(B, T)`: of each row's image tokens
    `round(share * N)`, drawn from its generator.

    Raises `InputError` for a model that does not say which tokens are an image's.
    """
    image_token: Any = getattr(config, "image_token_id", None)
    ids = inputs["input_ids"]
    if image_token is None or not bool((ids == image_token).any(dim=1).all()):
        raise InputError(
            "control drop_image_tokens",
            expected="a model with image tokens in its prompt (Qwen-VL, Gemma)",
            got=str(config.model_type),
            remedy="Leave it out for this model.",
        )
    hidden = torch.zeros_like(ids, dtype=torch.bool)
    for row, generator in enumerate(generators):
        places = torch.nonzero(ids[row] == image_token).flatten()
        drawn = torch.randperm(len(places), generator=generator)[: round(share * len(places))]
        hidden[row, places[drawn.to(places.device)]] = True
    return hidden
