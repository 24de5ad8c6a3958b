"""The second pocket's shape: Gemma 4's encoder-free classes, 224-pixel images in 64 tokens that the decoder sees.

Image patches enter the decoder through one linear layer; image tokens see each other in both directions. As in
Gemma 4 12B, sliding layers have grouped keys and the full layer has wider heads and keys that serve as values.
"""

from __future__ import annotations

from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.adapters_training.pocket.reading import Read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch
    from numpy.typing import NDArray
    from torch import Tensor
    from torch.nn import Parameter
    from transformers import (
        Gemma4UnifiedConfig,
        Gemma4UnifiedForConditionalGeneration,
        Gemma4UnifiedProcessor,
        PreTrainedTokenizerFast,
    )

    from boxlist.adapters_training.pocket.reading import Page

IMAGE_SIDE_PX = 224
PATCH_PX = 14
MERGE = 2
GRID = IMAGE_SIDE_PX // (PATCH_PX * MERGE)  # image tokens on a side: 8, so that the processor need not rescale
IMAGE_TOKENS = GRID * GRID
MAX_SOFT_TOKENS = 70  # the smallest that the processor takes
WIDTH = 192
SIGHT_LAYERS = 5  # after so many layers an image token knows what is in it
SLIDING, FULL = "sliding_attention", "full_attention"


def pocket_config(vocab_size: int, token_ids: Mapping[str, int]) -> Gemma4UnifiedConfig:
    """The configuration. `token_ids` maps Gemma's special tokens, such as `<|image|>`, to their ids."""
    from transformers import Gemma4UnifiedConfig

    return Gemma4UnifiedConfig(
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": WIDTH,
            "intermediate_size": 512,
            "num_hidden_layers": 7,
            "num_attention_heads": 6,
            "num_key_value_heads": 3,
            "head_dim": 32,
            "global_head_dim": 64,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            # Only the last layer is full: where image tokens see each other differs there between the model's own
            # training forward and its generation, and in the last layer nothing reads what they saw.
            "layer_types": [SLIDING] * 6 + [FULL],
            "sliding_window": 1024,
            "max_position_embeddings": 4096,
            "final_logit_softcapping": 30.0,
            "pad_token_id": token_ids["<pad>"],
            "bos_token_id": token_ids["<bos>"],
            "eos_token_id": token_ids["<turn|>"],
            "tie_word_embeddings": True,
        },
        vision_config={
            "patch_size": PATCH_PX,
            "pooling_kernel_size": MERGE,
            "mm_embed_dim": WIDTH,
            "mm_posemb_size": GRID,
            "output_proj_dims": WIDTH,
        },
        audio_config=None,
        image_token_id=token_ids["<|image|>"],
        video_token_id=token_ids["<|video|>"],
        audio_token_id=token_ids["<|audio|>"],
        boi_token_id=token_ids["<|image>"],
        eoi_token_id=token_ids["<image|>"],
        boa_token_id=token_ids["<|audio>"],
        eoa_token_index=token_ids["<audio|>"],
        tie_word_embeddings=True,
    )


def patchify(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut `(B, 224, 224, 3)` images into `(B, 64, 28 * 28 * 3)` patches, row by row."""
    side = PATCH_PX * MERGE
    cut = images.reshape(len(images), GRID, side, GRID, side, 3).transpose(0, 1, 3, 2, 4, 5)
    return np.ascontiguousarray(cut).reshape(len(images), IMAGE_TOKENS, side * side * 3)


def image_embeddings(model: Gemma4UnifiedForConditionalGeneration, images: NDArray[np.uint8]) -> Tensor:
    """What enters the decoder for each image token, `(B, 64, WIDTH)`, as the model itself computes it."""
    import torch

    places = torch.stack(torch.meshgrid(torch.arange(GRID), torch.arange(GRID), indexing="xy"), -1).reshape(1, -1, 2)
    patches = torch.from_numpy(patchify(images)).float() / 255
    embedded: Tensor = model.model.embed_vision(patches, places.expand(len(images), -1, -1)).pooler_output
    return embedded


class LayerWeights(NamedTuple):
    """The weights of one decoder layer; `value` is None where the keys serve as values."""

    query: Tensor
    key: Tensor
    value: Tensor | None
    out: Tensor
    gate: Tensor
    up: Tensor
    down: Tensor
    before_attention: Tensor
    after_attention: Tensor
    before_mlp: Tensor
    after_mlp: Tensor
    query_norm: Tensor
    key_norm: Tensor


def layer_weights(layer: Any) -> LayerWeights:
    attention, mlp = layer.self_attn, layer.mlp
    return LayerWeights(
        attention.q_proj.weight,
        attention.k_proj.weight,
        None if attention.v_proj is None else attention.v_proj.weight,
        attention.o_proj.weight,
        mlp.gate_proj.weight,
        mlp.up_proj.weight,
        mlp.down_proj.weight,
        layer.input_layernorm.weight,
        layer.post_attention_layernorm.weight,
        layer.pre_feedforward_layernorm.weight,
        layer.post_feedforward_layernorm.weight,
        attention.q_norm.weight,
        attention.k_norm.weight,
    )


def _normed(hidden: Tensor, weight: Tensor | None = None) -> Tensor:
    import torch

    hidden = hidden.float()
    hidden = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-6)
    return hidden if weight is None else hidden * weight


def _turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    import torch

    half = heads.shape[-1] // 2
    return heads * cos + torch.cat((-heads[..., half:], heads[..., :half]), -1) * sin


def run_layer(
    hidden: Tensor,
    cos: Tensor,
    sin: Tensor,
    mask: Tensor | None,
    weights: LayerWeights,
    products: torch.dtype,
    watched: bool,
) -> tuple[Tensor, Tensor | None]:
    """One decoder layer on float32 `(B, T, WIDTH)`, and if watched its attention `(B, heads, T, T)`, row to column.

    `cos` and `sin` are `(B, T, 1, head_dim)`; matrix products are computed in the type `products`.
    """
    import torch.nn.functional as F  # noqa: N812

    def times(states: Tensor, weight: Tensor) -> Tensor:
        return F.linear(states.to(products), weight.to(products))

    shape = (*hidden.shape[:2], -1, cos.shape[-1])
    normed = _normed(hidden, weights.before_attention)
    query = _turned(_normed(times(normed, weights.query).view(shape), weights.query_norm), cos, sin)
    keys = times(normed, weights.key).view(shape)
    values = keys if weights.value is None else times(normed, weights.value).view(shape)
    query, key, value = (
        states.to(products).transpose(1, 2)
        for states in (query, _turned(_normed(keys, weights.key_norm), cos, sin), _normed(values))
    )
    groups = query.shape[1] // key.shape[1]
    scores = (query @ key.repeat_interleave(groups, 1).transpose(2, 3)).float()
    attention = (scores if mask is None else scores + mask).softmax(-1).to(products)
    mixed = (attention @ value.repeat_interleave(groups, 1)).transpose(1, 2).flatten(2)
    hidden = hidden + _normed(times(mixed, weights.out), weights.after_attention)
    normed = _normed(hidden, weights.before_mlp)
    widened = F.gelu(times(normed, weights.gate), approximate="tanh") * times(normed, weights.up)
    return hidden + _normed(times(widened, weights.down), weights.after_mlp), attention if watched else None


@cache
def _compiled_layer() -> Callable[..., tuple[Tensor, Tensor | None]]:
    """`run_layer` in machine code of its own for every shape: twice as fast, after half a minute for each."""
    import torch

    return torch.compile(run_layer, dynamic=False)


class Seen(NamedTuple):
    """What the decoder made of a batch of embeddings."""

    sight: Tensor  # (B, T, WIDTH) behind the layers of sight
    told: Tensor  # (B, T, WIDTH) behind the last watched layer
    hidden: Tensor  # (B, T, WIDTH) behind the last layer that was run, not yet normalised
    attention: list[Tensor]  # of each watched layer, (B, heads, T, T), row to column


def decode(
    model: Gemma4UnifiedForConditionalGeneration,
    embeds: Tensor,
    positions: Tensor,
    mask: Tensor | None,
    layers: int,
    watched: tuple[int, ...] = (),
) -> Seen:
    """Run the first `layers` decoder layers on `(B, T, WIDTH)` embeddings, as the model does, only faster on a CPU.

    `mask` `(B, 1, T, T)` is added to the scores; without one every token sees all. `positions` is `(B, T)` or
    `(1, T)`. In a bfloat16 autocast, layers are compiled and matrix products computed in bfloat16.
    """
    import torch

    fast = torch.is_autocast_enabled("cpu")
    run = _compiled_layer() if fast else run_layer
    products = torch.bfloat16 if fast else torch.float32
    language = model.model.language_model
    with torch.autocast("cpu", enabled=False):
        hidden = sight = told = embeds.float()
        turns = {kind: language.rotary_emb(hidden, positions, kind) for kind in (SLIDING, FULL)}
        attention = []
        for index, layer in enumerate(language.layers[:layers]):
            cos, sin = (part[:, :, None] for part in turns[language.config.layer_types[index]])
            hidden, seen = run(hidden, cos, sin, mask, layer_weights(layer), products, index in watched)
            if seen is not None:
                attention.append(seen)
                told = hidden
            if index == SIGHT_LAYERS - 1:
                sight = hidden
    return Seen(sight, told, hidden, attention)


def sight(model: Gemma4UnifiedForConditionalGeneration, images: NDArray[np.uint8]) -> Tensor:
    """The image tokens of pictures alone behind the layers of sight, `(B, 64, WIDTH)`."""
    import torch

    return decode(model, image_embeddings(model, images), torch.arange(IMAGE_TOKENS)[None], None, SIGHT_LAYERS).sight


def sight_weights(model: Gemma4UnifiedForConditionalGeneration) -> Iterator[Parameter]:
    layers = model.model.language_model.layers[:SIGHT_LAYERS]
    return chain(model.model.embed_vision.parameters(), layers.parameters())


def image_places(start: int) -> NDArray[np.int64]:
    """Positions of the image tokens and of the token behind them, three times over, `(3, 65)`."""
    return np.tile(start + np.arange(IMAGE_TOKENS + 1), (3, 1))


def read(model: Gemma4UnifiedForConditionalGeneration, page: Page) -> Read:
    """Run the decoder on pictures and words together, in the caller's autocast."""
    import torch

    embeds = model.model.language_model.embed_tokens(torch.from_numpy(page.ids))
    span = page.image_span
    pictures = image_embeddings(model, page.images).to(embeds.dtype)
    embeds = torch.cat([embeds[:, : span.start], pictures, embeds[:, span.stop :]], dim=1)
    mask = torch.zeros(page.seen.shape)[:, None].masked_fill_(~torch.from_numpy(page.seen)[:, None], float("-inf"))
    layers = len(model.model.language_model.layers)
    seen = decode(model, embeds, torch.from_numpy(page.positions[0]), mask, layers, page.watched)
    return Read(model.model.language_model.norm(seen.hidden), seen.attention, seen.sight[:, span], seen.told)


def build_processor(tokenizer: PreTrainedTokenizerFast, template: str) -> Gemma4UnifiedProcessor:
    """Gemma 4's processor, made to cut an image of 224 x 224 pixels into 64 tokens without rescaling it."""
    from transformers import (
        Gemma4UnifiedAudioFeatureExtractor,
        Gemma4UnifiedImageProcessor,
        Gemma4UnifiedProcessor,
        Gemma4UnifiedVideoProcessor,
    )

    cut = {"patch_size": PATCH_PX, "pooling_kernel_size": MERGE, "max_soft_tokens": MAX_SOFT_TOKENS}
    return Gemma4UnifiedProcessor(
        feature_extractor=Gemma4UnifiedAudioFeatureExtractor(),
        image_processor=Gemma4UnifiedImageProcessor(**cut),
        tokenizer=tokenizer,
        video_processor=Gemma4UnifiedVideoProcessor(**cut),
        chat_template=template,
        image_seq_length=IMAGE_TOKENS,
    )
