"""Launches that would train another thing than the recipe says are refused."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.adapters_training.held_out import Evaluate
from boxlist.adapters_training.launch import launch_plan, refuse_unfit_launch, sharding
from boxlist.errors import InputError
from boxlist.processes import Processes

if TYPE_CHECKING:
    from boxlist.adapters_training.recipe import Recipe

TWO = Processes(0, 2)
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"}


@pytest.mark.parametrize(
    ("environment", "changes"),
    [
        ({}, {}),
        ({}, {"quantisation": "nf4"}),
        ({"ACCELERATE_MIXED_PRECISION": "bf16"}, {"dtype": "bfloat16"}),
        (FSDP, {}),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, {}),
    ],
)
def test_fitting_launches_pass(
    small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], changes: dict[str, Any]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refuse_unfit_launch(dataclasses.replace(small_recipe, **changes), TWO)


@pytest.mark.parametrize(
    ("environment", "changes", "message"),
    [
        (
            {"ACCELERATE_MIXED_PRECISION": "bf16"},
            {},
            (
                "accelerate launch: mixed_precision: expected no, since the recipe says dtype: float32, got bf16. "
                "Use a file of adapters_training/accelerate."
            ),
        ),
        (
            {**FSDP, "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT"},
            {},
            (
                "accelerate launch: fsdp_state_dict_type: expected FULL_STATE_DICT, or checkpoints hold no adapter, "
                "got SHARDED_STATE_DICT. Use a file of adapters_training/accelerate."
            ),
        ),
        (
            FSDP,
            {"evaluate": Evaluate(every=2, images=4)},
            (
                "accelerate launch: fsdp: expected a recipe without evaluate, got one that asks every 2 steps. "
                "Use adapters_training/accelerate/ddp.yaml, or evaluate the finished adapter."
            ),
        ),
        (
            FSDP,
            {"quantisation": "nf4"},
            (
                "accelerate launch: fsdp: expected quantisation: none and optimizer: adamw_torch, got nf4 and "
                "adamw_torch. bitsandbytes' numbers cannot be shared out: use adapters_training/accelerate/ddp.yaml."
            ),
        ),
    ],
)
def test_unfit_launches_are_refused(
    small_recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    changes: dict[str, Any],
    message: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as caught:
        refuse_unfit_launch(dataclasses.replace(small_recipe, **changes), TWO)
    assert str(caught.value) == message


def test_one_process_is_not_given_several_gpus(small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    refuse_unfit_launch(small_recipe, TWO)
    with pytest.raises(InputError, match=r'accelerate launch --num_processes 4 "\$\(which boxlist\)" train'):
        refuse_unfit_launch(small_recipe, Processes())


def test_the_plan_says_what_of_the_launch_decides(small_recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    assert launch_plan(small_recipe, Processes()) == {"processes": 1, "samples_per_step": 2, "sharding": "none"}
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    assert sharding() == "deepspeed"
    accumulated = dataclasses.replace(small_recipe, accumulation=3)
    assert launch_plan(accumulated, TWO) == {"processes": 2, "samples_per_step": 12, "sharding": "deepspeed"}
