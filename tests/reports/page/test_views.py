"""Short names that tell runs apart, and which views stand in one section."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from boxlist.reports.page.views import LONGEST_LABEL, View, make_groups, short_labels
from boxlist.reports.saved_runs import SavedRun, read_saved_run

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = "boxlist_dense_bbox_shapes"


@pytest.fixture(scope="module")
def base(fake_runs: Path) -> SavedRun:
    return read_saved_run(fake_runs / "base")


def test_equal_names_are_told_apart_by_folder_and_then_by_number(base: SavedRun, tmp_path: Path) -> None:
    runs = [replace(base, path=tmp_path / place / "base") for place in ("a", "b", "b")]
    assert short_labels([*runs, replace(base, name="other")]) == ["a/base", "b/base #2", "b/base #3", "other"]


def test_long_names_keep_their_beginning_and_their_end(base: SavedRun) -> None:
    (label,) = short_labels([replace(base, name="model-" + "x" * 80 + "-repeat_stop")])
    assert len(label) == LONGEST_LABEL
    assert label.startswith("model-")
    assert label.endswith("-repeat_stop")


def test_a_task_over_the_same_images_is_one_section(base: SavedRun) -> None:
    views = [View("a", 0, base, task) for task in base.tasks.values()]
    views.append(View("b", 1, base, base.tasks[SHAPES]))
    groups = make_groups(views)
    assert (groups[0].task, len(groups[0].views)) == (SHAPES, 2)
    assert len(groups) == 3
    assert all(group.differing == [] for group in groups)


def test_what_the_views_of_a_section_do_not_share_is_named(base: SavedRun) -> None:
    task = base.tasks[SHAPES]
    other = replace(task, terms=replace(task.terms, prompt="p"), image_ids=task.image_ids[:3])
    (group,) = make_groups([View("a", 0, base, task), View("b", 1, base, other)])
    assert group.differing == ["number of images", "prompt"]


def test_other_images_are_another_section(base: SavedRun) -> None:
    task = base.tasks[SHAPES]
    other = replace(task, terms=replace(task.terms, images="0" * 64))
    assert len(make_groups([View("a", 0, base, task), View("b", 1, base, other)])) == 2
