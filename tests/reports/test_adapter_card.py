"""`boxlist adapter card`: what hubs read of it, whose run it takes, and what it will not write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import save_file

from boxlist.adapters_training.provenance import PROVENANCE_FILE, Provenance, text_sha256, write_provenance
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.cli import main
from boxlist.models.identity import ADAPTER_CONFIG, adapter_sha256
from boxlist.protocols import protocol_named
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.folder import RunFolder
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.truths import box_list_text

if TYPE_CHECKING:
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"
IMAGE = {"name": "0.png", "sha256": "1" * 64}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """The files of an adapter; its numbers do not matter here."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file({"a.lora_A.weight": np.ones((4, 3), dtype=np.float32)}, folder / WEIGHTS_FILE)
    (folder / ADAPTER_CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": 4}))
    record = Provenance(
        adapter={"tensors_sha256": "2" * 64},
        base={"name": "pocket:qwen3vl", "identity": {}},
        protocol={"name": "norm1000_xyxy", "list_order": "reading"},
        prompt={"task": TASK, "template": "?", "template_sha256": text_sha256("?")},
        data={"dataset": "shapes", "split": "train", "images": [IMAGE]},
        recipe={"rank": 4, "steps": 7},
        training={
            "trainable_parameters": 12,
            "loss_normalisation": "tokens",
            "samples_per_step": 2,
            "first_loss": 2.0,
            "last_loss": 0.5,
        },
        versions={},
    )
    write_provenance(folder, record)
    return folder


def run_of(sha256: str | None, path: Path) -> Path:
    """A finished run that answered three images rightly, with the adapter of that hash."""
    protocol = protocol_named("norm1000_xyxy")
    with RunFolder.open(path) as folder:
        for document in documents("shapes", "test")[:3]:
            text = box_list_text(document, protocol)
            folder.answers.append(
                StoredAnswer(TASK, document["image_id"], "p", "i", text, 9, "eos", False, None, 1, 0.1)
            )
        run = {"status": "complete", "name": path.name, "protocol": protocol.name, "seed": 0, "controls": {}}
        used = None if sha256 is None else {"path": "/home/somebody/mine", "sha256": sha256}
        folder.write_run({**run, "adapter": used, "base": {"path": "x"}, "tasks": {TASK: {"n": 3}}})
    return path


def test_the_card_has_the_figures_of_the_run(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = run_of(adapter_sha256(adapter), tmp_path / "run")
    assert main(["adapter", "card", str(adapter), "--run", str(run)]) == 0
    assert capsys.readouterr().out == f"{adapter / 'README.md'}\n"
    card = ModelCard.load(adapter / "README.md")
    assert card.data.base_model == "pocket:qwen3vl"
    assert card.data.library_name == "peft"
    figures = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert (figures["f1@0.5"], figures["max_repeat"]) == (1.0, 1)
    assert "for 7 steps of 2 samples on 1 images of shapes" in card.text
    assert f"`{TASK}`, 3 images of the test split:" in card.text
    assert "| f1@0.5 | 1 | 1 to 1 |" in card.text
    assert "/home" not in card.content


def test_without_a_run_it_has_no_figures(adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter", "card", str(adapter), "--out", str(tmp_path / "card.md"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"adapter": str(adapter), "card": str(tmp_path / "card.md")}
    text = (tmp_path / "card.md").read_text()
    assert "model-index" not in text
    assert text.endswith("`adapter_provenance.json` has everything else.\n")
    assert not (adapter / "README.md").exists()


@pytest.mark.parametrize(
    ("sha256", "got"),
    [("3" * 64, "got one of another adapter, 333333333333"), (None, "got one without an adapter")],
)
def test_the_run_of_another_is_refused(
    adapter: Path, tmp_path: Path, sha256: str | None, got: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(sha256, tmp_path / "run")
    assert main(["adapter", "card", str(adapter), "--run", str(run)]) == 2
    assert got in capsys.readouterr().err
    assert not (adapter / "README.md").exists()


def test_the_card_of_somebody_else_is_not_written_over(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (adapter / PROVENANCE_FILE).unlink()
    (adapter / "README.md").write_text("theirs")
    assert main(["adapter", "card", str(adapter)]) == 2
    assert "expected adapter_provenance.json, which the card is made from, got none" in capsys.readouterr().err
    assert (adapter / "README.md").read_text() == "theirs"


def test_a_card_needs_a_place(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapter", "card", str(adapter), "--out", str(adapter / "no" / "card.md")]) == 2
    assert "expected a file in a folder that exists" in capsys.readouterr().err
