"""Other people's formats, read back by the libraries that they are for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from boxlist.cli import main
from boxlist.protocols import protocol_named
from boxlist.reports.saved_runs import read_saved_run
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.folder import RunFolder
from boxlist.tasks.datasets.catalog import dataset_folder, documents
from boxlist.tasks.sealed import seal
from boxlist.tasks.truths import box_list_text

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document

DENSE, SPATIAL = "boxlist_dense_bbox_shapes", "boxlist_spatial_count_shapes"
PIXELS = protocol_named("pixel_xyxy")


@pytest.fixture(scope="module")
def three() -> list[Document]:
    """The first three images of the test split."""
    return documents("shapes", "test")[:3]


@pytest.fixture(scope="module")
def texts(three: list[Document]) -> list[str]:
    """A perfect answer; a repeat, an unknown label and an impossible box; and a list that breaks off."""
    record = '{"bbox_2d": [10, 20, 50, 80], "label": "Red  Circle"}'
    unknown = '{"bbox_2d": [1, 2, 3, 4], "label": "purple <b>cow</b>"}'
    impossible = '{"bbox_2d": [9, 2, 3, 4], "label": "red circle"}'
    return [box_list_text(three[0], PIXELS), f"[{record}, {record}, {unknown}, {impossible}]", f"[{record}, {{"]


@pytest.fixture
def run(three: list[Document], texts: list[str], tmp_path: Path) -> Path:
    """A finished run of one task on those images."""
    path = tmp_path / "night"
    with RunFolder.open(path) as folder:
        for document, text in zip(three, texts, strict=True):
            answer = StoredAnswer(DENSE, document["image_id"], "p", "i", text, 9, "eos", False, None, 1, 0.1)
            folder.answers.append(answer)
        folder.write_run(
            {
                "status": "complete",
                "name": "night",
                "protocol": "pixel_xyxy",
                "seed": 0,
                "controls": {"budget": 8, "repeat_stop": True},
                "adapter": {"path": "/home/somebody/adapters/mine"},
                "base": {"path": "org/Base-8B"},
                "tasks": {DENSE: {"n": 3}},
            }
        )
    return path


@pytest.fixture
def samples(three: list[Document], texts: list[str], tmp_path: Path) -> Path:
    """The same answers as lmms-eval logs them for a boxlist model, out of order."""
    rows = [
        {
            "doc_id": place,
            "filtered_resps": seal(text, protocol=PIXELS, finish="eos", tokens=9, frame_wh_px=None),
            "images": {"image_id": document["image_id"]},
        }
        for place, (document, text) in enumerate(zip(three, texts, strict=True))
    ]
    file = tmp_path / f"20260101_000000_samples_{DENSE}.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in reversed(rows)))
    return file


def exported(source: Path, kind: str, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[Path, list[str]]:
    out = source.parent / "out.file"
    assert main(["export", str(source), "--format", kind, "--out", str(out), "--json", *more]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["out"], said["format"]) == (str(out), kind)
    return out, said["notes"]


@pytest.mark.parametrize("source", ["run", "samples"])
def test_coco_tools_load_the_results(
    source: str, request: pytest.FixtureRequest, three: list[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    out, notes = exported(request.getfixturevalue(source), "coco", capsys)
    truth = COCO(str(dataset_folder("shapes", "test") / "annotations.json"))
    results = truth.loadRes(str(out))
    first, second, third = (results.loadAnns(results.getAnnIds([document["image_id"]])) for document in three)
    assert len(first) == len(three[0]["objects"])
    assert [(found["bbox"], found["score"]) for found in second] == [([10.0, 20.0, 40.0, 60.0], 1.0)] * 2
    assert {truth.cats[found["category_id"]]["name"] for found in (*second, *third)} == {"red circle"}
    assert len(third) == 1, "records of a list that broke off count, as they do in scores"
    assert notes[1:] == [
        "1 boxes left out, whose labels are no category: 'purple <b>cow</b>' (1)",
        "1 boxes left out, whose right or lower side is not beyond the other",
    ]
    evaluation = COCOeval(truth, results, "bbox")
    evaluation.params.imgIds = [three[0]["image_id"]]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    capsys.readouterr()
    assert evaluation.stats[0] == pytest.approx(1.0), "a perfect answer has a perfect AP"


def test_fiftyone_labels_follow_its_documented_form(
    run: Path, three: list[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    out, notes = exported(run, "fiftyone", capsys)
    written = json.loads(out.read_text())
    assert written.keys() == {"labels"}, "without classes, labels are texts"
    images = dataset_folder("shapes", "test") / "images"
    assert notes[0] == f"images for data_path: {images}"
    assert all((images / f"{name}.png").is_file() for name in written["labels"])
    width, height = three[1]["width"], three[1]["height"]
    second = written["labels"][str(three[1]["image_id"])]
    assert [(found["label"], found["attributes"]["order"]) for found in second] == [
        ("Red  Circle", 0),
        ("Red  Circle", 1),
        ("purple <b>cow</b>", 2),
    ]
    assert second[0]["bounding_box"] == pytest.approx([10 / width, 20 / height, 40 / width, 60 / height])


def test_the_hub_reads_the_card(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, notes = exported(run, "model-card", capsys)
    block = yaml.safe_load(out.read_text())
    name, results = model_index_to_eval_results(block["model-index"])
    assert name == "mine", "the path of a machine stays out of it"
    by_type = {result.metric_type: result for result in results}
    assert by_type["max_repeat"].metric_value == 2.0
    assert by_type["parse_valid"].metric_value == pytest.approx(2 / 3, abs=1e-4)
    assert by_type["f1@0.3"].dataset_type == "boxlist/shapes"
    assert by_type["f1@0.3"].dataset_name == "shapes (pixel_xyxy, controls: budget=8, repeat_stop)"
    assert set(by_type["f1@0.3"].metric_args or {}) == {"images", "ci95_low", "ci95_high"}
    card = ModelCard(f"---\nlicense: apache-2.0\n{out.read_text()}---\n# Mine\n")
    assert {result.metric_type for result in getattr(card.data, "eval_results", [])} == by_type.keys()
    assert notes == ["put it between the --- lines of the adapter's README.md"]


def test_samples_become_scores_that_stand_beside_a_run(
    run: Path, samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_run, notes = exported(run, "scores", capsys)
    scores_of_run = json.loads(of_run.read_text())
    assert notes == ["3 of 80 images have an answer"]
    out, notes = exported(samples, "scores", capsys)
    assert notes[0] == "3 of 80 images have an answer"
    assert notes[1].startswith("lmms-eval's samples do not say which weights, adapter, prompt and controls")
    assert json.loads(out.read_text()) == scores_of_run
    saved = read_saved_run(out)
    assert saved.tasks[DENSE].image_ids == (1001, 1002, 1003)
    assert saved.tasks[DENSE].terms.protocol == "pixel_xyxy"


def test_samples_of_another_model_are_read_in_the_protocol_that_is_said(
    samples: Path, three: list[Document], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without boxlist's trailer a text is all text; lmms-eval's list of one answer is that answer."""
    text = '[{"bbox": [10, 20, 50, 80], "label": "red circle"}]'
    samples.write_text(json.dumps({"doc_id": 1, "filtered_resps": [text]}) + "\n")
    out, _ = exported(samples, "coco", capsys, "--protocol", "pixel_xyxy")
    (found,) = json.loads(out.read_text())
    assert (found["image_id"], found["bbox"]) == (three[1]["image_id"], [10.0, 20.0, 40.0, 60.0])
    out, _ = exported(samples, "coco", capsys)
    (found,) = json.loads(out.read_text())
    thousandth = three[1]["width"] / 1000
    assert found["bbox"] == pytest.approx([10 * thousandth, 20 * thousandth, 40 * thousandth, 60 * thousandth])


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["export", *words]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    return errors.removeprefix("boxlist: ").rstrip("\n")


def test_figures_without_answers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "20260101_results.json"
    file.write_text("{}")
    assert refusal([str(file), "--format", "coco"], capsys) == (
        f"{file}: expected a run folder, or lmms-eval's *_samples_TASK.jsonl, got a file of figures without the "
        "answers. Figures alone say nothing about single images: run lmms-eval with --log_samples."
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"doc_id": 80}, "line 1: expected a doc_id below 80, got 80. Give the samples of this task"),
        ({"doc_id": True}, "line 1: expected a doc_id below 80, got true."),
        ({"images": {"image_id": 7}}, "line 1: expected image 1003, got 7. Give the samples of this task"),
        ({"filtered_resps": ["a", "b"]}, "line 1: expected one text in filtered_resps, got list."),
        ({"doc_id": 1, "images": None}, "line 2: expected one answer a document, got a second one."),
        (None, "line 1: expected JSON, got "),
    ],
)
def test_wrong_samples_are_refused_by_line(
    samples: Path, change: dict[str, Any] | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rest = samples.read_text().splitlines()
    changed = "{" if change is None else json.dumps({**json.loads(first), **change})
    samples.write_text("\n".join([changed, *rest]))
    assert said in refusal([str(samples), "--format", "scores"], capsys)
    assert [path.name for path in samples.parent.iterdir()] == [samples.name]


def test_another_protocol_than_the_answers_own_is_refused(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal([str(samples), "--format", "coco", "--protocol", "norm1000_xyxy"], capsys)
    assert said.endswith("line 1: expected protocol norm1000_xyxy, got pixel_xyxy. Drop --protocol.")


def test_wrong_words_get_one_line(run: Path, samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal([str(run), "--format", "coc"], capsys)
    assert said == (
        "format 'coc': expected one of coco, fiftyone, model-card, scores, got an unknown name. Did you mean coco?"
    )
    assert "task 'x': expected one of boxlist_dense_bbox_shapes" in refusal(
        [str(run), "--format", "coco", "--task", "x"], capsys
    )
    nameless = samples.rename(samples.with_name("mine.jsonl"))
    assert "expected --task, got a name without one." in refusal([str(nameless), "--format", "coco"], capsys)
    assert "expected a task that asks for boxes, got the kind spatial_count." in refusal(
        [str(nameless), "--format", "coco", "--task", SPATIAL], capsys
    )
    taken = ["--format", "coco", "--task", DENSE, "--out", str(nameless)]
    assert "expected a new file in a folder that exists, got another." in refusal([str(nameless), *taken], capsys)
