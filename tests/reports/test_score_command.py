"""`boxlist score`: from two files to scores.json, and nothing half-written when anything is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.reports.score_command import score_files

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")

TRUTH: dict[str, Any] = {
    "images": [{"id": number, "width": 100, "height": 100} for number in (1, 2, 3)],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [10, 10, 20, 20]} for number in (1, 2, 3)
    ],
}
RIGHT = '[{"bbox_2d": [10, 10, 30, 30], "label": "cat"}]'


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Answers to images 1 and 2 of three, and their ground truth."""
    answers = [{"image_id": 1, "response": RIGHT}, {"image_id": 2, "response": "```json\n[]\n```"}]
    paths = {"answers": tmp_path / "my_model.jsonl", "truth": tmp_path / "truth.json", "out": tmp_path / "scores.json"}
    paths["answers"].write_text("\n".join(map(json.dumps, answers)))
    paths["truth"].write_text(json.dumps(TRUTH))
    return paths


def score(files: dict[str, Path], protocol: str = "pixel_xyxy", **options: Any) -> dict[str, Any]:
    return score_files(files["answers"], files["truth"], protocol, files["out"], **options)


def test_scores_are_written_and_returned(files: dict[str, Path]) -> None:
    scores = score(files, seed=5)
    assert json.loads(files["out"].read_text()) == scores
    assert (scores["schema"], scores["protocol"], list(scores["tasks"])) == (1, "pixel_xyxy", ["my_model"])
    task = scores["tasks"]["my_model"]
    assert (task["n"], task["seed"], task["missing_answers"]) == (3, 5, [3])
    assert list(task["metrics"]) == list(DENSE_BOX_METRICS)
    assert task["metrics"]["f1@0.5"]["value"] == pytest.approx(2 * 1 / (1 + 3))
    assert [row["status"] for row in task["per_image"]] == ["valid", "valid", "empty"]
    assert [row["tp@0.5"] for row in task["per_image"]] == [1, 0, 0]


def test_the_protocol_is_the_one_declared(files: dict[str, Path]) -> None:
    task = score(files, "norm1_xyxy")["tasks"]["my_model"]
    assert task["metrics"]["f1@0.3"]["value"] == 0.0


def test_few_images_warn(files: dict[str, Path]) -> None:
    with pytest.warns(FewImagesWarning, match="3 images are fewer than 30"):
        score(files)


def test_the_task_may_be_named_and_boxes_dropped(files: dict[str, Path]) -> None:
    broken = json.loads(json.dumps(TRUTH))
    broken["annotations"][2]["bbox"][2] = -1
    files["truth"].write_text(json.dumps(broken))
    with pytest.raises(InputError, match=r"image 3, annotation 3: expected width > 0, got -1\. Fix the file or pass"):
        score(files)
    scores = score(files, task="other", drop_invalid=True)
    assert scores["tasks"]["other"]["invalid_left_out"] == 1
    assert scores["tasks"]["other"]["metrics"]["f1@0.5"]["value"] == pytest.approx(2 * 1 / (1 + 2))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("answers", '{"image_id": 1}', r'my_model.jsonl: line 1: expected "response", got "image_id"'),
        ("answers", '{"image_id": 9, "response": ""}', "line 1: expected the image_id of an image in the ground truth"),
        ("truth", "[]", "truth.json: expected a JSON object with images"),
    ],
)
def test_wrong_input_leaves_the_old_scores(name: str, content: str, message: str, files: dict[str, Path]) -> None:
    files["out"].write_text("old")
    files[name].write_text(content)
    with pytest.raises(InputError, match=message):
        score(files)
    assert files["out"].read_text() == "old"
    assert sorted(path.name for path in files["out"].parent.iterdir()) == sorted(p.name for p in files.values())


def test_a_failed_write_leaves_nothing(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        score(files)
    assert {path.name for path in files["out"].parent.iterdir()} == {"my_model.jsonl", "truth.json"}


def test_places_that_cannot_be_written(files: dict[str, Path], tmp_path: Path) -> None:
    for out, message in (
        (tmp_path, "expected a file to write, got a folder"),
        (tmp_path / "none" / "scores.json", "expected a file in a folder that exists, got no such folder"),
        (files["truth"], "expected a file of its own, outside run folders, got a place of one of the inputs"),
    ):
        with pytest.raises(InputError, match=message):
            score({**files, "out": out})
    assert json.loads(files["truth"].read_text()) == TRUTH


def test_an_unknown_protocol_has_near_matches(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"protocol 'pixel_xyyx': .*Did you mean pixel_xyxy"):
        score(files, "pixel_xyyx")


def test_answers_to_resized_pictures_need_their_frame(files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r'answer to image 1: .*Give each answer its "frame": \[width, height\]'):
        score(files, "resized_pixel_xyxy")
    framed = {"image_id": 1, "response": RIGHT.replace("10, 10, 30, 30", "20, 20, 60, 60"), "frame": [200, 200]}
    files["answers"].write_text(json.dumps(framed))
    assert score(files, "resized_pixel_xyxy")["tasks"]["my_model"]["per_image"][0]["tp@0.5"] == 1
