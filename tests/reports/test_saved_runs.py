"""Saved runs: what is read, what is refused with which words, and what is never decoded."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from boxlist.errors import InputError
from boxlist.reports import saved_runs
from boxlist.reports.saved_runs import find_runs, read_saved_run
from boxlist.reports.score_command import score_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_a_run_folder_gives_columns_figures_and_terms(save_run: Callable[..., Path]) -> None:
    path = save_run("night", [5, 10, 0], parse_valid=[True, False, True])
    run = read_saved_run(path)
    task = run.tasks[TASK]
    assert (run.name, run.path, run.run["controls"]) == ("night", path, {})
    assert task.image_ids == (1, 2, 3)
    assert task.metrics == ("f1@0.3", "parse_valid", "predictions_per_image", "max_repeat")
    assert set(task.columns) == {"tp@0.3", "n_pred", "n_gt", "parse_valid", "max_repeat"}
    np.testing.assert_array_equal(task.columns["tp@0.3"], [5.0, 10.0, 0.0])
    np.testing.assert_array_equal(task.columns["parse_valid"], [1.0, 0.0, 1.0])
    assert all(column.dtype == np.float64 for column in task.columns.values())
    assert task.figures["f1@0.3"]["value"] == pytest.approx(2 * 15 / 60)
    assert task.figures["max_repeat"]["ci_low"] is None
    terms = task.terms
    assert (terms.images, terms.prompt, terms.protocol) == ("d" * 64, "p" * 64, "norm1000_xyxy")


def test_only_the_columns_that_are_asked_for_are_read(save_run: Callable[..., Path]) -> None:
    path = save_run("night", [5, 10, 0])
    task = read_saved_run(path, ["parse_valid", "count_mae"]).tasks[TASK]
    assert set(task.columns) == {"parse_valid"}
    assert "f1@0.3" in task.metrics


def test_undefined_values_are_nan_and_ids_may_be_texts(save_run: Callable[..., Path]) -> None:
    path = save_run("night", [5, 10], image_ids=["a", "b"])
    edit(path / "scores.json", lambda scores: scores["tasks"][TASK]["per_image"][1].update(parse_valid=None))
    task = read_saved_run(path).tasks[TASK]
    assert task.image_ids == ("a", "b")
    assert math.isnan(task.columns["parse_valid"][1])


def test_metrics_of_a_later_boxlist_are_passed_over(save_run: Callable[..., Path]) -> None:
    path = save_run("night", [5, 10])
    edit(path / "scores.json", lambda scores: scores["tasks"][TASK]["metrics"].update(novel={"value": 1.0}))
    assert "novel" not in read_saved_run(path).tasks[TASK].metrics


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_a_file_of_boxlist_score_is_a_run_without_run_json(tmp_path: Path) -> None:
    truth = {
        "images": [{"id": 7, "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [10, 10, 20, 20]}],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "cats.jsonl").write_text('{"image_id": 7, "response": "[]"}')
    (tmp_path / "mine").mkdir()
    for name in ("mine/scores.json", "other.json"):
        score_files(tmp_path / "cats.jsonl", tmp_path / "truth.json", "pixel_xyxy", tmp_path / name)
    run = read_saved_run(tmp_path / "mine" / "scores.json")
    assert (run.name, run.run, list(run.tasks)) == ("mine", {}, ["cats"])
    assert read_saved_run(tmp_path / "other.json").name == "other"
    terms = run.tasks["cats"].terms
    assert terms.images is not None
    assert (len(terms.images), terms.prompt, terms.protocol) == (64, None, "pixel_xyxy")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s["tasks"][TASK]["per_image"][1].pop("n_pred"),
            "image 2: expected a column 'n_pred', got none. Score",
        ),
        (lambda s: s["tasks"][TASK]["per_image"][1].update({"tp@0.3": "9"}), "got `str`"),
        (lambda s: s["tasks"][TASK]["per_image"][1].update(image_id=1), "expected a row for each image, got an image"),
        (lambda s: s["tasks"][TASK].update(per_image=[]), "expected a row for each image, got no rows"),
        (lambda s: s["tasks"][TASK].pop("metrics"), "missing required field `metrics`"),
        (lambda s: s.update(tasks={}), "expected at least one task, got none"),
        (lambda s: s.update(tasks=[]), "Expected `object`, got `array`"),
        (lambda s: s.update(schema=2), "expected schema 1, got schema 2"),
    ],
)
def test_scores_that_are_wrong_are_refused_in_one_line(
    change: Callable[[dict[str, Any]], object], message: str, save_run: Callable[..., Path]
) -> None:
    path = save_run("night", [5, 10])
    edit(path / "scores.json", change)
    with pytest.raises(InputError) as refused:
        read_saved_run(path)
    assert str(refused.value).startswith(str(path / "scores.json"))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "\xff", '{"tasks": {"t": {"metrics": {"x": {"value": NaN}}}}}']
)
def test_what_is_no_json_is_refused(text: str, save_run: Callable[..., Path]) -> None:
    path = save_run("night", [5, 10])
    (path / "scores.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"scores\.json: expected the scores of boxlist, got .*\. Score the answers"):
        read_saved_run(path)


def test_an_unfinished_run_says_how_to_go_on(save_run: Callable[..., Path]) -> None:
    path = save_run("night", [5], status="running")
    with pytest.raises(InputError, match=r"got status running\. Repeat its command; it continues\."):
        read_saved_run(path)


def test_sizes_are_bounded_before_anything_is_read(
    save_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_run("night", [5])
    with (path / "scores.json").open("r+b") as file:
        file.truncate(saved_runs.LARGEST_SCORES_BYTES + 1)  # a file of holes
    with pytest.raises(InputError, match="expected at most 512 MB, got 512 MB"):
        read_saved_run(path)
    monkeypatch.setattr(saved_runs, "LARGEST_RUN_BYTES", 8)
    with pytest.raises(InputError, match=r"run\.json: expected at most"):
        read_saved_run(path)


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scores.json")
    with pytest.raises(InputError, match="expected a file, got something else"):
        read_saved_run(tmp_path / "scores.json")


def test_runs_are_found_below_a_folder(tmp_path: Path, save_run: Callable[..., Path]) -> None:
    first, second = save_run("b", [5]), save_run("study/a", [5])
    runs = tmp_path / "runs"
    (runs / "scored.json").write_text("{}")
    (runs / ".hidden").mkdir()
    (runs / ".hidden" / "scores.json").write_text("{}")
    (runs / "loop").symlink_to(runs)
    assert find_runs(runs) == [first, runs / "scored.json", second]
    (runs / "adapter").mkdir()
    for name in ("adapter_config.json", "losses.json"):
        (runs / "adapter" / name).write_text("{}")
    assert find_runs(runs) == [first, runs / "scored.json", second], "adapters lie beside their runs"
    assert find_runs(first) == [first]
    assert find_runs(runs / "scored.json") == [runs / "scored.json"]


def test_a_folder_without_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a run folder, a scores file, or a folder that holds some"):
        find_runs(tmp_path)
