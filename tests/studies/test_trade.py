"""What a control costs and saves, by hand, and on the right lists of the real data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.controls.table import Controls, parse_controls
from boxlist.protocols import protocol_named
from boxlist.studies.trade import tp_lost, trade, truth_trigger_rate
from boxlist.tasks.datasets.catalog import documents

if TYPE_CHECKING:
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"
NORM1000 = protocol_named("norm1000_xyxy")


def rows(*true_positives: int) -> list[Any]:
    return [{"image_id": number, "tp@0.3": count} for number, count in enumerate(true_positives)]


def test_true_positives_that_are_lost() -> None:
    found = tp_lost(list(reversed(rows(3, 2, 0, 5))), rows(4, 2, 0, 4))
    assert found["value"] == pytest.approx((1 + 0 + 0 - 1) / 10)
    assert found["n"] == 4
    assert found["few_images"]
    low, high = found["ci_low"], found["ci_high"]
    assert low is not None
    assert high is not None
    assert -0.25 <= low < 0 < high <= 0.25, "the worst and the best image alone"


def test_nothing_to_lose() -> None:
    assert tp_lost(rows(1, 0), rows(0, 0))["value"] is None


def test_the_right_lists_of_shapes_repeat_nothing_and_some_are_longer_than_eight() -> None:
    over_eight = sum(len(document["objects"]) > 8 for document in documents("shapes", "test"))
    assert truth_trigger_rate(TASK, NORM1000, Controls(repeat_stop=True))["value"] == 0
    assert truth_trigger_rate(TASK, NORM1000, Controls(max_items=8))["value"] == over_eight / 80 > 0
    assert truth_trigger_rate(TASK, NORM1000, Controls(max_items=9999))["value"] == 0
    assert truth_trigger_rate(TASK, NORM1000, Controls())["value"] is None
    assert truth_trigger_rate(TASK, protocol_named("resized_pixel_xyxy"), Controls(repeat_stop=True))["value"] is None


def test_a_row_beside_its_raw_answers(tmp_path: Path) -> None:
    for name, tokens, counts in (("raw", 100, (4, 2)), ("row", 60, (4, 1)), ("replayed", None, (4, 1))):
        (tmp_path / name).mkdir()
        run = {"schema": 1, "tokens": tokens, "protocol": "norm1000_xyxy"}
        (tmp_path / name / "run.json").write_text(json.dumps(run))
        scores = {"tasks": {TASK: {"per_image": rows(*counts)}}}
        (tmp_path / name / "scores.json").write_text(json.dumps(scores))
    controls = parse_controls("json_only,repeat_stop")
    found = trade(tmp_path / "row", tmp_path / "raw", TASK, controls)
    assert {name: figure["value"] for name, figure in found.items()} == {
        "tp_lost@0.3": pytest.approx(1 / 6),
        "tokens_saved": pytest.approx(0.4),
        "truth_trigger_rate": 0,
    }
    assert trade(tmp_path / "replayed", tmp_path / "raw", TASK, controls)["tokens_saved"]["value"] is None
