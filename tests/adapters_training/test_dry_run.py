"""Dry runs of every recipe, without weights: modules, counts and what is said; and where a base's shape comes from."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from boxlist import cli
from boxlist.adapters_training import base_config as shapes
from boxlist.adapters_training import dry_run as module
from boxlist.adapters_training.dry_run import Memory, dry_run
from boxlist.adapters_training.dry_run_text import dry_run_text
from boxlist.adapters_training.loss import LOGITS_AT_ONCE
from boxlist.adapters_training.recipe import RECIPES, Recipe, load_recipe
from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.adapters_training.dry_run import DryRun

POCKET = Recipe(
    base="pocket:qwen3vl",
    task="boxlist_dense_bbox_shapes",
    steps=4,
    learning_rate=1e-3,
    rank=4,
    alpha=8,
    batch_size=2,
    accumulation=3,
)


@pytest.fixture(scope="module")
def dry_runs() -> dict[str, DryRun]:
    """Every recipe that comes along; bases of one shape are worked out once for a rank and its targets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "_kept_bytes_per_token", lambda *_, **__: 1000
        )  # counted in a test of its own: it takes long
        return {file.stem: dry_run(file) for file in sorted(RECIPES.glob("*.yaml"))}


def test_every_recipe_here_dry_runs(dry_runs: dict[str, DryRun]) -> None:
    assert {"gemma4_insplad_qkvo_r32", "paligemma2_pixmo_qkvo_mlp_r8"} < dry_runs.keys()
    for found in dry_runs.values():
        assert found.trainable_parameters > 0
        assert found.memory.total > 0


def test_only_recipes_that_say_all_touch_anything_but_the_language_part(dry_runs: dict[str, DryRun]) -> None:
    for name, found in dry_runs.items():
        if found.recipe.targets == "all":
            assert found.parts == {"vision": 151, "projector": 7, "language": 252}, name
        else:
            assert found.parts == {"language": sum(found.matched_modules.values())}, name


@pytest.mark.parametrize(
    ("recipe", "trainable", "modules"),
    [
        ("gemma4_insplad_qkvo_r32", 42_663_936, {"q_proj": 48, "k_proj": 48, "v_proj": 40, "o_proj": 48}),
        ("gemma4_insplad_qv_r4", 2_596_864, {"q_proj": 48, "v_proj": 40}),
        ("gemma4_insplad_qv_r8", 5_193_728, {"q_proj": 48, "v_proj": 40}),
        ("gemma4_insplad_qv_r16", 10_387_456, {"q_proj": 48, "v_proj": 40}),
        ("gemma4_insplad_qv_r32", 20_774_912, {"q_proj": 48, "v_proj": 40}),
        ("gemma4_insplad_qv_r64", 41_549_824, {"q_proj": 48, "v_proj": 40}),
        ("qwen3vl_insplad_qv_r32", 15_335_424, {"q_proj": 36, "v_proj": 36}),
        ("qwen3vl_insplad_qv_r8", 3_833_856, {"q_proj": 36, "v_proj": 36}),
    ],
)
def test_the_papers_recipes_train_what_the_papers_say(
    dry_runs: dict[str, DryRun], recipe: str, trainable: int, modules: dict[str, int]
) -> None:
    assert dry_runs[recipe].trainable_parameters == trainable
    assert dry_runs[recipe].matched_modules == modules


def test_the_qlora_recipe(dry_runs: dict[str, DryRun]) -> None:
    found = dry_runs["paligemma2_pixmo_qkvo_mlp_r8"]
    assert found.trainable_parameters == 10_383_360
    assert found.samples_per_step == 16
    # 2.03 billion weights of linear layers in 4.5 bits, 1.01 billion others (embeddings, SigLIP, norms) in 16
    linear = 26 * (2304 * (2048 + 1024 + 1024) + 2048 * 2304 + 3 * 2304 * 9216)
    assert found.memory.weights == linear * 9 // 16 + (found.parameters - linear) * 2
    assert found.memory.adapter == 10_383_360 * (4 + 4 + 1 + 1)


def test_a_base_on_this_machine_is_measured(data_root: Path) -> None:
    from boxlist.tasks.datasets.catalog import documents

    docs = documents("shapes", "train")
    found = dry_run(POCKET)
    assert found.config_origin == "its config.json"
    assert (found.data.images, found.data.objects) == (160, sum(len(document["objects"]) for document in docs))
    assert found.tokens.longest is not None
    assert found.tokens.mean is not None
    assert found.tokens.measured_on == 54  # every third of 160
    assert 100 < found.tokens.mean <= found.tokens.longest <= found.tokens.at_most
    told = found.to_dict()
    assert told["tokens_per_step_at_most"] == 6 * found.tokens.longest
    assert told["memory_bytes"]["total"] == sum(found.memory)
    assert json.loads(json.dumps(told)) == told
    text = dry_run_text(found)
    assert "6 k_proj, 6 o_proj, 6 q_proj, 6 v_proj; 24 in the language part" in text
    assert "6 samples (3 micro-batches of 2) (" in text
    assert "shapes, train split: 160 images" in text


def test_what_is_kept_for_the_backward_pass_grows_with_what_is_adapted() -> None:
    few = dry_run(dataclasses.replace(POCKET, targets="qv"))
    many = dry_run(dataclasses.replace(POCKET, targets="qkvo_mlp"))
    assert 0 < few.memory.activations < many.memory.activations
    assert few.memory.weights == many.memory.weights
    # the pocket base keeps 6 layers of width 256; each keeps at least its input and its two norms' in two bytes
    samples = few.recipe.batch_size * (few.tokens.longest or few.tokens.at_most)
    assert few.memory.activations > samples * 6 * 3 * 2 * 128


def test_checkpointing_keeps_the_layers_inputs_and_one_layer() -> None:
    whole = dry_run(POCKET).memory
    less = dry_run(dataclasses.replace(POCKET, gradient_checkpointing=True)).memory
    assert whole.activations / 6 < less.activations < whole.activations / 3
    assert less.weights == whole.weights


def test_logits_are_held_a_block_at_a_time(dry_runs: dict[str, DryRun]) -> None:
    gemma = dry_runs["gemma4_insplad_qkvo_r32"]
    assert gemma.memory.logits == LOGITS_AT_ONCE * 12
    assert gemma.memory.logits < 262_144 * 4 * gemma.tokens.at_most


def test_a_base_that_cannot_be_had_and_has_no_stand_in_is_refused() -> None:
    unknown = dataclasses.replace(POCKET, base="somebody/some-model")
    with pytest.raises(InputError, match=r"somebody/some-model: .* no stand-in .*Stand-ins here: Qwen/Qwen3-VL-8B"):
        dry_run(unknown)


def test_a_model_that_is_unknown_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "new_kind"}')
    with pytest.raises(InputError, match=r"expected a model that this transformers knows, got .*new_kind"):
        dry_run(dataclasses.replace(POCKET, base=str(tmp_path)))


def test_a_model_that_sees_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("Unrecognized configuration class GPT2Config\nModel type should be one of many")

    monkeypatch.setattr("transformers.AutoModelForImageTextToText.from_config", refuse)
    with pytest.raises(InputError, match=r"expected a model for images and text, got .* GPT2Config\. Choose another"):
        dry_run(POCKET)


def test_a_real_config_is_preferred_to_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("qwen3vl_insplad_qv_r8")
    assert shapes.base_config(recipe).origin.startswith("a stand-in for config.json, which could not be had: ")
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_vl", "text_config": {"hidden_size": 512}}')
    monkeypatch.setattr(shapes, "_from_hub", lambda *_: tmp_path / "config.json")
    real = shapes.base_config(recipe)
    assert (real.origin, real.config.text_config.hidden_size) == ("config.json of the hub", 512)


def test_nobody_waits_for_a_hub_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    assert not shapes._hub_answers()  # HF_HUB_OFFLINE=1 in tests


def test_every_stand_in_says_for_what_and_from_where() -> None:
    for file in shapes.STAND_INS.glob("*.json"):
        written = json.loads(file.read_text())
        assert written["stand_in_for"] == file.stem.replace("--", "/")
        assert written["values_from"]


def test_the_command_says_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        "base: pocket:qwen3vl\ntask: boxlist_dense_bbox_shapes\nsteps: 2\nlearning_rate: 1.0e-3\nrank: 2\nalpha: 4\n"
    )
    before = sorted(tmp_path.iterdir())
    assert cli.main(["train", str(file), "--dry-run"]) == 0
    words = capsys.readouterr().out
    assert words.startswith("base       pocket:qwen3vl: qwen3_vl, 5,606,208 parameters\n")
    assert "trainable  18,432 parameters (rank 2, alpha 4)" in words
    assert cli.main(["train", str(file), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trainable_parameters"] == 18_432
    assert sorted(tmp_path.iterdir()) == before


def test_memory_adds_up() -> None:
    assert Memory(1, 2, 3, 4).total == 10
