"""Runs whose rows share pictures: compared, ranked and gated by picture, also beside runs that do not say theirs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from boxlist.metrics.pictures import PICTURE
from boxlist.reports.comparison import compare_runs
from boxlist.reports.comparison_text import to_json
from boxlist.reports.gate.baseline import read_baseline, write_baseline
from boxlist.reports.gate.data import to_json as gate_json
from boxlist.reports.gate.plan import read_plan
from boxlist.reports.gate.verdicts import judge_run
from boxlist.reports.leaderboard.entries import read_entries
from boxlist.reports.leaderboard.tables import build_tables
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"
HITS = np.random.default_rng(0).integers(3, 9, 20)
A, B = np.repeat(HITS, 3).tolist(), np.repeat(HITS + np.random.default_rng(1).integers(-1, 2, 20), 3).tolist()


@pytest.fixture
def save(save_run: Callable[..., Path]) -> Callable[..., Path]:
    """A run of 60 questions, three about each of 20 pictures, which only `says=True` rows say."""

    def saved(name: str, hits: list[int], *, says: bool) -> Path:
        folder = save_run(name, hits)
        scores: dict[str, Any] = json.loads((folder / "scores.json").read_text())
        rows = scores["tasks"][TASK]["per_image"]
        if says:
            named = [{**row, PICTURE: f"picture {place // 3}"} for place, row in enumerate(rows)]
            scores["tasks"][TASK]["per_image"] = named[::-1]
        (folder / "scores.json").write_text(json.dumps(scores))
        return folder

    return saved


def difference(a: Path, b: Path) -> Any:
    return to_json(compare_runs(read_saved_run(a), read_saved_run(b)))["tasks"][TASK]


def test_a_comparison_resamples_pictures_if_either_run_says_them(save: Callable[..., Path]) -> None:
    old_a, old_b = save("old a", A, says=False), save("old b", B, says=False)
    new_a, new_b = save("new a", A, says=True), save("new b", B, says=True)
    by_question, by_picture = difference(old_a, old_b), difference(new_a, new_b)
    assert (by_question["n"], by_question["few_images"], "pictures" in by_question) == (60, False, False)
    assert (by_picture["n"], by_picture["few_images"], by_picture["pictures"]) == (60, True, 20)
    assert difference(old_a, new_b)["metrics"] == difference(new_a, old_b)["metrics"] == by_picture["metrics"]
    assert difference(old_a, new_b)["changed_images"] == by_question["changed_images"]
    wide, narrow = by_picture["metrics"]["f1@0.3"], by_question["metrics"]["f1@0.3"]
    assert (wide["a"], wide["b"], wide["n"]) == (narrow["a"], narrow["b"], narrow["n"])
    widths = [each["ci_high"] - each["ci_low"] for each in (wide, narrow)]
    assert widths[0] / widths[1] == pytest.approx(3**0.5, rel=0.15)
    assert wide["p"] > narrow["p"]


def test_a_leaderboard_ranks_by_picture(save: Callable[..., Path]) -> None:
    paths = [save("a", A, says=False), save("b", B, says=True)]
    (table,) = build_tables(read_entries(paths).entries)
    assert (table.n_images, table.n_pictures, table.few_images) == (60, 20, True)
    (plain,) = build_tables(read_entries([paths[0], save("c", B, says=False)]).entries)
    assert (plain.n_images, plain.n_pictures, plain.few_images) == (60, 60, False)
    worse, alone = (max(row.standing.p or 0 for row in found.rows) for found in (table, plain))
    assert worse > alone


def test_a_gate_rests_on_pictures_through_its_baseline_file(save: Callable[..., Path], tmp_path: Path) -> None:
    gate, baseline = tmp_path / "gate.yaml", tmp_path / "baseline.json"
    gate.write_text(f"baseline: baseline.json\ntasks: {{{TASK}: {{margins: {{f1@0.3: 0.3}}}}}}\n")
    run, lines = read_saved_run(save("run", B, says=False)), {}
    for says in (True, False):
        write_baseline(baseline, read_saved_run(save(f"accepted {says}", A, says=says)), [TASK])
        assert (f'"{PICTURE}"' in baseline.read_text()) is says
        result = judge_run(read_plan(gate), read_baseline(baseline), run)
        (lines[says],) = gate_json(result)["lines"]
    assert (lines[True]["n"], lines[True]["pictures"]) == (60, 20)
    assert (lines[False]["n"], "pictures" in lines[False]) == (60, False)
    assert (lines[True]["verdict"], lines[True]["reason"]) == ("cannot tell", "under 30 images nothing passes")
    assert lines[False]["verdict"] == "pass"
