"""Rows from a study: what is multiplied out, what is asked once, and what is refused before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.studies.grid import Grid, plan_grid, with_overrides
from boxlist.studies.pool import recipe_of
from boxlist.studies.study_file import load_study, model_of, shipped_studies
from boxlist.tasks.datasets.own.build import SPEC_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

DENSE = "boxlist_dense_bbox_shapes"
OF_ALL_MODELS = [name for name in shipped_studies() if name != "train-against-repeats"]
FOR_BOTH = ("control-surface", "budget-sweep", "budget-x-stop", "structure-axis", "separability", "rank-sweep")


def grid_of(name: str, model: str = "pocket") -> Grid:
    study = load_study(name)
    return plan_grid(study, model_of(study, model))


def named(grid: Grid) -> list[tuple[str, str, str]]:
    return [(row.name, row.asked.adapter, row.asked.controls.name) for row in grid.rows]


def test_rows_are_multiplied_out_in_order(write_study: Callable[..., str]) -> None:
    grid = grid_of(write_study(), "small")
    assert named(grid) == [
        ("base", "none", "raw"),
        ("budget 4", "quick", "budget=4"),
        ("budget 5", "quick", "budget=5"),
        ("budget 4 + stop", "quick", "budget=4,repeat_stop"),
        ("inventory", "quick", "raw"),
    ]
    assert [row.asked.task for row in grid.rows][-2:] == [DENSE, "boxlist_inventory_shapes"]
    assert grid.blocks[0].title == "q/v rank 8"
    assert list(grid.adapters) == ["quick"]
    assert recipe_of(grid.adapters["quick"]).rank == 4


def test_table_1_has_the_papers_rows() -> None:
    first, second = grid_of("control-surface").blocks
    assert [(row.name, row.asked.adapter, row.asked.controls.name) for row in first.rows] == [
        ("base", "none", "raw"),
        ("raw adapter", "high", "raw"),
        ("+ penalty 1.05", "high", "repetition_penalty=1.05"),
        ("budget 8", "high", "budget=8"),
        ("budget 8 + repeat-stop", "high", "budget=8,repeat_stop"),
    ]
    assert {row.asked.adapter for row in second.rows} == {"none", "random"}


def test_table_3_is_budgets_with_and_without_repeat_stop() -> None:
    rows = named(grid_of("budget-x-stop"))
    assert rows[:3] == [
        ("budget 4", "high", "budget=4"),
        ("budget 4 + repeat-stop", "high", "budget=4,repeat_stop"),
        ("budget 5", "high", "budget=5"),
    ]
    assert len(rows) == 20, "five budgets, twice, for two adapters"


def test_the_rank_sweep_keeps_alpha_at_twice_the_rank() -> None:
    adapters = grid_of("rank-sweep").adapters
    recipes = {role: recipe_of(source) for role, source in adapters.items()}
    assert {role: (recipe.rank, recipe.alpha, recipe.targets) for role, recipe in recipes.items()} == {
        f"qv_r{rank}": (rank, 2 * rank, "qv") for rank in (4, 8, 16, 32, 64)
    }


@pytest.mark.parametrize("name", FOR_BOTH)
def test_the_second_pocket_family_is_asked_in_its_own_protocol(name: str) -> None:
    first, second = grid_of(name), grid_of(name, "pocket-gemma4")
    assert {recipe_of(source).base for source in second.adapters.values()} == {"pocket:gemma4"}
    assert {recipe_of(source).protocol for source in second.adapters.values()} == {second.model.protocol}
    assert second.model.protocol == "pixel_xyxy"
    assert named(second) == [row for row in named(first) if row[1] != "transfer"]


def test_the_second_familys_adapters_differ_as_the_firsts_do() -> None:
    first_of, second_of = (model_of(load_study("separability"), name).adapters for name in ("pocket", "pocket-gemma4"))
    assert set(first_of) - set(second_of) == {"transfer"}
    for role in second_of:
        first, second = (recipe_of(adapters[role]).to_dict() for adapters in (first_of, second_of))
        assert {key for key in first if first[key] != second[key]} == {"base", "protocol"}


def test_studies_share_their_runs() -> None:
    asked = [grid_of(name).runs for name in shipped_studies()]
    assert len({run for runs in asked for run in runs}) < sum(map(len, asked)) - 15


@pytest.mark.parametrize("name", OF_ALL_MODELS)
@pytest.mark.parametrize("model", ["gemma4-12b", "qwen3-vl-8b"])
def test_the_papers_models_have_every_task_and_recipe(name: str, model: str) -> None:
    grid = grid_of(name, model)
    recipes = {role: recipe_of(source) for role, source in grid.adapters.items()}
    assert {recipe.base for recipe in recipes.values()} <= {grid.model.pretrained}
    assert {recipe.protocol for recipe in recipes.values()} <= {grid.model.protocol}


def test_the_papers_adapters_are_those_of_its_section_8() -> None:
    model = model_of(load_study("coco-transfer"), "gemma4-12b")
    assert {
        role: (recipe.task, recipe.targets, recipe.rank, recipe.alpha, recipe.steps, recipe.learning_rate)
        for role, recipe in ((role, recipe_of(source)) for role, source in model.adapters.items())
    } == {
        "high": ("boxlist_dense_bbox_insplad", "qkvo", 32, 64, 120, 1e-4),
        **{
            f"qv_r{rank}": ("boxlist_dense_bbox_insplad", "qv", rank, 2 * rank, 40, 1e-4) for rank in (4, 8, 16, 32, 64)
        },
        "transfer": ("boxlist_dense_bbox_coco", "qkvo", 32, 64, 120, 1e-4),
        "transfer_160": ("boxlist_dense_bbox_coco_80", "qkvo", 32, 64, 120, 1e-4),
    }


def test_a_task_that_is_not_there_is_said_at_once(write_study: Callable[..., str]) -> None:
    with pytest.raises(InputError) as refused:
        grid_of(write_study(("boxlist_inventory_shapes", "boxlist_inventory_clouds")), "small")
    assert str(refused.value).startswith("study mine with small: expected the task boxlist_inventory_clouds, got none")
    assert "in this version of boxlist. Use --model pocket, or a task that is there" in str(refused.value)


@pytest.mark.parametrize("name", OF_ALL_MODELS)
@pytest.mark.parametrize("model", ["gemma4-12b", "qwen3-vl-8b"])
def test_with_tasks_and_adapters_given_every_study_has_a_plan(name: str, model: str) -> None:
    study = load_study(name)
    given = model_of(study, model)
    complete = with_overrides(
        given,
        adapters={role: f"me/{role}" for role in given.adapters},
        tasks=dict.fromkeys(given.tasks, DENSE),
        model_args={"pretrained": "./here", "dtype": "bfloat16"},
    )
    grid = plan_grid(study, complete)
    assert grid.rows
    assert complete.pretrained == "./here"
    assert complete.model_args == {"dtype": "bfloat16"}
    assert {source.path for source in grid.adapters.values()} <= {f"me/{role}" for role in given.adapters}


def test_an_adapter_that_nobody_gave_is_said_at_once(write_study: Callable[..., str]) -> None:
    file = write_study(("adapter: quick", "adapter: given"))
    with pytest.raises(InputError) as refused:
        grid_of(file, "small")
    assert str(refused.value) == (
        "study mine with small: expected your adapter for given (from elsewhere), got none. "
        "Give --adapter given=PATH_OR_HUB_ID."
    )
    study = load_study(file)
    model = with_overrides(model_of(study, "small"), adapters={"given": "me/x"}, tasks={}, model_args={})
    assert plan_grid(study, model).adapters["given"].path == "me/x"


def test_a_set_of_the_users_own_may_be_the_task(
    write_study: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path))
    study = load_study(write_study())
    own = "boxlist_dense_bbox_pets"
    model = with_overrides(model_of(study, "small"), adapters={}, tasks={"dense": own}, model_args={})
    with pytest.raises(InputError, match=f"expected the task {own}, got none in this version"):
        plan_grid(study, model)
    (tmp_path / "own" / "pets").mkdir(parents=True)
    (tmp_path / "own" / "pets" / SPEC_FILE).touch()
    assert plan_grid(study, model).runs[0].task == own


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("adapter: quick", "adapter: qick", "adapter of small 'qick': expected one of given, quick"),
        ("task: inventory,", "task: inventry,", "task of small 'inventry': expected one of dense, inventory"),
        ('controls: "budget=4,', 'controls: "bugdet=4,', "control 'bugdet': expected one of budget"),
        ("target: target_shape_valid", "target: f2", "target 'f2': expected one of "),
        ("each: {n: budgets}", "each: {n: budget}", "each n: expected a list, or the name of one among the model's"),
        ("each: {n: budgets}", "each: {m: budgets}", "'budget={n}': value 'n': expected one of budget, budgets, m"),
        ('"budget {n}"', '"{n.__class__}"', "value 'n.__class__': expected one of budget, budgets, n"),
    ],
)
def test_wrong_rows_get_one_line(write_study: Callable[..., str], old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        grid_of(write_study((old, new)), "small")
    assert said in str(refused.value)


def test_a_role_that_the_model_has_not_is_refused(write_study: Callable[..., str]) -> None:
    model = model_of(load_study(write_study()), "small")
    with pytest.raises(InputError, match="--adapter hihg: role of small 'hihg': expected one of given, quick"):
        with_overrides(model, adapters={"hihg": "x"}, tasks={}, model_args={})


def test_the_guides_own_study_is_one(tmp_path: Path) -> None:
    guide = Path(__file__).parents[2] / "docs" / "studies" / "README.md"
    file = tmp_path / "mine.yaml"
    file.write_text(guide.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0])
    grid = grid_of(str(file), "mine")
    assert [block.title for block in grid.blocks] == ["my adapter", "half the steps"]
    assert [row.name for row in grid.blocks[0].rows] == [
        "base",
        "raw",
        "budget 4",
        "budget 6",
        "budget 8",
        "budget 8 + stop",
    ]
    assert grid.adapters["high"].path == "me/adapter"


def test_the_guide_lists_every_study() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "studies" / "README.md").read_text(encoding="utf-8")
    assert [name for name in shipped_studies() if f"](../../src/boxlist/studies/{name}.yaml) |" not in guide] == []
