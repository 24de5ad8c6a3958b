"""Recipes: what is read, and what is refused, word by word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.adapters_training.recipe import RECIPES, RULES, TARGETS, Recipe, change_recipe, load_recipe
from boxlist.errors import InputError
from boxlist.strict_yaml import MAX_YAML_BYTES

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {
    "base": "pocket:qwen3vl",
    "task": "boxlist_dense_bbox_shapes",
    "steps": "120",
    "learning_rate": "2.0e-3",
}


def write(folder: Path, **changes: str | None) -> Path:
    """A good recipe with some keys changed, or left out where None."""
    keys = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    file = folder / "recipe.yaml"
    file.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return file


def test_a_short_recipe_gets_the_defaults(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    assert recipe == Recipe(base="pocket:qwen3vl", task="boxlist_dense_bbox_shapes", steps=120, learning_rate=0.002)
    assert recipe.target_pattern == TARGETS["qkvo"]
    assert recipe.base_location.endswith("qwen3vl")


def test_every_key_of_a_recipe_has_a_rule() -> None:
    assert set(RULES) == set(Recipe.__dataclass_fields__)


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_recipes_here_are_valid(file: Path) -> None:
    assert load_recipe(file) == load_recipe(file.stem)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stepz": "3"}, "key 'stepz': expected one of .* Did you mean steps?"),
        ({"steps": None}, r"steps: expected a whole number from 1 to 1000000, got nothing\. Add the key\."),
        ({"steps": ""}, "steps: expected a whole number .*, got nothing"),
        ({"steps": "'120'"}, "steps: expected a whole number from 1 to 1000000, got '120'"),
        ({"steps": "1.5"}, r"steps: expected a whole number from 1 to 1000000, got 1\.5"),
        ({"steps": "true"}, "steps: expected a whole number from 1 to 1000000, got True"),
        ({"steps": "0"}, "steps: expected a whole number from 1 to 1000000, got 0"),
        ({"learning_rate": "2e-3"}, r"learning_rate: .*got '2e-3'\. YAML reads 1e-3 as text: write 1\.0e-3\."),
        ({"learning_rate": ".nan"}, "learning_rate: expected a number above 0 and at most 1, got nan"),
        ({"learning_rate": "-1.0"}, r"learning_rate: expected a number above 0 and at most 1, got -1\.0"),
        ({"dropout": "1"}, r"dropout: expected a number from 0 to below 1, got 1\.0"),
        ({"schedule": "cosin"}, "schedule: expected one of constant, linear, cosine, got 'cosin'"),
        ({"dtype": "float16"}, "dtype: expected one of float32, bfloat16, got 'float16'"),
        ({"list_order": "[reading]"}, "list_order: expected one of reading, .*random_each_epoch, got \\['reading'\\]"),
        ({"group_by_length": "1"}, "group_by_length: expected true or false, got 1"),
        ({"noise_records": "-1"}, "noise_records: expected a whole number from 0 to 64, got -1"),
        ({"end_weight": "0"}, "end_weight: expected a number above 0 and at most 100, got 0.0"),
        ({"noise_records": "2", "task": "boxlist_inventory_shapes"}, "They are for lists of boxes"),
        ({"unlikely_repeats": "1.0", "protocol": "norm1000_xyxy+nested"}, "Nested lists are sorted by label"),
        ({"warmup_steps": "120"}, r"warmup_steps: expected less than steps \(120\), got 120"),
        ({"task": "boxlist_dense_box_shapes"}, "task 'boxlist_dense_box_shapes': .*mean boxlist_dense_bbox_shapes"),
        ({"protocol": "norm1000"}, "protocol 'norm1000': .*Did you mean .*norm1000_xy"),
        ({"protocol": "percent_xy"}, "protocol: expected a box protocol, got percent_xy"),
        ({"base": "pocket:qwen3"}, "pocket model 'qwen3': expected one of gemma4, qwen3vl, .*Did you mean qwen3vl?"),
        ({"base": "/no/such/folder"}, "base: expected a folder with a config.json, a hub id .*got '/no/such/folder'"),
        ({"task": "boxlist_pointing_shapes"}, "protocol: expected one that writes points, got norm1000_xyxy"),
        ({"learning_rates": "{vision: 1.0e-4}"}, "learning_rates: expected none, or targets: all, got targets: qkvo"),
        ({"learning_rates": "{eyes: 1.0}", "targets": "all"}, "learning_rates: key 'eyes': expected one of projector"),
        ({"optimizer": "adam"}, "optimizer: expected one of adamw_torch, paged_adamw_8bit, got 'adam'"),
        ({"quantisation": "int4"}, "quantisation: expected one of none, nf4, got 'int4'"),
        ({"targets": "qvko"}, "targets 'qvko': expected one of all, qkvo, qkvo_mlp, qv, .*Did you mean qkvo"),
        ({"targets": "q_proj"}, "targets 'q_proj': .*A bare name reaches into vision towers"),
        ({"targets": "'.*(q_proj'"}, "targets: expected a regular expression .*unterminated subpattern"),
    ],
)  # fmt: skip
def test_a_wrong_recipe_is_refused_in_one_line(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    file = write(tmp_path, **changes)
    with pytest.raises(InputError, match=message) as raised:
        load_recipe(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "recipe.yaml: expected keys and values, got list"),
        ("", "recipe.yaml: expected keys and values, got NoneType"),
        ("base: [\n", "recipe.yaml: expected YAML, got while parsing"),
        ("steps: 1\nsteps: 2\n", "recipe.yaml: expected YAML, got key 'steps' is given twice .*line 1"),
        ("base: !!python/object:os.system x\n", "recipe.yaml: expected YAML, got could not determine a constructor"),
        ("1: 2\n", "key '1': expected one of"),
        ("[" * 1500, r"recipe.yaml: expected YAML, got maximum recursion depth"),
        ("a" * (MAX_YAML_BYTES + 1), "recipe.yaml: expected at most 65536 bytes, got more"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(file)


def test_a_missing_file_names_the_recipes_here(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a YAML file, got no such file. Recipes here: .*pocket_shapes"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"recipe 'pocket_shape': .*Did you mean pocket_shapes_qkvo_r32"):
        load_recipe("pocket_shape")


def test_no_wrong_key_gets_past_the_file_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{tmp_path}/recipe.yaml: key 'rnk'"):
        load_recipe(write(tmp_path, rnk="3"))


def test_a_changed_recipe_is_checked_as_a_file_is() -> None:
    recipe = load_recipe("pocket_shapes_random_qv_r8")
    changed = change_recipe(recipe, {"rank": 4, "alpha": 8}, "study")
    assert (changed.rank, changed.alpha, changed.steps) == (4, 8, recipe.steps)
    assert change_recipe(recipe, {}, "study") == recipe
    with pytest.raises(InputError, match=r"study: rank: expected a whole number from 1 to 1024, got 0\."):
        change_recipe(recipe, {"rank": 0}, "study")
    with pytest.raises(InputError, match=r"study: warmup_steps: expected less than steps \(2\), got 6"):
        change_recipe(recipe, {"steps": 2, "warmup_steps": 6}, "study")
    with pytest.raises(InputError, match="study: key 'rnak': expected one of"):
        change_recipe(recipe, {"rnak": 0}, "study")
