"""What only `boxlist_vllm` must show, on the real engine: adapters, sampling, its own penalty, limits, run folders.

Collected where vLLM is installed: `make test-vllm`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from boxlist.cli import main
from boxlist.errors import InputError
from boxlist.tasks.datasets.shapes import draw_scene, render
from boxlist.tasks.probes import probe_named, render_prompt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.models.hf import BoxlistHF

    from ..conftest import Recitations
    from .conftest import LoadModel


@pytest.fixture(scope="module")
def noisy_adapter(pocket_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of rank 12, which is none of vLLM's own, full of seeded noise."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    folder = tmp_path_factory.mktemp("noisy_adapter")
    model = AutoModelForImageTextToText.from_pretrained(pocket_base, dtype=torch.float32)
    targets = r".*language_model.*\.(q_proj|v_proj|down_proj)"
    get_peft_model(model, LoraConfig(r=12, lora_alpha=24, target_modules=targets)).save_pretrained(folder)
    weights = load_file(folder / "adapter_model.safetensors")
    generator = torch.Generator().manual_seed(4)
    noise = {name: torch.randn(weight.shape, generator=generator) * 0.05 for name, weight in weights.items()}
    save_file(noise, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(3)
    return [Image.fromarray(render(draw_scene(rng, 3 + number))) for number in range(3)]


def test_an_adapter_and_a_protocol_in_resized_pixels(
    load_hf: LoadModel,
    load_vllm: LoadModel,
    pocket_base: Path,
    noisy_adapter: Path,
    pictures: list[Image.Image],
    answers: Callable[..., list[Any]],
) -> None:
    prompt = render_prompt(probe_named("boxlist_dense_bbox_shapes").prompt, load_hf(pocket_base).protocol)
    rows = [(prompt, {"max_new_tokens": 48}, "a") for _ in pictures]
    plain = answers(load_hf(pocket_base), rows, pictures)
    arguments = {"adapter": str(noisy_adapter), "protocol": "resized_pixel_xyxy"}
    sizes = [pictures[0], pictures[1].crop((0, 0, 224, 100)), pictures[2].resize((448, 112))]
    expected, found = (answers(load(pocket_base, **arguments), rows, sizes) for load in (load_hf, load_vllm))
    assert found == expected
    assert [answer.text for answer in found] != [answer.text for answer in plain]
    assert len({answer.frame_wh_px for answer in found}) >= 2


def test_a_penalty_sees_prompt_and_answer_as_in_boxlist_hf(
    load_vllm: LoadModel, recite: BoxlistHF, recitations: Recitations, answers: Callable[..., list[Any]]
) -> None:
    recite.batch_size = 1
    rows = [
        (prompt, {"max_new_tokens": 60, "repetition_penalty": penalty}, "a")
        for prompt in list(recitations.answers)[:4]
        for penalty in (1.05, 1.3, 5.0)
    ]
    model = load_vllm(recitations.folder)
    expected, found = answers(recite, rows), answers(model, rows)
    assert found == expected
    assert len({answer.text for answer in found}) >= 8
    sampled = [(prompt, {"max_new_tokens": 30, "temperature": 2.0}, "a") for prompt in list(recitations.answers)[:4]]
    first, again = answers(model, sampled), answers(model, sampled)
    assert first == again, "each question draws from a seed of its own"
    other = answers(model, [(prompt, {**kwargs, "seed": 1}, task) for prompt, kwargs, task in sampled])
    assert [answer.text for answer in other] != [answer.text for answer in first]


def test_an_answer_that_the_engine_has_no_room_for(
    load_vllm: LoadModel, recitations: Recitations, answers: Callable[..., list[Any]]
) -> None:
    model = load_vllm(recitations.folder, max_model_len=64)
    prompt = list(recitations.answers)[-1]
    with pytest.raises(InputError, match=r"room for 200 tokens behind the prompt, got an engine that was full after"):
        answers(model, [(prompt, {"max_new_tokens": 200}, "a")])
    with pytest.raises(InputError, match=r"a, document 0: expected what vLLM takes, got .*64.*Change it, or use"):
        answers(model, [("Scene 1. " * 60, {"max_new_tokens": 4}, "a")])
    assert answers(model, [(prompt, {"max_new_tokens": 4}, "a")])[0].tokens == 4


@pytest.mark.parametrize(
    ("arguments", "got"),
    [({"max_model_len": 10**6}, "max_model_len"), ({"quantization": "none-such"}, "quantization")],
)
def test_an_engine_that_cannot_start(
    load_vllm: LoadModel, recitations: Recitations, arguments: dict[str, Any], got: str
) -> None:
    with pytest.raises(InputError) as caught:
        load_vllm(recitations.folder, **arguments)
    assert got in caught.value.got


def test_a_run_folder(
    load_vllm: LoadModel, pocket_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows that say what the answers depend on are those of `boxlist_hf`."""
    arguments = f"pretrained={pocket_base},protocol=norm1000_xyxy"
    small = ",gpu_memory_utilization=0.05,max_model_len=2048,enforce_eager=true"
    for model, more in (("boxlist_vllm", small), ("boxlist_hf", ",device=cpu")):
        words = ["run", "--model", model, "--model-args", arguments + more, "--out", str(tmp_path), "--name", model]
        words += ["--tasks", "boxlist_dense_bbox_shapes", "--limit", "3", "--max-new-tokens", "24"]
        assert main(["--debug", *words, "--controls", "repeat_stop"]) == 0
    runs = {name: json.loads((tmp_path / name / "run.json").read_text()) for name in ("boxlist_vllm", "boxlist_hf")}
    theirs, ours = runs["boxlist_vllm"], runs["boxlist_hf"]
    for row in ("base", "adapter", "dtype", "dtype_used", "protocol", "controls", "tasks", "code"):
        assert theirs[row] == ours[row]
    assert theirs["options"] == {"max_model_len": 2048}
    texts = [
        [json.loads(line)["text"] for line in (tmp_path / name / "answers.jsonl").read_text().splitlines()]
        for name in runs
    ]
    assert sorted(texts[0]) == sorted(texts[1])
    capsys.readouterr()
