"""Which adapters vLLM would apply whole, told from their files alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from boxlist.errors import InputError
from boxlist.models.vllm.adapters import rank_for

if TYPE_CHECKING:
    from pathlib import Path

QUERY = "base_model.model.model.language_model.layers.0.self_attn.q_proj"


def adapter(folder: Path, *, rank: int = 4, module: str = QUERY, suffix: str = "weight", **config: Any) -> Path:
    weights = {f"{module}.lora_A.{suffix}": torch.zeros(rank, 6), f"{module}.lora_B.{suffix}": torch.zeros(6, rank)}
    save_file(weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "bias": "none", "r": 2, **config}))
    return folder


@pytest.mark.parametrize(("rank", "room"), [(1, 1), (2, 8), (8, 8), (9, 16), (33, 64), (512, 512)])
def test_room_is_made_for_the_rank_of_the_weights(tmp_path: Path, rank: int, room: int) -> None:
    """Whatever the configuration says: patterns may give modules ranks of their own."""
    assert rank_for(adapter(tmp_path, rank=rank)) == room


@pytest.mark.parametrize(
    ("changes", "got"),
    [
        ({"peft_type": "IA3"}, "expected LORA, got IA3"),
        (
            {"use_dora": True},
            "expected plain LoRA weights, which is what vLLM applies, got use_dora in its adapter_config",
        ),
        ({"modules_to_save": ["lm_head"]}, "got modules_to_save in its adapter_config.json. Use boxlist_hf."),
        ({"bias": "all"}, "got bias in its adapter_config.json."),
        ({"rank": 513}, "expected a rank from 1 to 512, which is what vLLM applies, got 513."),
        (
            {"module": "base_model.model.model.visual.blocks.0.attn.qkv"},
            "language model only, which is what vLLM applies",
        ),
        ({"suffix": "bias"}, "expected LoRA weights in the language model only"),
    ],
    ids=str,
)
def test_what_vllm_would_leave_out_is_refused(tmp_path: Path, changes: dict[str, Any], got: str) -> None:
    with pytest.raises(InputError) as caught:
        rank_for(adapter(tmp_path, **changes))
    assert got in str(caught.value)


def test_a_file_that_is_no_safetensors(tmp_path: Path) -> None:
    (adapter(tmp_path) / "adapter_model.safetensors").write_bytes(b"\x80\x04pickle")
    with pytest.raises(InputError, match="expected safetensors, which is what vLLM applies, got"):
        rank_for(tmp_path)
