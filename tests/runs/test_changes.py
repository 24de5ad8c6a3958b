"""Every changed input is named, and growth is no change."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.runs.answers_file import StoredAnswer
from boxlist.runs.changes import changes, drift, refuse_changes, refuse_other_dtype
from boxlist.runs.folder import RunFolder
from boxlist.runs.inputs import Question

if TYPE_CHECKING:
    from pathlib import Path

A, B = "a1" * 32, "b2" * 32
ROWS: dict[str, Any] = {
    "model": "boxlist_hf",
    "base": {"path": "/somewhere", "weights_sha256": A},
    "adapter": {"path": "/adapter", "sha256": A},
    "protocol": "norm1000_xyxy",
    "dtype": "auto",
    "controls": {"budget": 8},
    "options": {"trust_remote_code": False},
    "seed": 0,
    "tasks": {
        "boxes": {
            "prompt": "Detect every object in the image. Answer with a JSON list.",
            "prompt_sha256": A,
            "generation_kwargs": {"max_new_tokens": 768, "until": []},
            "dataset": {"name": "shapes", "sha256": A},
            "n": 8,
        }
    },
    "code": {"scanner.py": A, "models/hf.py": A},
}
BOXES = ROWS["tasks"]["boxes"]


def changed(**rows: Any) -> dict[str, Any]:
    return {**copy.deepcopy(ROWS), **rows}


def boxes(**keys: Any) -> dict[str, Any]:
    return changed(tasks={"boxes": {**copy.deepcopy(BOXES), **keys}})


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (changed(model="other"), "model: boxlist_hf -> other"),
        (changed(base={"weights_sha256": B}), f"base weights_sha256: {A[:12]} -> {B[:12]}"),
        (changed(adapter={"sha256": B}), f"adapter sha256: {A[:12]} -> {B[:12]}"),
        (changed(adapter=None), f"adapter sha256: {A[:12]} -> none"),
        (changed(protocol="pixel_xyxy"), "protocol: norm1000_xyxy -> pixel_xyxy"),
        (changed(dtype="float32"), "dtype: auto -> float32"),
        (changed(controls={"budget": 6}), "controls budget: 8 -> 6"),
        (changed(controls={"budget": 8, "repeat_stop": True}), "controls repeat_stop: none -> True"),
        (changed(options={}), "options trust_remote_code: False -> none"),
        (changed(seed=1), "seed: 0 -> 1"),
        (changed(code={**ROWS["code"], "scanner.py": B}), f"code scanner.py: {A[:12]} -> {B[:12]}"),
        (changed(code={**ROWS["code"], "controls/new.py": B}), f"code controls/new.py: none -> {B[:12]}"),
        (
            boxes(prompt="Detect every object in the image. Answer with a YAML list."),
            "tasks boxes prompt: ...er with a JSON list. -> ...er with a YAML list.",
        ),
        (
            boxes(generation_kwargs={"max_new_tokens": 64, "until": []}),
            "tasks boxes generation_kwargs max_new_tokens: 768 -> 64",
        ),
        (boxes(dataset={"name": "shapes", "sha256": B}), f"tasks boxes dataset sha256: {A[:12]} -> {B[:12]}"),
        (boxes(n=4), "tasks boxes n: 8 -> 4"),
        (changed(tasks={}), "tasks boxes: 8 images -> none"),
    ],
)
def test_a_changed_input_is_named(now: dict[str, Any], said: str) -> None:
    assert changes(ROWS, now) == [said]


@pytest.mark.parametrize(
    "now",
    [
        changed(),
        changed(base={"path": "/moved", "weights_sha256": A}, adapter={"path": "/also", "sha256": A}),
        boxes(n=80),
        changed(tasks={**ROWS["tasks"], "inventory": BOXES}),
    ],
    ids=["the same", "moved", "more images", "a task more"],
)
def test_what_is_no_change(now: dict[str, Any]) -> None:
    assert changes(ROWS, now) == []


def test_all_changes_are_named_at_once() -> None:
    found = changes(ROWS, changed(seed=1, protocol="pixel_xyxy", controls={}))
    assert found == ["protocol: norm1000_xyxy -> pixel_xyxy", "controls budget: 8 -> none", "seed: 0 -> 1"]


def test_versions_and_batch_size_are_only_told() -> None:
    stored = {"versions": {"torch": "2.14", "numpy": "2"}, "batch_size": 1}
    assert drift(stored, {"torch": "2.15", "numpy": "2", "pillow": "12"}, 4) == [
        "torch 2.14 -> 2.15",
        "batch size 1 -> 4",
    ]
    assert drift({}, {"torch": "2.15"}, 4) == []


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    with RunFolder.open(tmp_path / "night") as opened:
        opened.write_run({**ROWS, "dtype_used": "float32"})
        for image_id in (17, 18):
            opened.answers.append(StoredAnswer("boxes", image_id, A, A, "[]", 1, "eos", False, None, 1, 0.5))
        yield opened


def asked(prompt: str = A, image: str = A, rows: dict[str, Any] = ROWS) -> Any:
    questions = [Question("boxes", place, image_id, prompt, image) for place, image_id in enumerate((17, 18, 19))]
    return SimpleNamespace(rows=rows, questions=questions)


def test_the_refusal_is_one_line_with_the_remedy(folder: RunFolder) -> None:
    with pytest.raises(InputError) as caught:
        refuse_changes(folder, asked(rows=changed(seed=1)))
    assert str(caught.value) == (
        f"{folder.path}: expected the inputs that its answers were made from, got seed: 0 -> 1. "
        "Take another --name, or delete its answers and start again with --fresh."
    )


def test_a_changed_image_is_named_once_with_a_count(folder: RunFolder) -> None:
    with pytest.raises(InputError, match=f"got boxes: image 17: {A[:12]} -> {B[:12]} \\(and 1 more\\)\\. Take"):
        refuse_changes(folder, asked(image=B))


def test_a_changed_question_is_named(folder: RunFolder) -> None:
    with pytest.raises(InputError, match=f"got boxes: prompt of image 17: {A[:12]} -> {B[:12]}"):
        refuse_changes(folder, asked(prompt=B))


def test_prompts_are_not_listed_again_beside_the_change_behind_them(folder: RunFolder) -> None:
    with pytest.raises(InputError, match=r"got controls budget: 8 -> 6\. Take"):
        refuse_changes(folder, asked(prompt=B, rows=changed(controls={"budget": 6})))


def test_unchanged_inputs_pass(folder: RunFolder) -> None:
    refuse_changes(folder, asked())


def test_another_number_type_is_refused(folder: RunFolder) -> None:
    refuse_other_dtype(folder, "float32")
    with pytest.raises(InputError, match="got dtype: float32 -> bfloat16"):
        refuse_other_dtype(folder, "bfloat16")


def test_without_answers_nothing_is_refused(tmp_path: Path) -> None:
    with RunFolder.open(tmp_path / "killed_early") as folder:
        folder.write_run(ROWS)
        refuse_changes(folder, asked(rows=changed(seed=1)))
