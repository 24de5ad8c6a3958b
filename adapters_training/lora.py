"""Where LoRA goes in a model: the modules that a pattern matches, checked, counted, and given their pairs."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.optimizers import LANGUAGE, PROJECTOR, VISION
from boxlist.adapters_training.recipe import ALL
from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from boxlist.adapters_training.recipe import Recipe

_PROJECTORS = re.compile(r"projector|projection|merger|embed_vision|embed_audio")
# Name parts of modules that see or hear. Their leaves are often named as those of the language part.
_SENSES = re.compile(r"vision|visual|image|audio|projector|projection|multi_?modal|siglip|vit\b", re.IGNORECASE)
# A name in a pattern that ends an alternative: `(q_proj|v_proj)` holds q_proj and v_proj.
_PATTERN_NAMES = re.compile(r"(?<![\\\w])([A-Za-z_]\w*)(?=[|)]|$)")


class Targets(NamedTuple):
    """The modules that get a LoRA pair: their whole names, how many of each leaf name, and what a rank costs."""

    modules: tuple[str, ...]
    counts: dict[str, int]
    parameters_per_rank: int


def matched_targets(model: Any, pattern: str, where: str = "targets") -> Targets:
    """Find the linear modules whose whole name matches.

    Raises `InputError` when nothing matches, when a name that the pattern lists matches nothing, when a match is no
    linear layer, or when one lies outside the language part: there LoRA would silently train the eyes.
    """
    import torch

    found = {name: module for name, module in model.named_modules() if re.fullmatch(pattern, name)}
    parts = {part for name in found for part in name.split(".")}
    missing = [name for name in _PATTERN_NAMES.findall(pattern) if name not in parts]
    if missing or not found:
        raise InputError(
            where,
            expected=f"at least one module for {missing[0] if missing else pattern[:120]!r}",
            got=f"none among {len(found)} that match" if missing else "none",
            remedy="Name the modules as the model does: print(model) shows them.",
        )
    inside = {id(module) for module in model.get_decoder().modules()}
    for name, module in found.items():
        if id(module) not in inside or _SENSES.search(name):
            raise InputError(
                where,
                expected="modules of the language part only",
                got=name,
                remedy=r"Begin the pattern with .*\.language_model\. so that it stays there.",
            )
        if not isinstance(module, torch.nn.Linear):
            raise InputError(
                where, expected="linear layers", got=f"{name} ({type(module).__name__})", remedy="Narrow the pattern."
            )
    return _targets(found)


def _targets(found: Mapping[str, Any]) -> Targets:
    cost = sum(module.in_features + module.out_features for module in found.values())
    return Targets(tuple(found), dict(sorted(Counter(name.rpartition(".")[2] for name in found).items())), cost)


def all_linear(model: Any) -> Targets:
    """Every linear layer of every part, but the one that gives the logits."""
    import torch

    head = model.get_output_embeddings()
    found = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    return _targets(found)


def parts_of(model: Any, names: Iterable[str]) -> dict[str, str]:
    """`language`, `vision` or `projector` (what leads from the one to the other) for modules or pairs, by their names.

    `model` is the base; names may have more in front, as PEFT's have.
    """
    decoder = model.get_decoder()
    inside = next(f".{name}." for name, found in model.named_modules() if found is decoder)
    return {
        name: LANGUAGE if inside in f".{name}" else PROJECTOR if _PROJECTORS.search(name) else VISION for name in names
    }


def attach_lora(model: Any, recipe: Recipe, revision: str | None = None) -> tuple[Any, Targets]:
    """Freeze the model and give every target a LoRA pair; returns the PEFT model and its targets.

    What is trainable afterwards must be those pairs and nothing else, to the last parameter.
    """
    import peft

    where = f"base {recipe.base}: targets {recipe.targets!r}"
    every = recipe.targets == ALL
    targets = all_linear(model) if every else matched_targets(model, recipe.target_pattern, where)
    config = peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=list(targets.modules) if every else recipe.target_pattern,
        bias="none",
        revision=revision,
    )
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 by a property's old name
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        adapted = peft.get_peft_model(model, config)
    trainable = {name: weight for name, weight in adapted.named_parameters() if weight.requires_grad}
    strange = [name for name in trainable if ".lora_A." not in name and ".lora_B." not in name]
    count = sum(weight.numel() for weight in trainable.values())
    expected = recipe.rank * targets.parameters_per_rank
    if strange or count != expected:
        raise AssertionError(f"LoRA trains {count} parameters where {expected} were due; not LoRA: {strange[:3]}")
    return adapted, targets
