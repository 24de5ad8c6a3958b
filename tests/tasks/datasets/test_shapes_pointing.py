"""The pointing questions over shapes: what is asked, where the right point is, and that a second build is equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, documents
from boxlist.tasks.datasets.manifest import ANNOTATIONS, MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_shapes_pointing_asks_what_is_there_once(shapes: Path) -> None:
    asked = documents("shapes_pointing", "test")
    scenes = {scene["pixels_sha256"]: scene for scene in documents("shapes", "test")}
    assert (len(asked), len({document["file"] for document in asked})) == (481, 80)
    assert {document["pixels_sha256"] for document in asked} == scenes.keys()
    assert {document["picture"] for document in asked} == {pixels[:16] for pixels in scenes}
    assert not any("picture" in scene for scene in scenes.values())
    for document in asked:
        labels = [item["label"] for item in scenes[document["pixels_sha256"]]["objects"]]
        assert labels.count(document["question"]["label"]) == 1
        (item,) = document["objects"]
        x1, y1, x2, y2 = item["box_xyxy_px"]
        np.testing.assert_allclose(document["answer"]["points_xy_px"], [[(x1 + x2) / 2, (y1 + y2) / 2]])


def test_a_second_build_is_equal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path))
    place = build_dataset("shapes_pointing") / "test"
    before = [(place / name).read_bytes() for name in (ANNOTATIONS, MANIFEST)]
    build_dataset("shapes_pointing", force=True)
    assert [(place / name).read_bytes() for name in (ANNOTATIONS, MANIFEST)] == before
    assert check_dataset("shapes_pointing") == []
    assert sorted(path.name for path in place.iterdir()) == [ANNOTATIONS, "images", MANIFEST]
