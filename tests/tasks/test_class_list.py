"""The class list in the prompt: the data set's own classes, the same through lmms-eval's documents and a run's plan."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from datasets import Dataset

from boxlist.controls.table import MAX_CLASSES, Controls, parse_controls
from boxlist.errors import InputError
from boxlist.models.prompts import build_prompt
from boxlist.protocols import protocol_named
from boxlist.runs.inputs import plan_task, sha256_text
from boxlist.tasks.datasets.catalog import class_names
from boxlist.tasks.harness import doc_to_messages, load_documents
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"


def test_the_classes_of_a_data_set_are_those_of_its_annotations(shapes: Path) -> None:
    names = class_names("shapes", "test")
    assert len(names) == len(set(names)) > 10
    assert "red circle" in names
    coco = json.loads((shapes / "test" / "annotations.json").read_bytes())
    assert names == [category["name"] for category in coco["categories"]]


@pytest.mark.parametrize("name", ["norm1000_xyxy", "norm1000_yxhw+plain"])
def test_a_model_is_asked_what_the_run_says(name: str, shapes: Path) -> None:
    controls, protocol = parse_controls("budget=8,class_list"), protocol_named(name)
    row = load_documents(Dataset.from_list([{"dataset": "shapes", "split": "test"}]))[0]
    messages = doc_to_messages(row, {"prompt": probe_named(TASK).prompt})
    asked = build_prompt(messages, protocol, controls, "doc 0").text
    listed = ", ".join(class_names("shapes", "test"))
    assert asked.endswith(f" Return at most 8 objects. The classes are: {listed}.")
    plan = plan_task(TASK, protocol=protocol, controls=controls, overrides={}, limit=1)
    assert plan.questions[0].prompt_sha256 == sha256_text(asked)
    assert "The classes" not in build_prompt(messages, protocol, Controls(), "doc 0").text


def test_white_space_in_a_class_makes_no_new_line() -> None:
    assert Controls(class_list=True).prompt_ending(["a\nb", "{n}"]) == " The classes are: a b, {n}."


@pytest.mark.parametrize("classes", [[], [str(number) for number in range(MAX_CLASSES + 1)]], ids=len)
def test_no_classes_and_too_many_are_refused(classes: list[str]) -> None:
    message = (
        f"control class_list: expected a data set with 1 to {MAX_CLASSES} classes, got one with {len(classes)}. "
        "Leave the control out, or choose another task."
    )
    with pytest.raises(InputError) as refused:
        Controls(class_list=True).prompt_ending(classes)
    assert str(refused.value) == message
    assert Controls(budget=2).prompt_ending(classes) == " Return at most 2 objects."
