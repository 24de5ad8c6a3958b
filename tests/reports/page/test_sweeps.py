"""Which runs differ by one thing only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from boxlist.reports.page.sweeps import budget_sweeps, controls_text, lora_of, rank_sweeps
from boxlist.reports.page.views import View
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = "boxlist_dense_bbox_shapes"


@pytest.fixture(scope="module")
def views(fake_runs: Path) -> dict[str, View]:
    found = {}
    for number, path in enumerate(sorted(fake_runs.iterdir())):
        run = read_saved_run(path)
        found[run.name] = View(run.name, number, run, run.tasks[SHAPES])
    return found


def test_budgets_with_and_without_repeat_stop_are_two_lines(views: dict[str, View]) -> None:
    sweeps = budget_sweeps(list(views.values()))
    assert {(sweep.name, *sweep.numbers) for sweep in sweeps} == {("no other control", 4, 6), ("repeat_stop", 4, 6)}


def test_ranks_come_from_unchanged_adapter_folders(views: dict[str, View]) -> None:
    (sweep,) = rank_sweeps(list(views.values()))
    assert (sweep.name, sweep.numbers) == ("raw", [4, 8])
    assert [view.label for view in sweep.views] == ["r4-raw", "r8-raw"]


def test_a_changed_adapter_has_no_rank(views: dict[str, View]) -> None:
    adapter = views["r4-raw"].adapter
    assert lora_of(adapter)["r"] == 4
    assert lora_of({**adapter, "sha256": "0" * 64}) == {}
    assert lora_of({"path": "owner/name", "sha256": "0" * 64}) == {}
    assert lora_of({**adapter, "sha256": "0" * 64, "r": 16})["r"] == 16


def test_another_base_is_another_line(views: dict[str, View]) -> None:
    old = views["r8-budget=6"]
    run = replace(old.run, run={**old.run.run, "base": {"path": "fake/base", "weights_sha256": "c" * 64}})
    assert budget_sweeps([views["r8-budget=4"], replace(old, run=run)]) == []


def test_controls_text() -> None:
    assert controls_text({"budget": 8, "repeat_stop": True}) == "budget=8, repeat_stop"
    assert controls_text({}) == "raw"
