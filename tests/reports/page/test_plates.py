"""Which pictures are shown, in what order, and that what is shown is bounded."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from boxlist.metrics.inputs import GivenAnswer
from boxlist.reports.page import plates
from boxlist.reports.page.answered import DocumentShelf, from_run
from boxlist.reports.page.panels import LONGEST_LABEL, LONGEST_TEXT, MOST_RECORDS, box_panel, clip
from boxlist.reports.page.pictures import ALL_PICTURES_BYTES, data_uri
from boxlist.reports.page.plates import make_plates, worst_first
from boxlist.reports.page.views import View, make_views
from boxlist.reports.saved_runs import SavedTask, Terms, read_saved_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SHAPES, SPATIAL = "boxlist_dense_bbox_shapes", "boxlist_spatial_count_shapes"


def task(columns: Mapping[str, Sequence[float]]) -> SavedTask:
    arrays = {name: np.array(column, dtype=float) for name, column in columns.items()}
    n_images = len(next(iter(arrays.values())))
    return SavedTask("t", tuple(range(n_images)), (), arrays, 0, Terms(None, None, None, None))


def refuse(line: str) -> None:
    pytest.fail(line)


def test_the_worst_come_first_and_of_equals_those_that_repeat() -> None:
    boxes = [4, 4, 4, 0]
    columns: dict[str, Sequence[float]] = {
        "tp@0.3": [2, 2, 1, 0],
        "n_pred": boxes,
        "n_gt": boxes,
        "duplicate_rate": [0, 0.5, 0, 0],
    }
    assert worst_first(task(columns)) == [2, 1, 0, 3]  # nothing said where nothing is, is right


def test_of_other_probes_the_most_wrong_come_first() -> None:
    columns = {"target_shape_valid": [1, 1, 0], "count_exact": [1, 0, 0], "spatial_correct": [0, 0, 0]}
    assert worst_first(task(columns)) == [2, 1, 0]


@pytest.fixture(scope="module")
def views(fake_runs: Path) -> list[View]:
    runs = [read_saved_run(fake_runs / name) for name in ("base", "r8-raw")]
    return make_views(runs, {}, refuse)


def test_each_picture_is_there_once_with_the_panels_of_all_views(views: list[View]) -> None:
    found = make_plates(views, 80, refuse)
    assert len({plate.name for plate in found}) == len(found) == 12
    assert all([panel.view for panel in plate.panels] == [0, 1, 2, 3] for plate in found)
    assert [plate.panels[0].rank for plate in found] == list(range(12))


def test_few_pictures_are_the_worst_of_each_view_in_turn(views: list[View]) -> None:
    found = make_plates(views, 2, refuse)
    names = {plate.name for plate in found}
    assert len(names) == 2
    assert str(worst_first(views[0].task)[0]) in names
    assert names <= {str(image_id) for view in views for image_id in worst_first(view.task)[:2]}


def test_many_views_leave_room_for_fewer_pictures_and_say_so(
    views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plates, "MAX_PANELS", 12)
    said: list[str] = []
    assert len(make_plates(views, 80, said.append)) == 3
    assert said == ["3 pictures and not 80: there are 4 runs and tasks to show on each"]


def test_a_probe_without_boxes_shows_text_and_truth(views: list[View]) -> None:
    (number,) = (place for place, view in enumerate(views) if view.task.name == SPATIAL)
    panel = next(panel for panel in make_plates(views, 1, refuse)[0].panels if panel.view == number)
    assert not panel.boxes
    assert not panel.records
    assert json.loads(panel.target.text).keys() == {"count", "relation"}
    assert panel.prompt.text.startswith("How many ")


def test_a_million_letters_and_records_are_bounded(fake_runs: Path) -> None:
    run = read_saved_run(fake_runs / "base")
    answered = from_run(run, run.tasks[SHAPES], DocumentShelf())
    image_id = answered.image_ids[0]
    long, endless = (f'{{"bbox_2d": [1, 2, 300, 400], "label": "{"x" * letters}"}}' for letters in (3000, 1_000_000))
    text = f"[{long}, {endless}, " + ", ".join(f'{{"bbox_2d": [{i}, 0, 9999, 9], "label": "y"}}' for i in range(5000))
    panel = box_panel(0, 0, answered, GivenAnswer(image_id, text), answered.truth(image_id))  # endless is no record
    assert panel.records[0].label == ("x" * LONGEST_LABEL, 3000 - LONGEST_LABEL)
    assert len(panel.records) == MOST_RECORDS
    assert panel.more_records == 5001 - MOST_RECORDS
    assert len(panel.boxes) <= 3 * MOST_RECORDS
    assert panel.answer == (text[:LONGEST_TEXT], len(text) - LONGEST_TEXT)


def test_a_short_text_is_whole() -> None:
    assert clip("abc") == ("abc", 0)


def test_repeats_are_one_box_with_how_many(fake_runs: Path) -> None:
    run = read_saved_run(fake_runs / "base")
    answered = from_run(run, run.tasks[SHAPES], DocumentShelf())
    image_id = answered.image_ids[0]
    record = '{"bbox_2d": [1, 2, 300, 400], "label": "nothing"}'
    panel = box_panel(0, 0, answered, GivenAnswer(image_id, f"[{', '.join([record] * 4)}]"), answered.truth(image_id))
    drawn = [(box.kind, box.tag) for box in panel.boxes if box.kind != "miss"]
    assert drawn == [("false", "1"), ("repeat", "+3")]
    assert [line.detail for line in panel.records] == ["", "of 1", "of 1", "of 1"]


def test_noise_of_any_size_fits_its_share_of_the_page() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    uri = data_uri(Image.fromarray(noise), 80)
    assert uri.startswith("data:image/webp;base64,")
    assert len(base64.b64decode(uri.partition(",")[2])) <= ALL_PICTURES_BYTES / 80
