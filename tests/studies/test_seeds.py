"""Rows of several training seeds: which adapters they need, what stands in the tables, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.cli import main
from boxlist.errors import InputError
from boxlist.metrics.summary import task_scores
from boxlist.runs.engine import RunResult
from boxlist.studies import study as study_module
from boxlist.studies.grid import plan_grid
from boxlist.studies.pool import Pool, recipe_of
from boxlist.studies.study import StudyResult, do_study, markdown_page
from boxlist.studies.study_file import load_study, model_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from boxlist.runs.request import RunRequest
    from boxlist.studies.grid import Grid

ROWS = """\
  - adapter: quick
    seeds: [0, 1, 2]
    differences: [f1@0.3, duplicate_rate, max_repeat]
    rows:
      - {row: as it is}
      - {row: other, adapter: other}
"""
OTHER = "      other: {title: other, recipe: pocket_shapes_random_qv_r8, changes: {rank: 16}}\n"
IMAGES = 40
HITS = {"quick": 1, "quick-seed1": 2, "quick-seed2": 3, "other": 2, "other-seed1": 3, "other-seed2": 4}
"""True positives in every image of each adapter's run, of four records and four ground truths."""


def grid_of(file: str, model: str = "small") -> Grid:
    study = load_study(file)
    return plan_grid(study, model_of(study, model))


@pytest.fixture
def with_seeds(write_study: Callable[..., str]) -> Callable[..., str]:
    """`with_seeds((old, new), ...)`: a study whose only block is `ROWS`, changed."""
    file = Path(write_study())
    head = file.read_text().split("blocks:\n")[0].replace("      given:", f"{OTHER}      given:")

    def write(*changes: tuple[str, str]) -> str:
        rows = ROWS
        for old, new in changes:
            assert old in rows
            rows = rows.replace(old, new)
        file.write_text(f"{head}blocks:\n{rows}")
        return str(file)

    return write


def test_the_shipped_study_trains_seven_adapters_once_a_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "train-against-repeats", "--dry-run", "--out", "nowhere"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("train")]
    roles = ("random", "each_epoch", "reading", "noise", "unlikely", "heavier_end", "all_three")
    assert [line[-1] for line in lines] == [
        f"nowhere/pocket/adapters/{role}{seed}" for role in roles for seed in ("", "-seed1", "-seed2")
    ]
    assert [word for word in lines[-1] if "=" in word] == [
        "noise_records=3",
        "unlikely_repeats=1.0",
        "end_weight=4.0",
        "seed=2",
    ]


def test_its_rows_differ_from_the_first_in_what_they_say_and_seeds_in_the_seed() -> None:
    grid = grid_of("train-against-repeats", "pocket")
    shared = model_of(load_study("control-surface"), "pocket")
    first = recipe_of(shared.adapters["random"]).to_dict()
    assert (grid.model.pretrained, grid.model.protocol, grid.model.batch_size, grid.model.tasks["dense"]) == (
        shared.pretrained,
        shared.protocol,
        shared.batch_size,
        shared.tasks["dense"],
    )
    noise, unlikely, end = {"noise_records": 3}, {"unlikely_repeats": 1.0}, {"end_weight": 4.0}
    wanted: dict[str, dict[str, Any]] = {
        "random order, drawn once": {},
        "random order, each epoch": {"list_order": "random_each_epoch"},
        "reading order": {"list_order": "reading"},
        "+ noise records": noise,
        "+ unlikely repeats": unlikely,
        "+ heavier end": end,
        "+ all three": {**noise, **unlikely, **end},
    }
    for row in grid.rows:
        for seed, run in enumerate(row.seeds):
            recipe = recipe_of(grid.model.adapters[run.asked.adapter]).to_dict()
            assert recipe == {**first, **wanted[row.name], "seed": seed}
    assert [row.name for row in grid.rows] == list(wanted)


def test_the_recipes_own_seed_is_trained_once_and_base_rows_have_none(with_seeds: Callable[..., str]) -> None:
    file = Path(
        with_seeds(
            ("[0, 1, 2]", "[3, 0]"),
            ("    differences: [f1@0.3, duplicate_rate, max_repeat]\n", ""),
            (
                "{row: other, adapter: other}",
                "{row: base, adapter: none}\n      - {row: given, adapter: other, seeds: []}",
            ),
        )
    )
    with pytest.raises(InputError, match=r"blocks\[0\]: seeds of other: expected seeds, each once, got \[\]"):
        grid_of(str(file))
    file.write_text(file.read_text().replace("changes: {rank: 4}", "changes: {seed: 3}").replace(", seeds: []", ""))
    grid = grid_of(str(file))
    assert [row.runs for row in grid.rows][1] == [grid.rows[1].asked]
    assert list(grid.adapters) == ["quick", "quick-seed0", "other-seed3", "other"]
    assert recipe_of(grid.adapters["quick"]).seed == 3
    assert grid.adapters["quick-seed0"].changes == {"seed": 0}


def rows_of(adapter: str) -> list[dict[str, Any]]:
    hits = HITS[adapter]
    twice = HITS[adapter.partition("-")[0]]
    image = {"n_pred": 4, "n_gt": 4, "tp@0.3": hits, "duplicate_rate": 0.25, "max_repeat": twice}
    return [{"image_id": number, **image} for number in range(IMAGES)]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], StudyResult]:
    """A study done with trainings and runs stood in for; every image of a run is the same."""
    metrics = ("f1@0.3", "duplicate_rate", "max_repeat")

    def run(request: RunRequest, _say: object) -> RunResult:
        adapter = str(request.model_args["adapter"]).rpartition("/")[2]
        return RunResult(request.path, {}, {"tasks": {request.tasks[0]: task_scores(rows_of(adapter), metrics)}}, 80)

    def do(file: str) -> StudyResult:
        grid = grid_of(file)
        return do_study(grid, Pool(tmp_path, grid.model), replayed=False, say=lambda _: None)

    monkeypatch.setattr(study_module, "run", run)
    monkeypatch.setattr(study_module, "train_if_needed", lambda *_: None)
    return do


def test_a_row_is_the_mean_over_seeds_and_stands_beside_the_first(
    with_seeds: Callable[..., str], done: Callable[[str], StudyResult], tmp_path: Path
) -> None:
    """F1 is 1/4, 2/4, 3/4 and, a hit more in every image, 2/4, 3/4, 4/4."""
    result = done(with_seeds())
    first, other = result.to_json()["rows"]
    assert first["metrics"]["f1@0.3"] == {
        "value": 0.5,
        "ci_low": 0.25,
        "ci_high": 0.75,
        "n": IMAGES,
        "interval": "percentile",
        "few_images": False,
    }
    assert [(one["seed"], one["metrics"]["f1@0.3"]["value"]) for one in other["seeds"]] == [(0, 0.5), (1, 0.75), (2, 1)]
    assert other["seeds"][1]["run"] == str(
        tmp_path / "small" / "runs" / "other-seed1" / "boxlist_dense_bbox_shapes" / "raw"
    )
    assert first["differences"] == {}
    assert other["differences"] == {
        "f1@0.3": pytest.approx({"difference": 0.25, "ci_low": 0.25, "ci_high": 0.25}),
        "duplicate_rate": {"difference": 0.0, "ci_low": 0.0, "ci_high": 0.0},
        "max_repeat": {"difference": 1.0, "ci_low": None, "ci_high": None},
    }
    page = markdown_page([result], "c")
    assert "| other | 0.750 [0.500, 1.000] | 0.250 [0.250, 0.250] |  |\n" in page
    assert (
        "**q/v rank 8: beside as it is**\n\n"
        "| row | f1@0.3, seed by seed | difference [95%] | duplicate_rate, seed by seed | difference [95%] | "
        "max_repeat, seed by seed | difference [95%] |\n|---|---|---|---|---|---|---|\n"
        "| as it is | 0.250 / 0.500 / 0.750 |  | 0.250 / 0.250 / 0.250 |  | 1.000 / 1.000 / 1.000 |  |\n"
        "| other | 0.500 / 0.750 / 1.000 | +0.250 [+0.250, +0.250], different | 0.250 / 0.250 / 0.250 | "
        "+0.000 [+0.000, +0.000] | 2.000 / 2.000 / 2.000 | +1.000 |\n"
    ) in page
    said = "Rows are over training seeds 0, 1, 2: the mean of their figures (max repeat: the largest)."
    assert said in page
    assert "still falls on one side for all of them in one case of 4." in page
    assert "Differences are from the block's first row, paired by image and by seed, and called different " in page
    assert said in result.text()
    assert "other     0.500 / 0.750 / 1.000  +0.250 [+0.250, +0.250], different" in result.text()
    json.dumps(result.to_json())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0, 1, 2]", "3", "blocks[0]: seeds: expected a list, or the name of one, got 3."),
        ("[0, 1, 2]", "sevens", "blocks[0]: seeds: expected a list, or the name of one among the model's values, "),
        ("[0, 1, 2]", "[1, 1]", "blocks[0]: seeds of quick: expected seeds, each once, got [1, 1]. Write them as "),
        ("[0, 1, 2]", "[0, a]", "adapter q/v rank 8: seed: expected a whole number from 0 to 4294967295, got 'a'."),
        ("adapter: other", "adapter: given", "seeds of given: expected a recipe, to train it once a seed, got none."),
        ("f1@0.3", "f1", "blocks[0]: differences 'f1': expected one of "),
        ("adapter: other", "task: inventory", "differences: expected rows of one task, got boxlist_dense_bbox_shapes "),
        ("adapter: other", "seeds: [0]", "differences: expected rows of the same seeds, got (0, 1, 2) and (0,). Put "),
    ],
)
def test_wrong_seeds_get_one_line(with_seeds: Callable[..., str], old: str, new: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        grid_of(with_seeds((old, new)))
    assert said in str(refused.value)


def test_names_and_columns_that_seeds_cannot_have_are_refused(with_seeds: Callable[..., str]) -> None:
    file = Path(with_seeds())
    text = file.read_text()
    for old, new, said in (
        ("      other:", "      quick-seed1: {title: t, path: a/b}\n      other:", "expected no other adapter called "),
        ("trigger_rate]", "tokens_saved]", "columns: expected columns of metrics, with seeds, got tokens_saved."),
    ):
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError) as refused:
            grid_of(str(file))
        assert said in str(refused.value)
