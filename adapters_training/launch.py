"""How `accelerate launch` spreads a training: over how many processes, and whether they share out the weights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.optimizers import optimizer_here
from boxlist.errors import InputError

if TYPE_CHECKING:
    from boxlist.adapters_training.recipe import Recipe
    from boxlist.processes import Processes

# What accelerate sets for its processes.
_SHARDING = {"ACCELERATE_USE_FSDP": "fsdp", "ACCELERATE_USE_DEEPSPEED": "deepspeed"}
_MIXED_PRECISION = "ACCELERATE_MIXED_PRECISION"
_FSDP_STATE = "FSDP_STATE_DICT_TYPE"
_WHOLE = "FULL_STATE_DICT"
_CONFIGS = "Use a file of adapters_training/accelerate."


def sharding() -> str:
    """`fsdp` or `deepspeed` where processes share out the weights between them, `none` where each has all."""
    chosen = [name for variable, name in _SHARDING.items() if os.environ.get(variable, "").lower() == "true"]
    return chosen[0] if chosen else "none"


def launch_plan(recipe: Recipe, processes: Processes) -> dict[str, Any]:
    """What of the launch decides the adapter, for the plan of a training under way."""
    return {
        "processes": processes.count,
        "samples_per_step": recipe.batch_size * recipe.accumulation * processes.count,
        "sharding": sharding(),
    }


def refuse_unfit_launch(recipe: Recipe, processes: Processes) -> None:
    """Raise `InputError` for a launch with which this recipe would train another thing than it says, or not at all."""
    import torch

    if processes.count == 1 and torch.cuda.device_count() > 1:
        found = torch.cuda.device_count()
        raise InputError(
            "training",
            expected="one process a GPU",
            got=f"one process and {found} GPUs",
            remedy=f'Run accelerate launch --num_processes {found} "$(which boxlist)" train ..., '
            "or set CUDA_VISIBLE_DEVICES=0.",
        )
    own = "bf16" if recipe.dtype == "bfloat16" else "no"
    mixed = os.environ.get(_MIXED_PRECISION, "no")
    if processes.count > 1 and mixed not in {"no", own}:
        raise InputError(
            "accelerate launch: mixed_precision",
            expected=f"no, since the recipe says dtype: {recipe.dtype}",
            got=mixed,
            remedy=_CONFIGS,
        )
    if sharding() == "fsdp" and os.environ.get(_FSDP_STATE, "") != _WHOLE:
        raise InputError(
            "accelerate launch: fsdp_state_dict_type",
            expected=f"{_WHOLE}, or checkpoints hold no adapter",
            got=os.environ.get(_FSDP_STATE, "none"),
            remedy=_CONFIGS,
        )
    if sharding() != "none" and recipe.evaluate is not None:
        raise InputError(
            f"accelerate launch: {sharding()}",
            expected="a recipe without evaluate",
            got=f"one that asks every {recipe.evaluate.every} steps",
            remedy="Use adapters_training/accelerate/ddp.yaml, or evaluate the finished adapter.",
        )
    if sharding() != "none" and (recipe.quantisation != "none" or optimizer_here(recipe) != "adamw_torch"):
        raise InputError(
            f"accelerate launch: {sharding()}",
            expected="quantisation: none and optimizer: adamw_torch",
            got=f"{recipe.quantisation} and {recipe.optimizer}",
            remedy="bitsandbytes' numbers cannot be shared out: use adapters_training/accelerate/ddp.yaml.",
        )
