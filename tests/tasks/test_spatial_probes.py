"""The probes about places: YAML, tables and READMEs agree, and what lmms-eval scores is what boxlist scores."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.option_scores import OptionScore, option_scores_text
from boxlist.metrics.summary import summarise
from boxlist.metrics.table import METRICS
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.datasets.catalog import DATASETS, documents
from boxlist.tasks.harness import ci_low, doc_to_messages, value
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import probe_named, probes, read_task_yaml, score_rows, tasks_path

KINDS_HERE = ("option_likelihood", "option_choice", "referring")
NAMES = [name for name, probe in probes().items() if probe.kind in KINDS_HERE]
QWEN = PROTOCOLS["norm1000_xyxy"]


def test_every_data_set_is_asked_in_every_way() -> None:
    asked = {(probe_named(name).kind, probe_named(name).dataset) for name in NAMES}
    sets = {name for name in DATASETS if name.startswith("whatsup_") or name.endswith("_spatial")}
    assert {dataset for _, dataset in asked} == sets
    assert len(sets) == 9
    assert len(NAMES) == 2 * 9 + 2 * 3
    assert all((kind, dataset) in asked for kind in KINDS_HERE[:2] for dataset in sets)


@pytest.mark.parametrize("name", NAMES)
def test_the_yaml_agrees_with_the_tables(name: str) -> None:
    probe = probe_named(name)
    config = read_task_yaml(probe.yaml_path)
    assert probe.metrics == KINDS[probe.kind].metrics
    ends = ("value", "ci_low", "ci_high")
    expected = ["images"] + [m if end == "value" else f"{m}_{end}" for m in probe.metrics for end in ends]
    assert [entry["metric"] for entry in config["metric_list"]] == expected
    assert [entry["aggregation"].rpartition(".")[2] for entry in config["metric_list"]] == ["count"] + [
        end for _ in probe.metrics for end in ends
    ]
    better = [METRICS[metric].higher_is_better for metric in probe.metrics for _ in ends]
    assert [entry["higher_is_better"] for entry in config["metric_list"][1:]] == better
    assert (config["doc_to_target"], config["process_results"]) == (
        f"boxlist.tasks.harness.target_{probe.kind}",
        f"boxlist.tasks.harness.process_{probe.kind}",
    )
    assert probe.generation_kwargs["until"] == []
    assert probe.generation_kwargs.get("likelihood", False) is (probe.kind == "option_likelihood")
    stub = json.loads((probe.yaml_path.parent / config["dataset_kwargs"]["data_files"]["test"]).read_text())
    assert stub == {"dataset": probe.dataset, "split": "test"}


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_the_prompt_word_for_word(name: str) -> None:
    probe = probe_named(name)
    readme = (probe.yaml_path.parent / "README.md").read_text(encoding="utf-8")
    assert f"> {probe.prompt}\n" in readme
    what = probe.dataset.removesuffix("_spatial")
    assert what in readme


def test_the_papers_numbers_in_the_readmes() -> None:
    """As the seed's tables 1 and 2 have them."""
    captions = (tasks_path() / "spatial_caption" / "README.md").read_text(encoding="utf-8")
    for row in ("| W1 | 0.55 | 0.49 | 0.69 | 0.74 | 0.50 | 0.52 | 0.52 |", "| GOO | 0.97 | | | | 0.94 | 0.93 | 0.95 |"):
        assert row in captions
    for size in ("412", "408", "2,247", "440", "1,160", "291", "2,862", "9,265"):
        assert f"| {size} |" in captions


def test_shapes_are_the_scenes_of_the_shapes_probe() -> None:
    drawn, asked = documents("shapes", "test"), documents("shapes_spatial", "test")
    assert [(d["image_id"], d["pixels_sha256"]) for d in drawn] == [(d["image_id"], d["pixels_sha256"]) for d in asked]
    for scene, document in zip(drawn, asked, strict=True):
        question, answer = scene["question"], document["answer"]
        assert (answer["subject"], answer["relation"]) == (question["subject"], scene["answer"]["relation"])
        boxes = {item["label"]: item["box_xyxy_px"] for item in scene["objects"]}
        assert answer["box_xyxy_px"] == boxes[question["subject"]]
        assert json.loads(document["question"]["hint"]) == [*boxes[question["reference"]], 224, 224]
        right = answer["options"][answer["right"]]
        side = {"left": "to the left of", "right": "to the right of"}.get(answer["relation"], answer["relation"])
        assert right == f"A photo of a {question['subject']} {side} a {question['reference']}"
    rights = [document["answer"]["right"] for document in asked]
    assert 25 <= sum(rights) <= 55, "neither place is the right one's"


def test_options_reach_a_model_beside_the_words_and_not_in_them() -> None:
    document = documents("shapes_spatial", "test")[0]
    texts = {"document": json.dumps(document), "classes": "[]"}
    row = {"image_id": document["image_id"], "file": document["file"], **texts}
    prompt = probe_named("boxlist_spatial_caption_shapes").prompt
    words = doc_to_messages(row, {"prompt": prompt})[0]["content"][1]
    assert words["options"] == document["answer"]["options"]
    assert "photo" not in words["text"]


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
@pytest.mark.parametrize("kind", KINDS_HERE)
def test_one_by_one_as_lmms_eval_scores_or_all_at_once(kind: str) -> None:
    """The figures are the same, those across images too."""
    name = next(n for n in NAMES if probe_named(n).kind == kind and "shapes" in n)
    probe = probe_named(name)
    asked = documents(probe.dataset, "test")[:12]
    for number, document in enumerate(asked):  # groups as What's Up has them
        document["answer"] |= {"set": f"{number // 4}", "pair": f"{number // 2}"}
    answers = [GivenAnswer(d["image_id"], _answer(kind, d, number)) for number, d in enumerate(asked)]
    together = summarise(score_rows(probe, answers, asked, QWEN), probe.metrics)
    import boxlist.tasks.harness as harness

    rows = [{"image_id": d["image_id"], "file": d["file"], "document": json.dumps(d)} for d in asked]
    process: Any = getattr(harness, f"process_{kind}")
    single = [process(row, [answer.text]) for row, answer in zip(rows, answers, strict=True)]
    for metric in probe.metrics:
        items = [figures[metric] for figures in single]
        assert value(items) == together[metric]["value"], metric
        assert ci_low(items) == together[metric]["ci_low"], metric
        assert str(items[0])
    if kind != "referring":
        assert together["pair_accuracy"]["value"] == 4 / 6
        assert together["set_accuracy"]["value"] == 1 / 3


def _answer(kind: str, document: Any, number: int) -> str:
    """Right, but for the numbers 5 and 11."""
    right = number not in {5, 11}
    if kind == "referring":
        return KINDS[kind].target(document, QWEN) if right else "[]"
    place = document["answer"]["right"] if right else 1 - document["answer"]["right"]
    if kind == "option_choice":
        return "AB"[place]
    return option_scores_text([OptionScore(-1.0 if each == place else -2.0, 3, greedy=False) for each in range(2)])
