"""The demo's plan: which runs it makes, in which folders, and what it prints; training and model are stood in for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from boxlist import demo as demo_module
from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.adapters_training.recipe import load_recipe
from boxlist.demo import DENSE, INVENTORY, REGIMES, SPATIAL, demo
from boxlist.runs.engine import RunResult

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.runs.request import RunRequest


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "ci_low": value, "ci_high": value, "n": 80, "interval": "percentile", "few_images": False}


NAMES = ("f1@0.3", "f1@0.5", "parse_valid", "predictions_per_image", "duplicate_rate", "max_repeat", "trigger_rate")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Every request that the demo makes; each run scores 1, and `repeats-raw` repeats more."""
    made: list[RunRequest] = []

    def run(request: RunRequest, _say: object) -> RunResult:
        made.append(request)
        metrics = {name: figure(1.0) for name in (*NAMES, "target_shape_valid")}
        metrics["duplicate_rate"] = figure(2.0 if request.name == "repeats-raw" else 1.0)
        tasks = {task: {"n": 80, "metrics": metrics} for task in request.tasks}
        return RunResult(request.path, {}, {"tasks": tasks}, 80)

    def train_if_needed(_recipe: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(demo_module, "run", run)
    monkeypatch.setattr(demo_module, "train_if_needed", train_if_needed)
    return made


def test_the_runs_are_those_of_the_paper(requests: list[RunRequest], tmp_path: Path) -> None:
    demo(tmp_path, regimes=REGIMES[:1])
    assert [(made.name, made.controls.name, made.tasks) for made in requests] == [
        ("base", "raw", (DENSE, INVENTORY, SPATIAL)),
        ("raw", "raw", (DENSE, INVENTORY, SPATIAL)),
        ("penalty", "repetition_penalty=1.05", (DENSE,)),
        ("budget", "budget=8", (DENSE,)),
        ("stopped", "budget=8,repeat_stop", (DENSE,)),
    ]
    assert [made.model_args.get("adapter") for made in requests] == [None, *[str(tmp_path / "adapter")] * 4]
    assert {made.path.parent for made in requests} == {tmp_path}


def test_the_table_has_box_rows_and_then_the_others(requests: list[RunRequest], tmp_path: Path) -> None:
    result = demo(tmp_path)
    assert [row.name for row in result.blocks[0].rows] == [
        "base",
        "raw adapter",
        "+ penalty 1.05",
        "budget 8",
        "budget 8 + repeat-stop",
        "base: inventory",
        "raw adapter: inventory",
        "base: spatial and count",
        "raw adapter: spatial and count",
    ]
    markdown = (tmp_path / "table.md").read_text()
    assert "| budget 8 + repeat-stop | 1.000 | 1.000 | 1.000 [1.000, 1.000] | 1.000 | 1.000 | 1 | 1.000 |" in markdown
    assert result.sentences in markdown
    assert result.sentences in result.text()
    assert result.to_json()["rows"][0]["metrics"]["f1@0.3"]["value"] == 1.0


def test_the_second_regime_asks_for_boxes_only(requests: list[RunRequest], tmp_path: Path) -> None:
    demo(tmp_path, regimes=REGIMES[:2])
    assert [(made.name, made.controls.name) for made in requests[5:]] == [
        ("repeats-base", "raw"),
        ("repeats-raw", "raw"),
        ("repeats-penalty", "repetition_penalty=1.05"),
        ("repeats-budget", "budget=8"),
        ("repeats-stopped", "budget=8,repeat_stop"),
    ]
    assert {made.tasks for made in requests[5:]} == {(DENSE,)}


def test_the_second_family_has_a_base_and_a_protocol_of_its_own(requests: list[RunRequest], tmp_path: Path) -> None:
    demo(tmp_path)
    first, second = requests[:5], requests[10:]
    assert [(made.name, made.controls, made.tasks) for made in second] == [
        (f"gemma4-{made.name}", made.controls, made.tasks) for made in first
    ]
    assert [made.model_args.get("adapter") for made in second] == [None, *[str(tmp_path / "gemma4-adapter")] * 4]
    assert {(made.model_args["pretrained"], made.protocol.name) for made in first} == {
        (str(CHECKPOINT.parent / "qwen3vl"), "norm1000_xyxy")
    }
    assert {(made.model_args["pretrained"], made.protocol.name) for made in second} == {
        (str(CHECKPOINT.parent / "gemma4"), "pixel_xyxy")
    }


def test_headings_name_the_family_and_the_protocol_of_the_recipe() -> None:
    protocols = [load_recipe(regime.recipe).protocol for regime in REGIMES]
    assert protocols == ["norm1000_xyxy", "norm1000_xyxy", "pixel_xyxy"]
    assert all(f", {name}: " in regime.heading for name, regime in zip(protocols, REGIMES, strict=True))
    assert len({regime.heading for regime in REGIMES}) == len(REGIMES)


def test_each_family_has_sentences_about_its_own_base(requests: list[RunRequest], tmp_path: Path) -> None:
    result = demo(tmp_path)
    assert [block.title for block in result.blocks] == [
        "Qwen3-VL, norm1000_xyxy: q/k/v/o rank 32, lists in reading order",
        "Qwen3-VL, norm1000_xyxy: q/k/v/o rank 32, lists in random order",
        "Gemma 4 unified, pixel_xyxy: q/k/v/o rank 32, lists in reading order",
    ]
    first, second = result.sentences.split("\n\n")
    said = "Training does not clearly change F1@0.3 from 1.000 to 1.000 on 80 held-out images, and the raw adapter"
    assert first.startswith(f"Qwen3-VL, norm1000_xyxy. {said}")
    assert second.startswith(f"Gemma 4 unified, pixel_xyxy. {said}")


def test_the_regime_that_repeats_most_is_named_in_its_own_family(requests: list[RunRequest], tmp_path: Path) -> None:
    first, second = demo(tmp_path).sentences.split("\n\n")
    assert "For q/k/v/o rank 32, lists in random order, the budget" in first
    assert "lists in random order" not in second


def test_limit_and_fresh_reach_every_run(requests: list[RunRequest], tmp_path: Path) -> None:
    demo(tmp_path, limit=3, fresh=True)
    assert {(made.limit, made.fresh) for made in requests} == {(3, True)}
