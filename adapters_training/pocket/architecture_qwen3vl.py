"""The first pocket's shape: Qwen3-VL's own classes, a few million parameters, 224-pixel images in 49 tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxlist.adapters_training.pocket.reading import Read

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerFast, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLProcessor

    from boxlist.adapters_training.pocket.reading import Page

IMAGE_SIDE_PX = 224
PATCH_PX = 16
MERGE = 2
GRID = IMAGE_SIDE_PX // (PATCH_PX * MERGE)  # merged tokens on a side: 7
IMAGE_TOKENS = GRID * GRID
WIDTH = 192


def pocket_config(vocab_size: int, token_ids: Mapping[str, int]) -> Qwen3VLConfig:
    """The configuration. `token_ids` maps Qwen's special tokens, such as `<|image_pad|>`, to their ids."""
    from transformers import Qwen3VLConfig

    return Qwen3VLConfig(
        text_config={
            "vocab_size": vocab_size,
            "hidden_size": WIDTH,
            "intermediate_size": 512,
            "num_hidden_layers": 6,
            "num_attention_heads": 6,
            "num_key_value_heads": 6,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5]},
            "pad_token_id": token_ids["<|endoftext|>"],
            "bos_token_id": None,
            "eos_token_id": token_ids["<|im_end|>"],
            "tie_word_embeddings": True,
        },
        vision_config={
            "depth": 4,
            "hidden_size": WIDTH,
            "intermediate_size": 768,
            "num_heads": 6,
            "patch_size": PATCH_PX,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": WIDTH,
            "num_position_embeddings": (IMAGE_SIDE_PX // PATCH_PX) ** 2,
            # Qwen3-VL adds mid-tower features to early language layers; at this size the merger's own suffice.
            "deepstack_visual_indexes": [],
        },
        image_token_id=token_ids["<|image_pad|>"],
        video_token_id=token_ids["<|video_pad|>"],
        vision_start_token_id=token_ids["<|vision_start|>"],
        vision_end_token_id=token_ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def image_features(model: Qwen3VLForConditionalGeneration, images: NDArray[np.uint8]) -> Tensor:
    """The merged image tokens of a batch of equal-sized images, as the model itself computes them, only faster.

    `images` is `(B, 224, 224, 3)` RGB; the result `(B, 49, WIDTH)`. The model's own forward runs attention image by
    image and the patch embedding as a convolution, both slow on a CPU. A test holds this equal to the model's output.
    """
    import torch
    import torch.nn.functional as F  # noqa: N812
    from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision

    tower = model.model.visual
    patches = torch.from_numpy(patchify(images)).to(tower.pos_embed.weight.device).float() / 127.5 - 1.0
    weight = tower.patch_embed.proj.weight.sum(2).flatten(1)  # both temporal frames hold the same picture
    hidden = F.linear(patches, weight, tower.patch_embed.proj.bias)
    rows, columns = _patch_places()
    hidden = hidden + tower.pos_embed.weight[rows * (IMAGE_SIDE_PX // PATCH_PX) + columns]
    cos, sin = tower.rotary_pos_emb(hidden, torch.stack([rows, columns], dim=-1).to(hidden.device))
    batch, length, width = hidden.shape
    for block in tower.blocks:
        normed = block.norm1(hidden)
        q, k, v = block.attn.qkv(normed).reshape(batch, length, 3, block.attn.num_heads, -1).unbind(2)
        q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
        scores = (q.transpose(1, 2) * block.attn.scaling) @ k.permute(0, 2, 3, 1)
        mixed = scores.softmax(-1).to(v.dtype) @ v.transpose(1, 2)
        hidden = hidden + block.attn.proj(mixed.transpose(1, 2).reshape(batch, length, width))
        hidden = hidden + block.mlp(block.norm2(hidden))
    merged: Tensor = tower.merger(hidden.reshape(batch * length, width)).reshape(batch, IMAGE_TOKENS, -1)
    return merged


def patchify(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cut `(B, 224, 224, 3)` images into `(B, 196, 3 * 16 * 16)` patches in the processor's order: 2x2 blocks."""
    batch = images.shape[0]
    cut = images.reshape(batch, GRID, MERGE, PATCH_PX, GRID, MERGE, PATCH_PX, 3)
    cut = cut.transpose(0, 1, 4, 2, 5, 7, 3, 6)  # batch, block row, block column, row, column, channel, y, x
    return np.ascontiguousarray(cut).reshape(batch, IMAGE_TOKENS * MERGE * MERGE, 3 * PATCH_PX * PATCH_PX)


def _patch_places() -> tuple[Tensor, Tensor]:
    """Row and column of each of the 196 patches, in the order of `patchify`."""
    import torch

    block_row, block_column, row, column = torch.meshgrid(
        torch.arange(GRID), torch.arange(GRID), torch.arange(MERGE), torch.arange(MERGE), indexing="ij"
    )
    return (block_row * MERGE + row).flatten(), (block_column * MERGE + column).flatten()


def image_places(start: int) -> NDArray[np.int64]:
    """Positions in time, row and column of the image tokens and of the token behind them, `(3, 50)`."""
    cells = np.arange(IMAGE_TOKENS)
    places = np.stack([np.full(IMAGE_TOKENS, start), start + cells // GRID, start + cells % GRID])
    return np.concatenate([places, np.full((3, 1), start + GRID)], axis=1)


def read(model: Qwen3VLForConditionalGeneration, page: Page) -> Read:
    """Run the language part on what the frozen tower sees, in the caller's autocast."""
    import torch

    with torch.no_grad():
        features = image_features(model, page.images)
    embeds = model.model.language_model.embed_tokens(torch.from_numpy(page.ids))
    span = page.image_span
    embeds = torch.cat([embeds[:, : span.start], features.to(embeds.dtype), embeds[:, span.stop :]], dim=1)
    mask = torch.zeros(page.seen.shape)[:, None].masked_fill_(~torch.from_numpy(page.seen)[:, None], float("-inf"))
    attention: list[Tensor] = []
    layers = [model.model.language_model.layers[index].self_attn for index in page.watched]
    hooks = [layer.register_forward_hook(lambda _m, _i, out: attention.append(out[1])) for layer in layers]
    hidden = model.model.language_model(
        inputs_embeds=embeds,
        attention_mask=mask,
        position_ids=torch.from_numpy(page.positions),
        use_cache=False,
    ).last_hidden_state
    for hook in hooks:
        hook.remove()
    return Read(hidden, attention, None, None)


def build_processor(tokenizer: PreTrainedTokenizerFast, template: str) -> Qwen3VLProcessor:
    """Qwen3-VL's processor, made to show every image at 224 x 224 pixels."""
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

    area = IMAGE_SIDE_PX * IMAGE_SIDE_PX
    size = {"shortest_edge": area, "longest_edge": area}
    vision = {
        "patch_size": PATCH_PX,
        "merge_size": MERGE,
        "temporal_patch_size": 2,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
        "size": size,
    }
    for name, token in (
        ("image_token", "<|image_pad|>"),
        ("video_token", "<|video_pad|>"),
        ("vision_start_token", "<|vision_start|>"),
        ("vision_end_token", "<|vision_end|>"),
    ):
        setattr(tokenizer, name, token)
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**vision),
        video_processor=Qwen3VLVideoProcessor(**vision),
        tokenizer=tokenizer,
        chat_template=template,
    )
