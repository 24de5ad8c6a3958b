"""The probe during training: what it logs, on which images, and that the adapter does not feel it."""

from __future__ import annotations

import dataclasses
import io
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from boxlist.adapters_training import train as training
from boxlist.adapters_training.held_out import Evaluate, hold_out, read_evaluate
from boxlist.adapters_training.probe_callback import undisturbed
from boxlist.adapters_training.provenance import read_provenance
from boxlist.adapters_training.recipe import load_recipe
from boxlist.errors import InputError
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.probes import Probe, probe_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.adapters_training.train import TrainedAdapter
    from boxlist.tasks.datasets.split_folder import Document

DENSE = "boxlist_dense_bbox_shapes"
EVALUATE = Evaluate(every=1, images=2, batch_size=2)


@pytest.fixture
def short_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of at most 48 tokens, so that asking is quick."""

    def named(task: str) -> Probe:
        probe = probe_named(task)
        return dataclasses.replace(probe, generation_kwargs={**probe.generation_kwargs, "max_new_tokens": 48})

    monkeypatch.setattr(training, "probe_named", named)


@pytest.mark.usefixtures("short_answers")
def test_the_adapter_is_the_same_bit_for_bit_with_and_without_it(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With dropout, which draws random numbers in every step: one draw too many would change all that follow."""
    progress = io.StringIO()
    asked = train_small(tmp_path / "asked", progress=progress, evaluate=EVALUATE, dropout=0.1, steps=2)
    monkeypatch.setattr(training, "_probe_callback", lambda *_: None)
    silent = train_small(tmp_path / "silent", evaluate=EVALUATE, dropout=0.1, steps=2)
    assert asked.losses == silent.losses
    for name in ("adapter_model.safetensors", "adapter_provenance.json", "adapter_config.json", "losses.json"):
        assert (asked.folder / name).read_bytes() == (silent.folder / name).read_bytes(), name
    assert not (silent.folder / "probe.json").exists()
    history = json.loads((asked.folder / "probe.json").read_text())["probe"]
    assert [entry["step"] for entry in history] == [1, 2]
    assert history[0].keys() == {"step", "f1@0.3", "duplicate_rate", "max_repeat", "parse_valid"}
    assert "probe 1/2  f1@0.3 0." in progress.getvalue()
    logged = scalars(asked.folder / "runs")
    assert logged.keys() == history[0].keys() - {"step"}
    for name, events in logged.items():
        assert [step for step, _ in events] == [1, 2]
        assert [value for _, value in events] == pytest.approx([entry[name] for entry in history])


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard reads of the probe's figures."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("eval/")]
    return {tag.removeprefix("eval/"): [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


@pytest.mark.usefixtures("short_answers")
def test_held_out_images_are_not_trained_on_and_are_named(
    train_small: Callable[..., TrainedAdapter], shapes: list[Document], tmp_path: Path
) -> None:
    evaluate = dataclasses.replace(EVALUATE, report_to="none", task="boxlist_spatial_count_shapes")
    trained = train_small(tmp_path / "a", steps=2, evaluate=evaluate)
    record = read_provenance(trained.folder)
    assert record is not None
    eight = [document["image_id"] for document in shapes[:8]]
    asked = [image["image_id"] for image in record.data["asked_during_training"]]
    assert asked == [eight[2], eight[6]]
    assert [image["image_id"] for image in record.data["images"]] == [name for name in eight if name not in asked]
    assert record.recipe["evaluate"] == dataclasses.asdict(evaluate)
    _, entry = json.loads((trained.folder / "probe.json").read_text())["probe"]
    assert entry.keys() == {"step", "target_shape_valid", "count_exact"}
    assert not (trained.folder / "runs").exists()


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_loaded(
    train_small: Callable[..., TrainedAdapter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError) as refused:
        train_small(tmp_path / "a", evaluate=dataclasses.replace(EVALUATE, report_to="trackio"))
    assert str(refused.value) == (
        "evaluate: report_to trackio: expected it installed, got nothing. "
        "Run: pip install trackio; or set report_to: none."
    )
    assert list(tmp_path.iterdir()) == []


def test_what_happens_inside_leaves_no_trace() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.5))
    state: dict[str, Any] = {"generation_config": "before", "device": torch.device("cpu")}
    for name, value in state.items():
        setattr(model, name, value)
    model[0].eval()
    seed_all()
    draws = [(random.random(), np.random.rand(), torch.rand(1).item())]  # noqa: NPY002
    seed_all()
    with undisturbed(model):
        assert not model[1].training
        random.random()
        np.random.rand()  # noqa: NPY002
        torch.rand(1)
        model.generation_config = "inside"  # type: ignore[assignment]
    assert (model.training, model[0].training, model[1].training) == (True, False, True)
    assert str(model.generation_config) == "before"
    assert [(random.random(), np.random.rand(), torch.rand(1).item())] == draws  # noqa: NPY002


def seed_all() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)


def test_images_lie_evenly_over_the_train_split(shapes: list[Document]) -> None:
    probe = probe_named(DENSE)
    split = hold_out(probe, shapes, Evaluate(every=20, images=40))
    assert [document["image_id"] for document in split.asked] == [document["image_id"] for document in shapes[2::4]]
    assert len(split.trained) == 120
    assert [document["image_id"] % 4 for document in split.trained] == [1, 2, 0] * 40, "ids begin at 1"
    assert hold_out(probe, shapes, None) == (shapes, ())


def test_evaluation_images_are_refused(shapes: list[Document]) -> None:
    probe = probe_named(DENSE)
    with pytest.raises(InputError) as refused:
        hold_out(probe, documents("shapes", "test"), Evaluate(every=1, images=3))
    assert "expected images of the train split only, got 3 that are evaluation images too" in str(refused.value)
    with pytest.raises(
        InputError, match=r"images: expected fewer than the 160 images of shapes \(train split\), got 160"
    ):
        hold_out(probe, shapes, Evaluate(every=1, images=160))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"every": 5, "images": 4, "split": "test"},
            "r: split: expected train: whoever tunes on evaluation images has",
        ),
        ({"every": 5}, "r: images: expected a whole number from 1 to 100000, got nothing. Add the key."),
        ({"evry": 5}, "r: key 'evry': expected one of batch_size, every, images, report_to, split, task"),
        ({"every": 5, "images": 4, "task": "dense"}, "task 'dense': expected one of boxlist_absent, "),
        ({"every": 5, "images": 4, "report_to": "mlflow"}, "expected one of tensorboard, wandb, trackio, none"),
    ],
)
def test_wrong_options_get_one_line(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as refused:
        read_evaluate("r", given)
    assert said in str(refused.value)


def test_a_recipe_holds_the_option(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    lines = f"base: pocket:qwen3vl\ntask: {DENSE}\nsteps: 4\nlearning_rate: 0.1\n"
    file.write_text(f"{lines}evaluate: {{every: 20, task: {DENSE}, images: 40, split: train}}\n")
    assert load_recipe(file).evaluate == Evaluate(every=20, images=40, task=DENSE)
    file.write_text(f"{lines}evaluate: 20\n")
    with pytest.raises(
        InputError, match=r"recipe\.yaml: evaluate: expected keys and values: every, images, \.\.\., got 20"
    ):
        load_recipe(file)
