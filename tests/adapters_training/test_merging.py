"""Merging: a checkpoint that answers as the adapter does on its base, and what is refused."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file

from boxlist.adapters_training.merging import NOTE_FILE, merge_adapter
from boxlist.adapters_training.provenance import PROVENANCE_FILE
from boxlist.errors import InputError
from boxlist.models.identity import adapter_sha256, base_identity
from boxlist.models.loading import load_adapter, load_processor_and_model
from boxlist.models.prompts import open_rgb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.adapters_training.train import TrainedAdapter
    from boxlist.tasks.datasets.split_folder import Document


@pytest.fixture(scope="module")
def strong(train_small: Callable[..., TrainedAdapter], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes what the base says."""
    return train_small(tmp_path_factory.mktemp("strong") / "adapter", learning_rate=3e-2).folder


@pytest.fixture(scope="module")
def merged(strong: Path, pocket_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "checkpoint"
    return merge_adapter(strong, str(pocket_base), out, dtype="float32").folder


def inputs_of(processor: Any, documents: list[Document]) -> Any:
    chats = [
        [
            {
                "role": "user",
                "content": [
                    {"type": "image", "image": open_rgb(document["file"], "")},
                    {"type": "text", "text": "Detect every object in the image."},
                ],
            }
        ]
        for document in documents
    ]
    return processor.apply_chat_template(
        chats, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt", padding=True
    )


def answers(model: Any, inputs: Any) -> torch.Tensor:
    found: torch.Tensor = model.generate(**inputs, max_new_tokens=24, do_sample=False)
    return found[:, inputs["input_ids"].shape[1] :]


def test_the_merged_checkpoint_answers_as_the_adapter_does(
    merged: Path, strong: Path, pocket_base: Path, shapes: list[Document]
) -> None:
    base = load_processor_and_model(str(pocket_base), dtype="float32", device="cpu")
    inputs = inputs_of(base.processor, shapes[:3])
    plain = answers(base.model, inputs)
    unmerged = load_adapter(base.model, strong).eval()
    whole = load_processor_and_model(str(merged), dtype="float32", device="cpu")
    assert torch.equal(inputs_of(whole.processor, shapes[:3])["input_ids"], inputs["input_ids"])
    theirs, ours = answers(unmerged, inputs), answers(whole.model, inputs)
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, plain)


def test_it_is_whole_and_says_what_it_was_made_from(merged: Path, strong: Path, pocket_base: Path) -> None:
    for name in ("tokenizer.json", "processor_config.json", "chat_template.jinja", "generation_config.json"):
        assert (merged / name).read_bytes() == (pocket_base / name).read_bytes()
    note = json.loads((merged / NOTE_FILE).read_text())
    assert note["dtype"] == {"sum": "float32", "stored": "float32", "base": "bfloat16"}
    assert note["adapter_sha256"] == adapter_sha256(strong)
    assert note["base"]["identity"] == base_identity(pocket_base)
    assert note["provenance"] == json.loads((strong / PROVENANCE_FILE).read_text())
    assert base_identity(merged)["processor_sha256"] == base_identity(pocket_base)["processor_sha256"]
    assert [path.name for path in merged.parent.iterdir()] == [merged.name]


def test_by_default_it_is_stored_as_the_base_is(strong: Path, pocket_base: Path, tmp_path: Path) -> None:
    found = merge_adapter(strong, str(pocket_base), tmp_path / "a" / "merged")
    assert (found.dtype, found.warnings) == ("bfloat16", [])
    ours, theirs = load_file(found.folder / "model.safetensors"), load_file(pocket_base / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert {tensor.dtype for tensor in ours.values()} == {torch.bfloat16}
    changed = {name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])}
    assert changed
    assert all("language_model" in name and "self_attn" in name for name in changed)


def test_what_does_not_fit_is_refused_and_leaves_nothing(strong: Path, pocket_base: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a new folder, got one that exists\. Give another, or delete it"):
        merge_adapter(strong, str(pocket_base), tmp_path)
    other = tmp_path / "other"
    shutil.copytree(pocket_base, other)
    config = json.loads((other / "generation_config.json").read_text())
    (other / "generation_config.json").write_text(json.dumps({**config, "top_k": 3}))
    with pytest.raises(InputError, match=r"expected the base that it was trained on, got another base than pocket"):
        merge_adapter(strong, str(other), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_an_adapter_from_elsewhere_is_merged_with_a_warning(strong: Path, pocket_base: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    shutil.copytree(strong, theirs)
    (theirs / PROVENANCE_FILE).unlink()
    (warning,) = merge_adapter(theirs, str(pocket_base), tmp_path / "out").warnings
    assert warning.endswith("has no provenance: cannot check that this is the base that it was trained on")
    assert json.loads((tmp_path / "out" / NOTE_FILE).read_text())["provenance"] is None
