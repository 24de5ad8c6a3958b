"""The optimizer of a training: which one there is on this machine, and a learning rate for each part of the model."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.rules import Rule, checked_values
from boxlist.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.adapters_training.recipe import Recipe

LANGUAGE, VISION, PROJECTOR = "language", "vision", "projector"
PLAIN = "adamw_torch"
PAGED = "paged_adamw_8bit"
OPTIMIZERS = (PLAIN, PAGED)
_RATE = Rule(float, "a number above 0 and at most 1", lambda value: 0 < value <= 1)
RULES: dict[str, Rule] = {VISION: _RATE, PROJECTOR: _RATE}


@dataclass(frozen=True)
class LearningRates:
    """`learning_rates` of a recipe: what a part learns with where that is not `learning_rate`."""

    vision: float | None = None
    projector: float | None = None


def read_learning_rates(where: str, given: Mapping[Any, Any]) -> LearningRates:
    """The option of a recipe, checked."""
    return LearningRates(**checked_values(where, given, RULES))


def optimizer_here(recipe: Recipe) -> str:
    """The recipe's optimizer, or plain AdamW where there is no GPU to page from; provenance records which it was."""
    import torch

    return recipe.optimizer if torch.cuda.is_available() else PLAIN


def refuse_missing_library(recipe: Recipe) -> None:
    """Raise `MissingExtraError` where the recipe needs bitsandbytes on this machine and it is not installed."""
    needed = recipe.quantisation != "none" or optimizer_here(recipe) == PAGED
    if needed and importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes", "qlora")


def part_optimizer(model: Any, recipe: Recipe, arguments: Any) -> Any:
    """An optimizer with a group for each part of the PEFT model; None where one rate holds for all, so that Trainer
    makes its own."""
    if recipe.learning_rates is None:
        return None
    from transformers import Trainer

    from boxlist.adapters_training.lora import parts_of

    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    rates = {LANGUAGE: None, VISION: recipe.learning_rates.vision, PROJECTOR: recipe.learning_rates.projector}
    groups: dict[str, list[Any]] = {part: [] for part in rates}
    for name, part in parts_of(model.get_base_model(), trainable).items():
        groups[part].append(trainable[name])
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    return kind(
        [
            {"params": weights, "lr": rates[part] or recipe.learning_rate, "weight_decay": recipe.weight_decay}
            for part, weights in groups.items()
            if weights
        ],
        **options,
    )
