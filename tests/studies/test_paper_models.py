"""The paper's models: without the data one line says what to build; with it a study gets as far as the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.cli import main
from boxlist.tasks.datasets import catalog
from boxlist.tasks.datasets.dataset import Dataset, Needs
from boxlist.tasks.datasets.shapes_split import ShapesOptions, build

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.dataset import Order

SETS = {"control-surface": "insplad", "structure-axis": "insplad", "coco-transfer": "coco"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for data sets."""
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    return tmp_path


def draw(order: Order) -> None:
    build(order.folder, ShapesOptions(train_images=2, test_images=2))


@pytest.mark.parametrize("model", ["gemma4-12b", "qwen3-vl-8b"])
@pytest.mark.parametrize("study", SETS)
def test_without_the_data_one_line_says_what_to_build(
    data: Path, study: str, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", study, "--model", model, "--out", str(data / "out")]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"boxlist: data {SETS[study]}: expected --from DIR, ")
    assert told.endswith(f"then run: boxlist data build {SETS[study]} --from DIR\n")
    assert told.count("\n") == 1
    assert not (data / "out").exists()


def test_a_dry_run_names_the_data_too(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "coco-transfer", "--model", "gemma4-12b", "--out", str(data / "out"), "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:5] == [
        "data     coco  to do: boxlist data build coco --from DIR",
        "data     coco_80  to do: boxlist data build coco_80 --from DIR",
        f"train    gemma4_coco_qkvo_r32  to do  {data / 'out' / 'gemma4-12b' / 'adapters' / 'transfer'}",
        f"train    gemma4_coco_80_qkvo_r32  to do  {data / 'out' / 'gemma4-12b' / 'adapters' / 'transfer_160'}",
    ]


@pytest.mark.parametrize(
    ("model", "base"), [("gemma4-12b", "google/gemma-4-12B-it"), ("qwen3-vl-8b", "Qwen/Qwen3-VL-8B-Instruct")]
)
def test_with_the_data_a_study_gets_as_far_as_the_weights(
    data: Path, model: str, base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Dataset("insplad", 1, "", "drawn in its place", draw, needs=Needs("a folder", "nowhere"))
    monkeypatch.setitem(catalog.DATASETS, "insplad", row)
    catalog.build_dataset("insplad", data)
    assert main(["study", "control-surface", "--model", model, "--out", str(data / "out")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith(f"boxlist: checkpoint '{base}': expected a folder here, or a hub repository that can be")
