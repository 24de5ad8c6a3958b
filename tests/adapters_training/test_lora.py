"""Where LoRA goes: the totals of the paper's models on the meta device, and patterns that reach too far or nowhere."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers

from boxlist.adapters_training.base_config import base_config
from boxlist.adapters_training.lora import all_linear, attach_lora, matched_targets, parts_of
from boxlist.adapters_training.recipe import TARGETS, Recipe
from boxlist.errors import InputError


def built(base: str) -> Any:
    """The model of a stand-in, on the meta device."""
    config = base_config(Recipe(base=base, task="", steps=1, learning_rate=1e-3)).config
    with torch.device("meta"):
        return transformers.AutoModelForImageTextToText.from_config(config)


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    return {
        "gemma": built("google/gemma-4-12B-it"),
        "qwen": built("Qwen/Qwen3-VL-8B-Instruct"),
        "paligemma": built("google/paligemma2-3b-pt-224"),
    }


@pytest.mark.parametrize(
    ("model", "targets", "rank", "total", "counts"),
    [
        # The papers' 42.7M, 2.6M to 41.5M, and 10.4M, to the last parameter.
        ("gemma", "qkvo", 32, 42_663_936, {"q_proj": 48, "k_proj": 48, "v_proj": 40, "o_proj": 48}),
        ("gemma", "qv", 4, 2_596_864, {"q_proj": 48, "v_proj": 40}),
        ("gemma", "qv", 8, 5_193_728, {"q_proj": 48, "v_proj": 40}),
        ("gemma", "qv", 16, 10_387_456, {"q_proj": 48, "v_proj": 40}),
        ("gemma", "qv", 32, 20_774_912, {"q_proj": 48, "v_proj": 40}),
        ("gemma", "qv", 64, 41_549_824, {"q_proj": 48, "v_proj": 40}),
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
    assert set(parts_of(models[model], found.modules).values()) == {"language"}


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


def test_every_linear_layer_has_its_part(models: dict[str, Any]) -> None:
    found = all_linear(models["paligemma"])
    parts = parts_of(models["paligemma"], found.modules)
    assert "lm_head" not in found.modules
    assert found.counts["fc1"] == 27
    assert parts["model.multi_modal_projector.linear"] == "projector"
    assert parts["model.vision_tower.encoder.layers.0.self_attn.q_proj"] == "vision"
    assert parts["model.language_model.layers.0.mlp.up_proj"] == "language"
