"""Where LoRA goes: the totals of the paper's models on the meta device, and patterns that reach too far or nowhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from boxlist.adapters_training.lora import attach_lora, matched_targets
from boxlist.adapters_training.recipe import TARGETS, Recipe
from boxlist.errors import InputError


def built(kind: str, config: Any) -> Any:
    with torch.device("meta"):
        return getattr(transformers, kind)(config)


def gemma4_12b() -> Any:
    """48 layers, every sixth one full attention with one key-value head and no v_proj."""
    text = {
        "hidden_size": 3840,
        "num_hidden_layers": 48,
        "layer_types": ["full_attention" if layer % 6 == 5 else "sliding_attention" for layer in range(48)],
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
        "global_head_dim": 512,
        "num_global_key_value_heads": 1,
        "attention_k_eq_v": True,
        "num_kv_shared_layers": 0,
        "intermediate_size": 15360,
        "vocab_size": 262144,
    }
    return built("Gemma4UnifiedForConditionalGeneration", transformers.Gemma4UnifiedConfig(text_config=text))


def qwen3vl_8b() -> Any:
    text = {
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
    }
    config = transformers.Qwen3VLConfig(
        text_config=text, vision_config={"out_hidden_size": 4096}, tie_word_embeddings=False
    )
    return built("Qwen3VLForConditionalGeneration", config)


def paligemma2_3b() -> Any:
    text = {
        "model_type": "gemma2",
        "hidden_size": 2304,
        "num_hidden_layers": 26,
        "intermediate_size": 9216,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 257216,
    }
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
    }
    config = transformers.PaliGemmaConfig(text_config=text, vision_config=vision)
    return built("PaliGemmaForConditionalGeneration", config)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {"gemma": gemma4_12b(), "qwen": qwen3vl_8b(), "paligemma": paligemma2_3b()}


@pytest.mark.parametrize(
    ("model", "targets", "rank", "total", "counts"),
    [
        # The paper's 42.7M, 41.5M, 2.6M and 10.4M; the totals to the last parameter are in notes/training.md.
        ("gemma", "qkvo", 32, 42_663_936, {"q_proj": 48, "k_proj": 48, "v_proj": 40, "o_proj": 48}),
        ("gemma", "qv", 64, 41_549_824, {"q_proj": 48, "v_proj": 40}),
        ("gemma", "qv", 4, 2_596_864, {"q_proj": 48, "v_proj": 40}),
        ("qwen", "qv", 32, 15_335_424, {"q_proj": 36, "v_proj": 36}),
        ("qwen", "qkvo", 32, 30_670_848, {"q_proj": 36, "k_proj": 36, "v_proj": 36, "o_proj": 36}),
        (
            "paligemma",
            "qkvo_mlp",
            8,
            10_383_360,
            dict.fromkeys(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"], 26),
        ),
    ],
)
def test_the_totals_are_those_of_the_paper(
    models: dict[str, Any], model: str, targets: str, rank: int, total: int, counts: dict[str, int]
) -> None:
    found = matched_targets(models[model], TARGETS[targets])
    assert found.counts == counts
    assert found.parameters_per_rank * rank == total
    assert all(".language_model." in name for name in found.modules)


@pytest.mark.parametrize(
    ("model", "pattern", "message"),
    [
        ("paligemma", r".*\.q_proj", r"expected modules of the language part only, got model\.vision_tower\."),
        ("qwen", r".*\.(qkv|q_proj)", r"expected modules of the language part only, got model\.visual\.blocks\.0"),
        ("qwen", r".*\.language_model\..*\.(q_proj|w_proj)", "at least one module for 'w_proj', got none among 36"),
        ("qwen", r"language_model\..*\.q_proj", "at least one module for 'q_proj', got none among 0"),
        ("qwen", r".*\.self_attn", r"expected linear layers, got .*self_attn \(Qwen3VLTextAttention\)"),
        ("qwen", r"nothing.*", "at least one module for 'nothing.*', got none"),
    ],
)
def test_patterns_that_miss_or_reach_too_far_are_refused(
    models: dict[str, Any], model: str, pattern: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        matched_targets(models[model], pattern, "recipe.yaml: targets")


def test_only_the_pairs_are_trainable(pocket_base: Any) -> None:
    model = transformers.AutoModelForImageTextToText.from_pretrained(pocket_base, dtype=torch.float32)
    recipe = Recipe(base="pocket:qwen3vl", task="", steps=1, learning_rate=1e-3, targets="qv", rank=2, alpha=4)
    adapted, targets = attach_lora(model, recipe)
    layers = model.config.text_config.num_hidden_layers
    trainable = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert targets.counts == {"q_proj": layers, "v_proj": layers}
    assert len(trainable) == 2 * 2 * layers
    assert not any("visual" in name for name in trainable)
