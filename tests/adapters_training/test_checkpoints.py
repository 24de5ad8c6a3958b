"""The folder of a training under way: only whole checkpoints count, and only for the same plan."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from boxlist.adapters_training import checkpoints
from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

PLAN = {
    "recipe": {"steps": 4, "rank": 8},
    "base": {"identity": {"config_sha256": "a" * 64}},
    "versions": {"torch": "1"},
}


def test_only_whole_checkpoints_count_and_halves_are_removed(tmp_path: Path) -> None:
    assert checkpoints.last_checkpoint(tmp_path) is None
    for step in (2, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-x").mkdir()
    checkpoints.mark_complete(tmp_path, 2)
    checkpoints.mark_complete(tmp_path, 10)
    assert checkpoints.last_checkpoint(tmp_path) == (10, tmp_path / "checkpoint-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"]


def test_a_training_under_way_is_continued_only_when_asked(tmp_path: Path) -> None:
    work = checkpoints.training_folder(tmp_path / "mine")
    checkpoints.check(work, PLAN, resume=False)
    checkpoints.begin(work, PLAN)
    assert work.name == "mine.training"
    checkpoints.check(work, PLAN, resume=True)
    with pytest.raises(InputError, match=r"mine.training: expected no training under way, .*Continue it with --resume"):
        checkpoints.check(work, PLAN, resume=False)


def test_another_plan_is_refused_by_what_differs(tmp_path: Path) -> None:
    checkpoints.begin(tmp_path, PLAN)
    other = {
        "recipe": {"steps": 4, "rank": 16},
        "base": {"identity": {"config_sha256": "b" * 64}},
        "versions": {"torch": "2"},
    }
    with pytest.raises(InputError) as raised:
        checkpoints.check(tmp_path, other, resume=True)
    assert "recipe.rank was 8, now 16" in str(raised.value)
    assert 'base.identity was {"config_sha256": "aaa' in str(raised.value)
    assert "torch" not in str(raised.value)


def test_versions_alone_are_no_other_plan(tmp_path: Path) -> None:
    checkpoints.begin(tmp_path, PLAN)
    checkpoints.check(tmp_path, {**PLAN, "versions": {"torch": "2"}}, resume=True)


def test_a_plan_with_another_key_differs() -> None:
    assert checkpoints.plan_differences({"recipe": {}}, {"recipe": {"new": 1}}) == ["recipe.new was null, now 1"]
    assert checkpoints.plan_differences({}, {"data": {}}) == ["data is not noted"]


def test_two_trainings_never_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a.training"
    with checkpoints.alone(folder):
        checkpoints.begin(folder, {"recipe": {}})
        with pytest.raises(InputError) as caught, checkpoints.alone(folder):
            pass
        assert str(caught.value) == (
            f"{folder}: expected no other boxlist at work in this training, got process {os.getpid()}. "
            "Wait until it ends, or give another --out."
        )
    with checkpoints.alone(folder):
        assert (folder / checkpoints.PLAN_FILE).is_file(), "what was begun is still there"


def test_a_training_that_never_began_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError), checkpoints.alone(tmp_path / "runs" / "adapters" / "a.training"):
        raise InputError("base", expected="one", got="none", remedy="Give one.")
    assert list(tmp_path.iterdir()) == []
