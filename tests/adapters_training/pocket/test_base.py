"""The committed pocket bases keep the bars that their card states, on the held-out shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from boxlist.adapters_training.pocket import CHECKPOINT
from boxlist.runs.engine import run
from boxlist.runs.request import RunRequest

if TYPE_CHECKING:
    from pathlib import Path

DENSE, INVENTORY, SPATIAL = "boxlist_dense_bbox_shapes", "boxlist_inventory_shapes", "boxlist_spatial_count_shapes"
POINTING = "boxlist_pointing_shapes"
MEGABYTE = 1_000_000


class Base(NamedTuple):
    """A committed checkpoint, and the protocols that it writes boxes and points in."""

    name: str
    boxes: str
    points: str

    @property
    def folder(self) -> Path:
        return CHECKPOINT.parent / self.name


BASES = (Base("qwen3vl", "norm1000_xyxy", "percent_xy"), Base("gemma4", "pixel_xyxy", "pixel_xy"))


@pytest.fixture(scope="module", params=BASES, ids=[base.name for base in BASES])
def base(request: pytest.FixtureRequest) -> Base:
    chosen: Base = request.param
    return chosen


@pytest.fixture(scope="module")
def scores(base: Base, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out: Path = tmp_path_factory.mktemp("runs")
    tasks: dict[str, Any] = {}
    for protocol, asked in ((base.boxes, (DENSE, INVENTORY, SPATIAL)), (base.points, (POINTING,))):
        arguments = {"pretrained": str(base.folder), "protocol": protocol}
        request = RunRequest(tasks=asked, name=protocol, model_args=arguments, out=out, batch_size=40)
        tasks |= run(request, lambda _: None).scores["tasks"]
    return {name: task["metrics"] for name, task in tasks.items()}


def test_it_writes_lists_and_localises_nothing_in_them(scores: dict[str, Any]) -> None:
    assert scores[DENSE]["parse_valid"]["value"] >= 0.95
    assert scores[DENSE]["f1@0.3"]["value"] <= 0.05
    assert scores[DENSE]["predictions_per_image"]["value"] >= 1


def test_it_counts(scores: dict[str, Any]) -> None:
    assert scores[SPATIAL]["count_exact"]["value"] >= 0.8


def test_it_keeps_the_shape_of_an_inventory(scores: dict[str, Any]) -> None:
    assert scores[INVENTORY]["target_shape_valid"]["value"] >= 0.98


def test_it_points(scores: dict[str, Any]) -> None:
    assert scores[POINTING]["point_success@0.05_all"]["n"] > 400
    assert scores[POINTING]["point_success@0.05_all"]["value"] >= 0.8


def test_it_is_small(base: Base) -> None:
    assert sum(path.stat().st_size for path in base.folder.iterdir()) <= 12 * MEGABYTE
