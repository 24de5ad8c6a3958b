"""Training with the real Trainer on the pocket checkpoint: the loss, resuming, stopping, and what is written."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from boxlist.adapters_training.provenance import PROVENANCE_FILE, check_adapter, read_provenance
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.errors import InputError
from boxlist.models.loading import base_identity, load_processor_and_model
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from boxlist.adapters_training.train import TrainedAdapter
    from boxlist.tasks.datasets.split_folder import Document

TASK = "boxlist_dense_bbox_shapes"


class Killed(BaseException):
    """What a `kill -9` looks like from inside: nothing is tidied up."""


class At(io.StringIO):
    """A progress stream that does something when a line says `words`."""

    def __init__(self, words: str, act: Callable[[], None]) -> None:
        super().__init__()
        self.words, self.act = words, act

    def write(self, text: str) -> int:
        if self.words in text:
            self.act()
        return super().write(text)


def kill() -> None:
    raise Killed


def adapter_bytes(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_a_tiny_set_is_learnt(train_small: Callable[..., TrainedAdapter], tmp_path: Path) -> None:
    found = train_small(tmp_path / "a", steps=16, batch_size=4, rank=16, learning_rate=1e-2, dtype="bfloat16")
    assert len(found.losses) == 16
    assert sum(found.losses[-3:]) < 0.9 * sum(found.losses[:3])


def test_the_adapter_is_whole_and_nothing_else_is_left(trained: TrainedAdapter) -> None:
    assert sorted(adapter_bytes(trained.folder)) == [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "adapter_provenance.json",
        "losses.json",
    ]
    assert [path.name for path in trained.folder.parent.iterdir()] == [trained.folder.name]
    assert json.loads((trained.folder / "losses.json").read_text())["loss_per_step"] == trained.losses
    card = (trained.folder / "README.md").read_text()
    assert 'base_model: "pocket:qwen3vl"' in card
    assert 'base_model_relation: "adapter"' in card


def test_the_adapter_changes_what_the_base_says(trained: TrainedAdapter, pocket_base: Path) -> None:
    _, base = load_processor_and_model(str(pocket_base), device="cpu")
    _, adapted = load_processor_and_model(str(pocket_base), str(trained.folder), device="cpu")
    tokens = torch.arange(3, 30)[None]
    with torch.no_grad():
        apart = (base(input_ids=tokens).logits - adapted(input_ids=tokens).logits).abs().max()
    assert float(apart) > 1e-4


def test_the_provenance_says_how_it_was_made(trained: TrainedAdapter, shapes: list[Document]) -> None:
    record = read_provenance(trained.folder)
    assert record == trained.provenance
    assert record is not None
    layers = record.training["matched_modules"]["q_proj"]
    assert record.training["matched_modules"] == dict.fromkeys(["k_proj", "o_proj", "q_proj", "v_proj"], layers)
    weights = load_file(trained.folder / WEIGHTS_FILE)
    assert record.training["trainable_parameters"] == sum(tensor.numel() for tensor in weights.values())
    assert record.training["loss_normalisation"].startswith("tokens:")
    assert record.training["end_of_turn"] == "<|im_end|>"
    assert record.training["last_loss"] == trained.losses[-1]
    assert record.recipe["rank"] == 4
    assert record.prompt["template"] == probe_named(TASK).prompt
    assert [image["sha256"] for image in record.data["images"]] == [document["sha256"] for document in shapes[:8]]


def test_an_evaluation_that_fits_passes_and_training_images_are_refused(
    trained: TrainedAdapter, shapes: list[Document], pocket_base: Path
) -> None:
    fitting: dict[str, Any] = {
        "base_identity": base_identity(pocket_base),
        "protocol": "norm1000_xyxy",
        "prompts": {TASK: probe_named(TASK).prompt},
        "evaluation_images": {document["sha256"]: document["file"] for document in shapes[8:]},
    }
    assert check_adapter(trained.folder, **fitting) == []
    images = {document["pixels_sha256"]: Path(document["file"]).name for document in shapes}
    with pytest.raises(InputError, match=r"overlap: 8 evaluation images .*0001\.png, 0002\.png, 0003\.png and 5 more"):
        check_adapter(trained.folder, **{**fitting, "evaluation_images": images})


def test_a_training_killed_at_a_random_step_resumes_to_the_same_bytes(
    trained: TrainedAdapter, train_small: Callable[..., TrainedAdapter], draw: np.random.Generator, tmp_path: Path
) -> None:
    out, step = tmp_path / "killed", int(draw.integers(1, 5))
    with pytest.raises(Killed):
        train_small(out, progress=At(f"train {step}/4", kill))
    assert not out.exists()
    work = tmp_path / "killed.training"
    assert [path.parent.name for path in work.glob("*/optimizer.pt")] == (["checkpoint-2"] if step > 2 else [])
    (work / f"checkpoint-{step}").mkdir()  # a half-written one
    with pytest.raises(InputError, match=r"killed.training: expected no training under way"):
        train_small(out)
    with pytest.raises(InputError, match=r"recipe\.learning_rate was 0\.002, now 0\.1"):
        train_small(out, resume=True, learning_rate=0.1)
    resumed = train_small(out, resume=True)
    assert adapter_bytes(resumed.folder) == adapter_bytes(trained.folder)
    assert not work.exists()


def test_ctrl_c_leaves_a_checkpoint_and_the_same_command_goes_on(
    trained: TrainedAdapter, train_small: Callable[..., TrainedAdapter], tmp_path: Path
) -> None:
    out, progress = tmp_path / "stopped", At("train 2/4", lambda: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_small(out, progress=progress)
    assert signal.getsignal(signal.SIGINT) is before
    assert "stopping after this step, with a checkpoint" in progress.getvalue()
    assert "stopped at step 3 of 4; continue with --resume" in progress.getvalue()
    assert (tmp_path / "stopped.training" / "checkpoint-3" / "complete").is_file()
    assert not out.exists()
    later = io.StringIO()
    resumed = train_small(out, resume=True, progress=later)
    assert adapter_bytes(resumed.folder) == adapter_bytes(trained.folder)
    assert "train 3/4" not in later.getvalue()
    assert "train 4/4" in later.getvalue()


def test_killed_after_the_last_step_it_only_publishes(
    trained: TrainedAdapter,
    train_small: Callable[..., TrainedAdapter],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "late"
    with monkeypatch.context() as patch:
        patch.setattr("boxlist.adapters_training.train._publish", lambda *_: kill())
        with pytest.raises(Killed):
            train_small(out)
    progress = io.StringIO()
    resumed = train_small(out, resume=True, progress=progress)
    assert adapter_bytes(resumed.folder) == adapter_bytes(trained.folder)
    assert "train " not in progress.getvalue()


def test_a_finished_adapter_is_kept_and_never_overwritten(
    trained: TrainedAdapter, train_small: Callable[..., TrainedAdapter]
) -> None:
    before = adapter_bytes(trained.folder)
    again = train_small(trained.folder, resume=True)
    assert again == trained
    with pytest.raises(InputError, match="unbroken: expected a new folder for the adapter, got one that exists"):
        train_small(trained.folder)
    with pytest.raises(
        InputError, match=r"unbroken: expected the same training as before, got recipe\.seed was 3, now 4"
    ):
        train_small(trained.folder, resume=True, seed=4)
    assert adapter_bytes(trained.folder) == before


def test_a_folder_that_is_no_adapter_is_left_alone(train_small: Callable[..., TrainedAdapter], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a new folder for the adapter, got one that exists"):
        train_small(tmp_path, resume=True)


def test_a_sample_that_is_too_long_leaves_nothing_behind(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"sample shapes image .*: expected at most max_length = 150 tokens"):
        train_small(tmp_path / "a", max_length=150)
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_ends_the_training(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan_loss(hidden: torch.Tensor, *_: Any) -> torch.Tensor:
        return hidden.sum() * float("nan")

    monkeypatch.setattr("boxlist.adapters_training.loss.summed_loss", nan_loss)
    with pytest.raises(
        InputError, match=r"expected a finite loss, got nan at step 1. Train with a lower learning_rate"
    ):
        train_small(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_the_provenance_digest_is_in_the_weights(trained: TrainedAdapter) -> None:
    import hashlib

    from safetensors import safe_open

    with safe_open(trained.folder / WEIGHTS_FILE, framework="pt") as weights:
        metadata = weights.metadata()
    digest = hashlib.sha256((trained.folder / PROVENANCE_FILE).read_bytes()).hexdigest()
    assert metadata == {"format": "pt", "boxlist_provenance_sha256": digest}
