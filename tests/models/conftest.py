"""A tiny Qwen3-VL, trained here in seconds to recite lists by heart, so that repeats come for certain; a server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lmms_eval.api.instance import Instance

    from boxlist.models.hf import BoxlistHF

SCENES = 12
BUDGET = 2
MOST_STEPS = 300
RATE = 5e-3
LEARNT = 0.01


class Recitations(NamedTuple):
    """The checkpoint, and what it answers to each prompt, budget's sentence included."""

    folder: Path
    answers: dict[str, str]


def recited_lists() -> dict[str, str]:
    """Prompt to answer: lists of 2 to 5 records out of 6, so that most repeat; some fenced, some within a budget."""
    rng = np.random.default_rng(5)
    lists = {}
    for scene in range(SCENES):
        picks = rng.integers(0, 6, size=2 + scene % 4).tolist() if scene else [0, 1, 2]
        lists[f"Scene {scene}."] = _written(picks, fenced=scene % 4 == 3)
        if scene < 4:
            lists[f"Scene {scene}. Return at most {BUDGET} objects."] = _written(picks[:BUDGET], fenced=False)
    return lists


def _written(picks: Sequence[int], *, fenced: bool) -> str:
    labels = ("red circle", "blue star", "green cross")
    records = [f'{{"bbox_2d": [{i}, {9 - i}, {10 + i}, {20 + 7 * i}], "label": "{labels[i % 3]}"}}' for i in picks]
    text = "[" + ", ".join(records) + "]"
    return f"```json\n{text}\n```" if fenced else text


@pytest.fixture(scope="session")
def recitations(pocket_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Recitations:
    """A checkpoint folder with the pocket's processor and a model of 0.3M parameters that knows `recited_lists`."""
    import torch
    from transformers import AutoConfig, AutoProcessor, Qwen3VLForConditionalGeneration

    processor = AutoProcessor.from_pretrained(pocket_base)
    processor.image_processor.size = {"shortest_edge": 32 * 32, "longest_edge": 32 * 32}  # one token an image
    config = AutoConfig.from_pretrained(pocket_base)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 64, 128, 2
    text.num_attention_heads = text.num_key_value_heads = 2
    vision.depth, vision.hidden_size, vision.intermediate_size, vision.num_heads, vision.out_hidden_size = (
        1,
        64,
        64,
        2,
        64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen3VLForConditionalGeneration(config).float()
    inputs, labels = _lesson(processor, recited_lists())
    weights = [weight for name, weight in model.named_parameters() if "visual" not in name]
    optimizer = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    for step in range(MOST_STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 10) * (1 - step / MOST_STEPS)
        loss = model(**inputs, labels=labels).loss
        if loss.item() < LEARNT:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < LEARNT, f"the reciting model did not learn its lists: loss {loss.item():.3f}"
    folder = tmp_path_factory.mktemp("reciting_model")
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return Recitations(folder, recited_lists())


def _lesson(processor: Any, lists: dict[str, str]) -> tuple[dict[str, Any], Any]:
    conversations = [_conversation(prompt) for prompt in lists]
    prompts = processor.apply_chat_template(conversations, add_generation_prompt=True)
    image = Image.new("RGB", (224, 224), "white")
    end = processor.tokenizer.eos_token
    inputs = processor(
        text=[prompt + answer + end for prompt, answer in zip(prompts, lists.values(), strict=True)],
        images=[[image]] * len(lists),
        padding=True,
        padding_side="right",
        return_tensors="pt",
    )
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    for row, prompt in enumerate(prompts):
        length = len(processor(text=[prompt], images=[image])["input_ids"][0])
        labels[row, :length] = -100
    return inputs, labels


def _conversation(prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]


@pytest.fixture(scope="session")
def recite(recitations: Recitations) -> BoxlistHF:
    """The reciting model behind `boxlist_hf`; tests set its batch size."""
    from boxlist.models.hf import BoxlistHF

    return BoxlistHF(str(recitations.folder), device="cpu")


@pytest.fixture(scope="session")
def pocket(pocket_base: Path) -> BoxlistHF:
    """The pocket base behind `boxlist_hf`; tests set its batch size."""
    from boxlist.models.hf import BoxlistHF

    return BoxlistHF(str(pocket_base), device="cpu")


@pytest.fixture
def ask() -> Callable[..., list[Instance]]:
    """Give a model documents and requests: `ask(model, [(prompt, generation kwargs, task), ...])`."""
    return _ask


def _ask(model: BoxlistHF, asked: Sequence[tuple[str, dict[str, Any], str]]) -> list[Instance]:
    from lmms_eval.api.instance import Instance

    documents: dict[str, list[dict[str, Any]]] = {}
    requests = []
    for prompt, kwargs, task in asked:
        rows = documents.setdefault(task, [])
        requests.append(
            Instance(
                request_type="generate_until",
                arguments=(prompt, _doc_to_messages, dict(kwargs), len(rows), task, "test"),
                idx=0,
                metadata={"task": task, "doc_id": len(rows), "repeats": 1},
            )
        )
        rows.append({"prompt": prompt, "image": Image.new("RGB", (224, 224), "white")})
    model.task_dict = {task: {"test": rows} for task, rows in documents.items()}
    return requests


def _doc_to_messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    content = [{"type": "image", "url": document["image"]}, {"type": "text", "text": document["prompt"]}]
    return [{"role": "user", "content": content}]


class Served(NamedTuple):
    """A running `transformers serve`, which loads the checkpoint folder that `model=` names."""

    base_url: str


@pytest.fixture(scope="session")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real server of transformers on a free port, in a process of its own, on the CPU in float32."""
    folder = tmp_path_factory.mktemp("transformers_serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1", "--port", str(port)]
    cache = folder / "hub"
    cache.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(cache)}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*words, "--device", "cpu", "--dtype", "float32"], env=environment, stdout=log, stderr=log
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/health", process, folder / "log")
            yield Served(f"http://127.0.0.1:{port}/v1")
        finally:
            process.terminate()
            process.wait(timeout=60)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    while process.poll() is None:
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            try:
                process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                continue
    pytest.fail(f"transformers serve did not start: {log.read_text()[-2000:]}")
