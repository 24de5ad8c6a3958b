"""Model arguments of `boxlist_vllm`: what is read and handed on, and what is refused before anything is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.models import MODELS
from boxlist.models.generation import read_generation_kwargs
from boxlist.models.vllm.arguments import ENGINE_ARGUMENTS, Setting, read_setting, sampling_fields

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_given_is_read_and_the_rest_has_defaults() -> None:
    assert read_setting({"pretrained": "org/model", "adapter": None, "protocol": "pixel_xyxy"}) == Setting("org/model")
    texts = {"tensor_parallel_size": "2", "enforce_eager": "True", "gpu_memory_utilization": "0.5", "concurrency": "8"}
    ray = {"data_parallel_size": 4, "data_parallel_backend": "ray", "data_parallel_address": "10.0.0.1"}
    setting = read_setting({"pretrained": "m", "adapter": "a", "dtype": "bfloat16", **texts, **ray})
    assert setting == Setting(
        "m",
        adapter="a",
        dtype="bfloat16",
        concurrency=8,
        engine={"tensor_parallel_size": 2, "enforce_eager": True, "gpu_memory_utilization": 0.5, **ray},
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pretrained": ""}, "boxlist_vllm: expected pretrained=CHECKPOINT, got none. Give a folder or a hub id."),
        ({"tensor_parallel": 2}, "Did you mean tensor_parallel_size"),
        ({"device": "cpu"}, "model argument 'device': expected one of adapter, adapter_revision, attention_backend,"),
        ({"tensor_parallel_size": 0}, "model argument tensor_parallel_size: expected a whole number from 1 to 4096,"),
        ({"data_parallel_size": "two"}, "data_parallel_size: expected a whole number from 1 to 4096, got 'two'."),
        ({"data_parallel_size": 1.5}, "got 1.5. Correct it, or leave it out."),
        ({"data_parallel_rpc_port": 70000}, "expected a whole number from 1 to 65535, got 70000."),
        ({"gpu_memory_utilization": 1.2}, "gpu_memory_utilization: expected a number above 0, at most 1, got 1.2."),
        ({"gpu_memory_utilization": "nan"}, "got 'nan'."),
        ({"enforce_eager": "yes"}, "enforce_eager: expected true or false, got 'yes'."),
        ({"trust_remote_code": 2}, "trust_remote_code: expected true or false, got 2."),
        ({"distributed_executor_backend": "slurm"}, "expected mp or ray or uni, got 'slurm'."),
        ({"data_parallel_backend": "uni"}, "data_parallel_backend: expected mp or ray, got 'uni'."),
        ({"master_addr": "a b"}, "master_addr: expected a name or an address, got 'a b'."),
        ({"concurrency": 0}, "concurrency: expected a whole number from 1 to 65536, got 0."),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_setting({"pretrained": "m", **arguments})
    assert message in str(caught.value)


def test_what_steers_an_answer_is_an_option_of_the_run() -> None:
    """Such a change refuses to reuse answers; how the engine is spread over machines does not."""
    options = ENGINE_ARGUMENTS.keys() - MODELS["boxlist_vllm"].no_option
    assert options == {"attention_backend", "kv_cache_dtype", "max_model_len", "quantization"}


def test_greedy_is_greedy_and_sampling_is_seeded() -> None:
    assert sampling_fields(read_generation_kwargs({"max_new_tokens": 9, "top_k": 5}), 7) == {
        "max_tokens": 9,
        "temperature": 0.0,
    }
    sampled = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.05, "max_new_tokens": 9}
    assert sampling_fields(read_generation_kwargs(sampled), 7) == {
        "max_tokens": 9, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "seed": 7, "repetition_penalty": 1.05,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["num_beams", "no_repeat_ngram_size"])
def test_what_vllm_has_not(name: str) -> None:
    with pytest.raises(InputError) as caught:
        sampling_fields(read_generation_kwargs({name: 3}))
    assert str(caught.value) == (
        f"boxlist_vllm: {name}: expected options that servers have, got one that none has. "
        f"Leave {name} out, or use boxlist_hf."
    )


def test_without_vllm_it_says_where_to_install_it(pocket_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from boxlist.models.vllm import engine, model

    monkeypatch.setattr(engine, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"boxlist_vllm: expected vLLM installed, got nothing. Install it, and"):
        model.BoxlistVLLM(pretrained=str(pocket_base))
    monkeypatch.setattr(engine, "find_spec", lambda name: None if name == "ray" else object())
    with pytest.raises(InputError, match=r"boxlist_vllm with ray: expected Ray installed, got nothing. Run: pip"):
        model.BoxlistVLLM(pretrained=str(pocket_base), distributed_executor_backend="ray")
    with pytest.raises(InputError, match=r"boxlist_vllm: batch_size: expected 1, got 4. concurrency= says how many"):
        model.BoxlistVLLM(pretrained=str(pocket_base), batch_size=4)
