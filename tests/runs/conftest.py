"""The pocket checkpoint under `boxlist run`, in this process and in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Start = Callable[..., AbstractContextManager[subprocess.Popen[str]]]

DENSE, INVENTORY = "boxlist_dense_bbox_shapes", "boxlist_inventory_shapes"
BOXLIST = str(Path(sys.executable).with_name("boxlist"))
TOKENS = "48"


@pytest.fixture(scope="session")
def run_words(pocket_base: Path) -> Callable[..., list[str]]:
    """`run_words(out, name, *more)`: the words of a short `boxlist run`; later options win over earlier ones."""

    def words(out: Path, name: str, *more: str) -> list[str]:
        model = ["--model-args", f"pretrained={pocket_base},device=cpu", "--tasks", DENSE]
        return ["run", *model, "--out", str(out), "--name", name, "--limit", "8", "--max-new-tokens", TOKENS, *more]

    return words


@pytest.fixture(scope="session")
def start() -> Start:
    """Start `boxlist` in a process of its own, which a test that fails does not leave behind."""

    @contextmanager
    def popen(words: list[str]) -> Iterator[subprocess.Popen[str]]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            [BOXLIST, *words], env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            try:
                yield process
            except BaseException:
                process.kill()
                raise

    return popen


@pytest.fixture(scope="session")
def unbroken(
    tmp_path_factory: pytest.TempPathFactory,
    run_words: Callable[..., list[str]],
    start: Start,
) -> Path:
    """The folder of a run of eight images that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs")
    with start(run_words(out, "unbroken")) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    return out / "unbroken"


@pytest.fixture(scope="session")
def random_adapter(pocket_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of rank 2 for the pocket base, as PEFT writes one: untrained, and without provenance."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    from boxlist.adapters_training.recipe import TARGETS

    folder = tmp_path_factory.mktemp("adapters") / "random"
    model = AutoModelForImageTextToText.from_pretrained(pocket_base, dtype=torch.float32)
    lora = LoraConfig(r=2, target_modules=TARGETS["qv"], init_lora_weights=False)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PEFT asks transformers for a name that is going
        torch.manual_seed(0)
        get_peft_model(model, lora).save_pretrained(folder)
    return folder
