from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.metrics.table import METRICS
from boxlist.protocols import PROTOCOLS
from boxlist.tasks.datasets.catalog import DATASETS
from boxlist.tasks.kinds import KINDS
from boxlist.tasks.probes import Probe, probe_named, probes, read_task_yaml, render_prompt, tasks_path

if TYPE_CHECKING:
    from pathlib import Path

QWEN, PIXEL, GEMINI = (PROTOCOLS[name] for name in ("norm1000_xyxy", "pixel_xyxy", "norm1000_yxyx"))
TAUGHT = [
    "boxlist_dense_bbox_shapes",
    "boxlist_dense_bbox_trees",
    "boxlist_inventory_shapes",
    "boxlist_spatial_count_shapes",
]
NAMES = list(probes())


def test_the_probes_that_the_pocket_base_is_taught_are_there() -> None:
    assert set(TAUGHT) < set(NAMES)
    assert sorted(NAMES) == NAMES


def test_a_probe_says_all_that_a_run_needs() -> None:
    probe = probe_named("boxlist_dense_bbox_trees")
    assert (probe.kind, probe.dataset) == ("dense_bbox", "trees")
    assert probe.generation_kwargs == {"max_new_tokens": 768, "do_sample": False, "temperature": 0, "until": []}
    assert probe.yaml_path == tasks_path() / "dense_bbox" / "boxlist_dense_bbox_trees.yaml"


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_the_tables_exist_and_agree(name: str) -> None:
    probe = probe_named(name)
    assert probe.dataset in DATASETS
    assert probe.metrics == KINDS[probe.kind].metrics
    assert probe.generation_kwargs["until"] == []  # lmms-eval would stop at an empty line
    assert probe.generation_kwargs["do_sample"] is False


@pytest.mark.parametrize("name", NAMES)
def test_the_tag_says_whether_the_data_build_themselves(name: str) -> None:
    needs = DATASETS[probe_named(name).dataset].needs
    assert read_task_yaml(probe_named(name).yaml_path)["tag"] == ("boxlist" if needs is None else "boxlist_paper")


@pytest.mark.parametrize("name", NAMES)
def test_the_metric_list_is_the_table_with_intervals(name: str) -> None:
    config = read_task_yaml(probe_named(name).yaml_path)
    expected: list[dict[str, object]] = [
        {"metric": "images", "aggregation": "boxlist.tasks.harness.count", "higher_is_better": None}
    ]
    for metric in probe_named(name).metrics:
        ends = ["value"] if METRICS[metric].over_images == "maximum" else ["value", "ci_low", "ci_high"]
        expected += [
            {
                "metric": metric if end == "value" else f"{metric}_{end}",
                "aggregation": f"boxlist.tasks.harness.{end}",
                "higher_is_better": METRICS[metric].higher_is_better,
            }
            for end in ends
        ]
    assert config["metric_list"] == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_the_prompt_word_for_word(name: str) -> None:
    probe = probe_named(name)
    readme = (probe.yaml_path.parent / "README.md").read_text(encoding="utf-8")
    assert f"> {probe.prompt}\n" in readme
    for word in ("Source", "Licence", "Split", "Protocol", "Metrics"):
        assert word in readme


def test_prompts_word_for_word() -> None:
    """The pocket base is trained on these words: a change here needs another base."""
    assert {name: probe_named(name).prompt for name in TAUGHT} == {
        "boxlist_dense_bbox_shapes": (
            "Detect every object in the image. Answer with a JSON list of {box_format}. A label is a color and a shape."
        ),
        "boxlist_dense_bbox_trees": (
            "Detect every tree in the image. Answer with a JSON list of {box_format}. The label is always tree."
        ),
        "boxlist_inventory_shapes": (
            "Take an inventory of the image in reading order. Answer with one JSON object with the keys slot_1 to "
            'slot_8. Each slot is {"color": "...", "shape": "...", "size": "..."}. Write none in the slots that stay '
            "empty."
        ),
        "boxlist_spatial_count_shapes": (
            "How many {counted} objects are there, and where is the {subject} seen from the {reference}? Answer as "
            'JSON: {"count": number, "relation": "left", "right", "above" or "below"}.'
        ),
    }


def test_a_box_prompt_speaks_the_protocol() -> None:
    template = probe_named("boxlist_dense_bbox_shapes").prompt
    assert render_prompt(template, QWEN) == (
        'Detect every object in the image. Answer with a JSON list of {"bbox_2d": [x1, y1, x2, y2], "label": "..."} '
        "in thousandths of the image size, from 0 to 1000. A label is a color and a shape."
    )
    assert '{"bbox_2d": [x1, y1, x2, y2], "label": "..."} in pixels of the image' in render_prompt(template, PIXEL)
    assert '{"box_2d": [y1, x1, y2, x2], "label": "..."} in thousandths' in render_prompt(template, GEMINI)


def test_a_question_is_filled_in() -> None:
    template = probe_named("boxlist_spatial_count_shapes").prompt
    question = {"counted": "star", "subject": "red circle", "reference": "blue cross"}
    assert render_prompt(template, QWEN, question) == (
        "How many star objects are there, and where is the red circle seen from the blue cross? "
        'Answer as JSON: {"count": number, "relation": "left", "right", "above" or "below"}.'
    )


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    question = {"counted": "{box_format}", "caption": "{counted}", "word_2": "{0}{"}
    filled = render_prompt('{counted}|{caption}|{word_2}|{0}|{"x": y}|{}|{X}|{ x}', QWEN, question)
    assert filled == '{box_format}|{counted}|{0}{|{0}|{"x": y}|{}|{X}|{ x}'


@pytest.mark.parametrize(
    ("question", "got"), [(None, "no question"), ({}, "no question"), ({"counted": "a"}, "counted")]
)
def test_a_prompt_without_its_question_is_refused(question: dict[str, str] | None, got: str) -> None:
    with pytest.raises(InputError, match=r"prompt: expected a question that says \{subject\}, got " + got):
        render_prompt("Where is {subject}?", QWEN, question)


def test_an_unknown_task_lists_near_matches() -> None:
    with pytest.raises(InputError) as caught:
        probe_named("boxlist_dense_bbox_shape")
    assert str(caught.value).startswith("task 'boxlist_dense_bbox_shape': expected one of boxlist_")
    assert "Did you mean boxlist_dense_bbox_shapes" in str(caught.value)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "task"


def test_includes_merge_as_in_lmms_eval(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        task="include: [a, b]\nx: task\nfn: !function boxlist.tasks.harness.value\n",
        a="include: c\ny: a\nx: a\n",
        b="y: b\nz: b\n",
        c="w: c\ny: c\n",
    )
    expected = {"w": "c", "x": "task", "y": "a", "z": "b", "fn": "boxlist.tasks.harness.value"}
    assert read_task_yaml(path) == expected


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, r"task: expected a task in YAML, got .*No such file"),
        ({"task": "a: ["}, r"task: expected a task in YAML, got while parsing"),
        ({"task": "- a"}, r"task: expected a mapping, got list"),
        ({"task": "include: none"}, r"none: expected a task in YAML, got .*No such file"),
        (
            {"task": "a: !!python/object/apply:os.system [ls]"},
            r"task: expected a task in YAML, got could not determine",
        ),
        ({"task": "a: !function [1]"}, r"task: expected a task in YAML, got expected a dotted name"),
    ],
)
def test_broken_yaml_is_one_clear_line(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_task_yaml(write(tmp_path, **files))
    assert "\n" not in str(caught.value)


def test_a_probe_without_its_keys_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine.yaml").write_text("task: boxlist_mine\nmetric_list: []\n")
    monkeypatch.setattr("boxlist.tasks.probes.tasks_path", lambda: tmp_path)
    with pytest.raises(InputError, match=r"mine\.yaml: expected every key of a probe, got none of 'metadata'"):
        probes.__wrapped__()


def test_a_probe_is_what_its_file_says(tmp_path: Path) -> None:
    fields = set(Probe.__dataclass_fields__)
    assert fields == {"task", "kind", "dataset", "prompt", "metrics", "generation_kwargs", "yaml_path"}
    assert re.fullmatch(r"boxlist_\w+", probe_named(NAMES[0]).task)
