"""Which runs may be compared, and what the refusal names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.reports.comparable import pair_tasks
from boxlist.reports.saved_runs import read_saved_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.reports.comparable import TaskPair

TASK = "boxlist_dense_bbox_shapes"


def pair(a: Path, b: Path, *tasks: str, mixed: tuple[str, ...] = ()) -> list[TaskPair]:
    return pair_tasks(read_saved_run(a), read_saved_run(b), tasks, mixed)


def test_images_are_brought_into_the_first_runs_order(save_run: Callable[..., Path]) -> None:
    (found,) = pair(save_run("a", [1, 2, 3], image_ids=[7, 8, 9]), save_run("b", [3, 1, 2], image_ids=[9, 7, 8]))
    assert found.image_ids == (7, 8, 9)
    assert found.a["tp@0.3"].tolist() == found.b["tp@0.3"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"images": "e" * 64}, r"task {task}: expected the same images, got dddddddd and eeeeeeee\. Run or score both"),
        ({"prompt": "q" * 64}, r"the same prompt, got pppppppp and qqqqqqqq\. .* or pass --mix prompt\."),
        ({"protocol": "pixel_xyxy"}, r"the same protocol, got norm1000_xyxy and pixel_xyxy\. Pass --mix protocol"),
        ({"protocol": None}, r"the same protocol, got norm1000_xyxy and none recorded\."),
        ({"definitions": "f" * 64}, r"the same definitions, got [0-9a-f]{{8}} and ffffffff\. Score both with the same"),
        ({"image_ids": [1, 2, 33]}, r"the same images, got 1 only in the first \(3\); 1 only in the second \(33\)\."),
        ({"image_ids": [1, 2, "3"]}, r"1 only in the first \(3\); 1 only in the second \(3\)\."),
        ({"task": "boxlist_dense_bbox_trees"}, r"the same tasks, got {task} only in .*a; .*_trees only in .*b\. Name"),
    ],
)
def test_what_differs_is_named(save_run: Callable[..., Path], other: dict[str, Any], message: str) -> None:
    a, b = save_run("a", [1, 2, 3]), save_run("b", [1, 2, 3], **other)
    with pytest.raises(InputError, match=message.format(task=TASK)):
        pair(a, b)


def test_fewer_images_are_named(save_run: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"the same images, got 4 only in the first \(3, 4, 5, \.\.\.\)\."):
        pair(save_run("a", [1] * 6), save_run("b", [1] * 2))


@pytest.mark.parametrize("term", ["prompt", "protocol"])
def test_families_may_be_mixed_where_asked(save_run: Callable[..., Path], term: str) -> None:
    a, b = save_run("a", [1, 2, 3]), save_run("b", [1, 2, 3], **{term: "other"})
    assert len(pair(a, b, mixed=(term,))) == 1


def test_an_unknown_task_has_near_matches(save_run: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"runs/a: task 'boxlist_dense': .* Did you mean boxlist_dense_bbox_shapes\?"):
        pair(save_run("a", [1]), save_run("b", [1]), "boxlist_dense")


def test_scores_files_pair_whatever_their_one_task_is_called(tmp_path: Path, save_run: Callable[..., Path]) -> None:
    files = []
    for name in ("mine", "theirs"):
        scores = json.loads((save_run(name, [1, 2, 3]) / "scores.json").read_text())
        scores["tasks"] = {name: {**scores["tasks"][TASK], "ground_truth_sha256": "g" * 64}}
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps({**scores, "protocol": "pixel_xyxy"}))
    (found,) = pair(files[0], files[1])
    assert found.name == "mine"
