"""What a checkpoint and an adapter are, by content; and what is refused before anything is loaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.models.identity import adapter_folder, adapter_sha256, base_identity, checkpoint_folder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def base(pocket_base: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pocket_base, tmp_path / "base")


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("config.json", "config_sha256"),
        ("generation_config.json", "generation_config_sha256"),
        ("tokenizer.json", "processor_sha256"),
        ("tokenizer_config.json", "processor_sha256"),
        ("processor_config.json", "processor_sha256"),
        ("chat_template.jinja", "processor_sha256"),
        ("model.safetensors", "weights_sha256"),
    ],
)
def test_one_changed_byte_changes_its_own_row_only(base: Path, file: str, row: str) -> None:
    before = base_identity(str(base))
    content = (base / file).read_bytes()
    (base / file).write_bytes(content + b" ")
    after = base_identity(str(base))
    assert {name for name in before if before[name] != after[name]} == {row}


def test_identity_is_of_content_not_of_path_or_date(pocket_base: Path, base: Path) -> None:
    os.utime(base / "config.json", (1, 1))
    (base / "README.md").write_text("a card")
    assert base_identity(base) == base_identity(str(pocket_base))
    assert base_identity(base)["model_type"] == "qwen3_vl"


def test_an_added_template_changes_the_identity(base: Path) -> None:
    before = base_identity(base)
    (base / "additional_chat_templates").mkdir()
    (base / "additional_chat_templates" / "tool.jinja").write_text("x")
    assert base_identity(base)["processor_sha256"] != before["processor_sha256"]


def test_adapter_hash_follows_weights_and_config_only(adapter: Path, tmp_path: Path) -> None:
    first = adapter_sha256(str(adapter))
    (adapter / "README.md").write_text("card")
    (adapter / "adapter_provenance.json").write_text("{}")
    copy = shutil.copytree(adapter, tmp_path / "elsewhere")
    assert adapter_sha256(copy) == first
    (adapter / "adapter_model.safetensors").write_bytes(b"weightz")
    second = adapter_sha256(adapter)
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    assert len({first, second, adapter_sha256(adapter)}) == 3


def test_content_cannot_move_from_one_file_to_the_next(adapter: Path) -> None:
    (adapter / "adapter_config.json").write_text("{}a")
    (adapter / "adapter_model.safetensors").write_bytes(b"b")
    first = adapter_sha256(adapter)
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(b"ab")
    assert adapter_sha256(adapter) != first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no/such/folder", "checkpoint '/no/such/folder': expected a folder, or a hub id such as owner/name, got"),
        ("./missing", "checkpoint './missing': expected a folder, or a hub id"),
        ("", "checkpoint '': expected a folder, or a hub id"),
        ("some_folder", "checkpoint 'some_folder': expected a folder, or a hub id"),
        ("a/b/c", "got neither"),
        ("owner/not here!", "checkpoint 'owner/not here!': expected a folder here, or a hub repository that can"),
        ("owner/unreachable", "checkpoint 'owner/unreachable': expected a folder here, or a hub repository"),
    ],
)  # fmt: skip
def test_missing_checkpoints(name: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        checkpoint_folder(name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_that_are_no_checkpoint(base: Path, adapter: Path) -> None:
    with pytest.raises(
        InputError, match=r"expected a checkpoint folder with config.json, got an adapter. Give it as adapter="
    ):
        checkpoint_folder(str(adapter))
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"expected weights in safetensors, got none. .*other formats can run code"):
        checkpoint_folder(str(base))
    (base / "config.json").unlink()
    with pytest.raises(InputError, match=r"got a folder without one. Check the path."):
        checkpoint_folder(str(base))
    with pytest.raises(
        InputError, match=r"expected a folder with a checkpoint, got a file. Give the folder it lies in."
    ):
        checkpoint_folder(str(base / "tokenizer.json"))


def test_a_pickled_adapter_is_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(InputError) as caught:
        adapter_sha256(adapter)
    assert str(caught.value) == (
        f"{adapter}: expected adapter_model.safetensors, got only adapter_model.bin, a pickle, which can run code when "
        "it is read. Save the adapter again with save_pretrained(safe_serialization=True)."
    )
    (adapter / "adapter_model.bin").unlink()
    with pytest.raises(InputError, match=r"expected adapter_model.safetensors, got no weights"):
        adapter_folder(str(adapter))
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(InputError, match=r"expected an adapter folder with adapter_config.json"):
        adapter_folder(str(adapter))


@pytest.mark.parametrize("content", ["{", "[" * 100_000, '"text"', "\xff"])
def test_broken_config_json(base: Path, content: str) -> None:
    (base / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=r"config.json: expected (JSON|a JSON object), got"):
        base_identity(base)


def test_names_are_hashed_and_adapters_recorded_without_torch(pocket_base: Path, adapter: Path) -> None:
    code = (
        "import sys, json\n"
        "import boxlist.models, boxlist.models.answers\n"
        "from boxlist.models.loading import adapter_sha256, base_identity\n"
        "import boxlist.controls.table, boxlist.controls.list_watch, boxlist.controls.answer_watch\n"
        "rows = base_identity(sys.argv[1]), adapter_sha256(sys.argv[2])\n"
        "heavy = sorted({'torch', 'transformers', 'lmms_eval', 'peft'} & set(sys.modules))\n"
        "print(json.dumps([*rows, heavy]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(pocket_base), str(adapter)], capture_output=True, text=True, check=True
    )
    base_row, adapter_row, heavy = json.loads(done.stdout)
    assert heavy == []
    assert base_row == base_identity(pocket_base)
    assert adapter_row == adapter_sha256(adapter)
