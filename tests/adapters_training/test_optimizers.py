"""Optimizers: a rate for each part, the fall back without a GPU, and what is missing is said before training."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from boxlist.adapters_training.lora import all_linear, attach_lora, parts_of
from boxlist.adapters_training.optimizers import (
    LearningRates,
    optimizer_here,
    part_optimizer,
    read_learning_rates,
    refuse_missing_library,
)
from boxlist.adapters_training.train import train
from boxlist.errors import InputError, MissingExtraError
from boxlist.models.loading import NOT_QUANTISED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.adapters_training.recipe import Recipe
    from boxlist.adapters_training.train import TrainedAdapter


def without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name))


def test_each_part_has_its_rate_and_every_pair_its_part(pocket_base: Path, small_recipe: Recipe) -> None:
    model = transformers.AutoModelForImageTextToText.from_pretrained(pocket_base, dtype=torch.float32)
    recipe = dataclasses.replace(
        small_recipe, targets="all", learning_rates=LearningRates(vision=1e-5), weight_decay=0.1
    )
    linear = all_linear(model)
    adapted, targets = attach_lora(model, recipe)
    assert targets == linear
    arguments = transformers.TrainingArguments(output_dir="unused", learning_rate=recipe.learning_rate, use_cpu=True)
    optimizer = part_optimizer(adapted, recipe, arguments)
    assert type(optimizer).__name__ == "AdamW"
    assert [group["lr"] for group in optimizer.param_groups] == [2e-3, 1e-5, 2e-3]
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.1}
    trainable = {id(weight): name for name, weight in adapted.named_parameters() if weight.requires_grad}
    grouped = [[trainable.pop(id(weight)) for weight in group["params"]] for group in optimizer.param_groups]
    assert trainable == {}
    for names, part in zip(grouped, ("language", "vision", "projector"), strict=True):
        assert set(parts_of(adapted.get_base_model(), names).values()) == {part}
    assert all(".language_model." in name for name in grouped[0])
    assert all(".visual.blocks." in name for name in grouped[1])
    assert all("merger" in name for name in grouped[2])


def test_without_rates_trainer_makes_its_own(small_recipe: Recipe) -> None:
    assert part_optimizer(None, small_recipe, None) is None


def test_all_parts_learn_and_what_was_used_is_recorded(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path
) -> None:
    found = train_small(
        tmp_path / "a",
        steps=1,
        warmup_steps=0,
        checkpoint_every=1,
        targets="all",
        learning_rates=LearningRates(vision=1e-3, projector=1e-3),
        optimizer="paged_adamw_8bit",
    )
    if not torch.cuda.is_available():
        assert found.provenance.training["optimizer"] == "adamw_torch"
    assert found.provenance.recipe["optimizer"] == "paged_adamw_8bit"
    assert found.provenance.recipe["learning_rates"] == {"vision": 1e-3, "projector": 1e-3}
    from safetensors.torch import load_file

    learnt = {name for name, tensor in load_file(found.folder / "adapter_model.safetensors").items() if tensor.any()}
    for part in (".visual.blocks.", "merger", ".language_model."):
        assert any(part in name and "lora_B" in name for name in learnt), part


def test_pages_need_a_gpu(small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = dataclasses.replace(small_recipe, optimizer="paged_adamw_8bit")
    without_bitsandbytes(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert optimizer_here(recipe) == "adamw_torch"
    refuse_missing_library(recipe)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert optimizer_here(recipe) == "paged_adamw_8bit"
    with pytest.raises(MissingExtraError, match=r"import bitsandbytes: .*pip install 'boxlist\[qlora\]'"):
        refuse_missing_library(recipe)


def test_four_bits_need_a_library_and_nothing_is_written_without_it(
    small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_bitsandbytes(monkeypatch)
    with pytest.raises(MissingExtraError, match="import bitsandbytes"):
        train(dataclasses.replace(small_recipe, quantisation="nf4"), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_four_bits_are_for_the_language_part_only(pocket_base: Path) -> None:
    from transformers.quantizers.quantizers_utils import should_convert_module

    config = transformers.AutoConfig.from_pretrained(pocket_base)
    with torch.device("meta"):
        model = transformers.AutoModelForImageTextToText.from_config(config)
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    converted = [name for name in linear if should_convert_module(name, [NOT_QUANTISED])]
    assert converted == [name for name in linear if name.startswith("model.language_model.")]
    assert 0 < len(converted) < len(linear) - 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"visoin": 1e-4}, "rates: key 'visoin': expected one of projector, vision"),
        ({"vision": "1e-4"}, r"rates: vision: .*YAML reads 1e-3 as text: write 1\.0e-3"),
        ({"projector": 0}, r"rates: projector: expected a number above 0 and at most 1, got 0"),
    ],
)
def test_wrong_rates_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_learning_rates("rates", given)
