"""Provenance: it round-trips, broken files are refused, and each refusal of an evaluation says what differs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from boxlist.adapters_training import provenance as module
from boxlist.adapters_training.provenance import (
    PROVENANCE_FILE,
    Provenance,
    check_adapter,
    read_provenance,
    text_sha256,
    write_provenance,
)
from boxlist.adapters_training.weights_file import DIGEST_KEY, WEIGHTS_FILE, tensors_sha256
from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = "Detect every object. Answer with {box_format}."
IDENTITY = {"model_type": "qwen3_vl", "config_sha256": "c" * 64, "weights_sha256": "d" * 64}
FITTING: dict[str, Any] = {
    "base_identity": IDENTITY,
    "protocol": "norm1000_xyxy",
    "prompts": {"boxlist_dense_bbox_shapes": TEMPLATE, "boxlist_inventory_shapes": "Another task's prompt."},
    "evaluation_images": {"7" * 64: "test/0007.png"},
}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder with weights and a provenance that name each other."""
    weights = tmp_path / WEIGHTS_FILE
    tensors = {"lora_A": np.ones((2, 3), dtype=np.float32)}
    save_file(tensors, weights)
    images = [
        {"image_id": place, "name": f"{place:04}.png", "sha256": str(place) * 64, "pixels_sha256": str(place + 4) * 64}
        for place in range(1, 5)
    ]
    record = Provenance(
        adapter={"tensors_sha256": tensors_sha256(weights)},
        base={"name": "pocket:qwen3vl", "identity": IDENTITY},
        protocol={"name": "norm1000_xyxy", "list_order": "reading"},
        prompt={
            "task": "boxlist_dense_bbox_shapes",
            "template": TEMPLATE,
            "template_sha256": text_sha256(TEMPLATE),
        },
        data={"dataset": "shapes", "split": "train", "images": images[:2]},
        recipe={"rank": 4},
        training={"trainable_parameters": 6, "loss_normalisation": "tokens"},
        versions={},
    )
    digest = write_provenance(tmp_path, record)
    save_file(tensors, weights, metadata={DIGEST_KEY: digest})
    return tmp_path


def test_it_round_trips(adapter: Path) -> None:
    record = read_provenance(adapter)
    assert record is not None
    assert record.to_json() == (adapter / PROVENANCE_FILE).read_text()
    assert record.image_hashes == {"1" * 64, "2" * 64, "5" * 64, "6" * 64}


def test_a_fitting_evaluation_passes_without_a_warning(adapter: Path) -> None:
    assert check_adapter(adapter, **FITTING) == []


def test_other_tasks_and_other_prompts_for_them_are_allowed(adapter: Path) -> None:
    prompts = {"boxlist_dense_bbox_trees": "Detect every tree."}
    assert check_adapter(adapter, **{**FITTING, "prompts": prompts}) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"base_identity": {**IDENTITY, "weights_sha256": "e" * 64}},
            r"another base than pocket:qwen3vl \(weights_sha256 eeeeeeeeeeee is not dddddddddddd\)",
        ),
        ({"protocol": "pixel_xyxy"}, "protocol pixel_xyxy where it learnt norm1000_xyxy"),
        (
            {"prompts": {"boxlist_dense_bbox_shapes": TEMPLATE + "!"}},
            r"another prompt for boxlist_dense_bbox_shapes than it was trained on \('Detect every object\.",
        ),
        (
            {"evaluation_images": {"2" * 64: "test/a.png", "8" * 64: "test/b.png"}},
            r"overlap: 1 evaluation image it was trained on \(test/a\.png\)",
        ),
        ({"evaluation_images": {"6" * 64: "test/c.png"}}, r"overlap: 1 evaluation image .*\(test/c\.png\)"),
    ],
    ids=["base", "protocol", "prompt", "overlap by file", "overlap by pixels"],
)
def test_each_refusal_says_what_differs(adapter: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        check_adapter(adapter, **{**FITTING, **changes})
    assert raised.value.got.count(";") == 0
    assert "Evaluate it as it was trained, or train an adapter" in str(raised.value)


def test_one_refusal_lists_every_difference(adapter: Path) -> None:
    images = {"1" * 64: "a.png", "2" * 64: "b.png", "5" * 64: "c.png", "6" * 64: "d.png"}
    with pytest.raises(InputError, match=r"protocol pixel_xyxy .*; overlap: 4 .*\(a\.png, b\.png, c\.png and 1 more\)"):
        check_adapter(adapter, **{**FITTING, "protocol": "pixel_xyxy", "evaluation_images": images})


def test_an_adapter_without_provenance_is_a_warning(adapter: Path) -> None:
    (adapter / PROVENANCE_FILE).unlink()
    (warning,) = check_adapter(adapter, **FITTING)
    assert (
        "no adapter_provenance.json: cannot check that base, protocol and prompt are those of its training" in warning
    )


def test_what_is_not_known_of_the_base_is_a_warning(adapter: Path) -> None:
    (warning,) = check_adapter(adapter, **{**FITTING, "base_identity": {"config_sha256": "c" * 64}})
    assert "cannot check the base's weights_sha256" in warning


def test_other_weights_than_described_are_refused(adapter: Path) -> None:
    save_file({"lora_A": np.zeros((2, 3), dtype=np.float32)}, adapter / WEIGHTS_FILE)
    with pytest.raises(InputError, match=r"expected the tensors that adapter_provenance.json describes, got others"):
        check_adapter(adapter, **FITTING)


def test_an_edited_provenance_is_refused(adapter: Path) -> None:
    file = adapter / PROVENANCE_FILE
    file.write_text(file.read_text().replace("1" * 64, "3" * 64))
    with pytest.raises(InputError, match=r"expected the adapter_provenance.json that was written with its weights"):
        check_adapter(adapter, **FITTING)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema"], 2, "schema: expected 1, got 2. Update boxlist"),
        (["base"], None, "base: expected an object, got NoneType"),
        (["base", "identity"], [], "base.identity: expected dict, got list"),
        (["data", "images"], {}, "data.images: expected list, got dict"),
        (["data", "images"], [{"name": "a"}], r"data\.images\[0\]: expected an object with name and sha256"),
        (["prompt", "template_sha256"], 3, "prompt.template_sha256: expected str, got int"),
    ],
)
def test_a_broken_record_is_refused(adapter: Path, path: list[str], value: object, message: str) -> None:
    file = adapter / PROVENANCE_FILE
    record = json.loads(file.read_text())
    inner = record
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match=message):
        check_adapter(adapter, **FITTING)


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"\xff\xfe", b"[]"])
def test_a_file_that_is_no_record_is_refused(adapter: Path, text: bytes) -> None:
    (adapter / PROVENANCE_FILE).write_bytes(text)
    with pytest.raises(InputError, match=r"adapter_provenance.json: expected (JSON|one JSON object), got"):
        read_provenance(adapter)


def test_a_huge_file_is_refused(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PROVENANCE_BYTES", 100)
    with pytest.raises(InputError, match="expected at most 100 bytes, got more"):
        read_provenance(adapter)


def test_reading_a_provenance_needs_no_torch() -> None:
    import subprocess
    import sys

    code = "import boxlist.adapters_training.provenance, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_another_protocol_is_a_warning_where_it_is_asked_for(adapter: Path) -> None:
    said = "protocol norm1000_yxhw+plain where it learnt norm1000_xyxy"
    asked = {**FITTING, "protocol": "norm1000_yxhw+plain"}
    with pytest.raises(InputError) as refused:
        check_adapter(adapter, **asked)
    assert refused.value.got == said
    assert refused.value.remedy.endswith("To ask it in this format all the same: --any-protocol.")
    assert check_adapter(adapter, **asked, any_protocol=True) == [f"{adapter}: {said}."]
    assert check_adapter(adapter, **FITTING, any_protocol=True) == []
    with pytest.raises(InputError) as refused:
        check_adapter(adapter, **{**asked, "evaluation_images": {"1" * 64: "a.png"}}, any_protocol=True)
    assert refused.value.got.startswith("overlap: 1 evaluation image")
    assert "--any-protocol" not in refused.value.remedy
