"""`boxlist adapter show` and `verify`: what is told, and each fault found."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file, save_file

from boxlist import cli
from boxlist.adapters_training.provenance import PROVENANCE_FILE
from boxlist.adapters_training.verification import OK, UNCHECKED, WRONG, verify_adapter
from boxlist.adapters_training.weights_file import WEIGHTS_FILE
from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from boxlist.adapters_training.train import TrainedAdapter


@pytest.fixture
def adapter(trained: TrainedAdapter, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(trained.folder, tmp_path / "adapter")


def outcomes(folder: Path, base: Path | None = None) -> dict[str, str]:
    return {finding.matter: finding.outcome for finding in verify_adapter(folder, None if base is None else str(base))}


def words(folder: Path, outcome: str, base: Path | None = None) -> list[str]:
    found = verify_adapter(folder, None if base is None else str(base))
    return [finding.words for finding in found if finding.outcome == outcome]


def test_a_whole_adapter_on_its_base_is_right_in_everything(adapter: Path, pocket_base: Path) -> None:
    assert set(outcomes(adapter, pocket_base).values()) == {OK}
    assert words(adapter, UNCHECKED) == ["none given; pass --base"]


def test_other_tensors_are_found(adapter: Path) -> None:
    tensors = load_file(adapter / WEIGHTS_FILE)
    name = sorted(tensors)[0]
    save_file({**tensors, name: tensors[name] + 1}, adapter / WEIGHTS_FILE)
    assert words(adapter, WRONG) == ["expected the tensors that adapter_provenance.json describes, got others"]


def test_an_edited_provenance_is_found(adapter: Path) -> None:
    file = adapter / PROVENANCE_FILE
    file.write_text(file.read_text().replace('"rank": 4', '"rank": 8'))
    assert words(adapter, WRONG) == [
        "expected the adapter_provenance.json that was written with its weights, got another, or an edited one",
        "rank 4, trained with 8",
    ]


def test_another_base_is_found(adapter: Path, pocket_base: Path, tmp_path: Path) -> None:
    other = shutil.copytree(pocket_base, tmp_path / "base")
    (other / "chat_template.jinja").write_text("{{ messages }}")
    (found,) = words(adapter, WRONG, other)
    assert found.startswith("another base than pocket:qwen3vl (processor_sha256 ")


def test_a_pickle_beside_the_weights_is_found_and_one_instead_of_them_refused(adapter: Path) -> None:
    (adapter / "optimizer.pt").write_bytes(b"\x80\x04.")
    assert words(adapter, WRONG) == ["optimizer.pt: a pickle can run code when it is read; delete it"]
    (adapter / WEIGHTS_FILE).rename(adapter / "adapter_model.bin")
    (adapter / "optimizer.pt").unlink()
    assert cli.main(["adapter", "verify", str(adapter)]) == 2


def test_what_is_no_pair_or_of_another_rank_is_found(adapter: Path) -> None:
    tensors = load_file(adapter / WEIGHTS_FILE)
    (adapter / PROVENANCE_FILE).unlink()
    save_file({**tensors, "model.norm.weight": next(iter(tensors.values()))}, adapter / WEIGHTS_FILE)
    assert words(adapter, WRONG) == ["1 tensors that are not LoRA's, such as model.norm.weight"]
    save_file({name: tensor for name, tensor in tensors.items() if "lora_A" in name}, adapter / WEIGHTS_FILE)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "r": 16}))
    assert words(adapter, WRONG) == ["ranks 4 in the tensors, 16 in adapter_config.json"]


def test_of_an_adapter_from_elsewhere_it_says_what_cannot_be_checked(adapter: Path, pocket_base: Path) -> None:
    (adapter / PROVENANCE_FILE).unlink()
    found = outcomes(adapter, pocket_base)
    assert [matter for matter, outcome in found.items() if outcome == UNCHECKED] == [
        "provenance",
        "weights as trained",
        "protocol and prompt",
        "training images",
        "base",
    ]
    assert WRONG not in found.values()


def test_what_is_not_lora_is_refused(adapter: Path) -> None:
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "peft_type": "IA3"}))
    with pytest.raises(InputError, match="peft_type: expected LORA, got IA3"):
        verify_adapter(adapter)


def test_the_commands_say_it(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adapter", "show", str(adapter), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["base"] == "pocket:qwen3vl"
    assert told["lora"]["r"] == 4
    assert told["weights"] == {"tensors": 48, "parameters": 36_864, "types": {"F32": 48}}
    assert told["files"][WEIGHTS_FILE] == (adapter / WEIGHTS_FILE).stat().st_size
    assert told["provenance"]["data"]["images"] == 8
    assert told["provenance"]["prompt"]["task"] == "boxlist_dense_bbox_shapes"
    assert cli.main(["adapter", "show", str(adapter)]) == 0
    text = capsys.readouterr().out
    assert "protocol   norm1000_xyxy; lists in order: reading\n" in text
    assert "data       shapes 1, train split, 8 images (Apache-2.0)\n" in text
    assert cli.main(["adapter", "verify", str(adapter), "--base", "pocket:qwen3vl"]) == 0
    assert "ok            base: pocket:qwen3vl, by content\n" in capsys.readouterr().out
    (adapter / PROVENANCE_FILE).unlink()
    assert cli.main(["adapter", "show", str(adapter)]) == 0
    assert "provenance none: nobody can say what it was trained on, or how\n" in capsys.readouterr().out
    assert cli.main(["adapter", "verify", str(adapter), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {"matter": "provenance", "outcome": UNCHECKED, "words": "no adapter_provenance.json"} in findings


def test_what_an_author_wrote_stays_on_its_line(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (adapter / PROVENANCE_FILE).unlink()
    config = json.loads((adapter / "adapter_config.json").read_text())
    hostile = "a\nbase       trusted\x1b[2J" + "x" * 1000
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": hostile}))
    assert cli.main(["adapter", "show", str(adapter)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (base,) = [line for line in lines if line.startswith("base ")]
    assert base.startswith("base       a base       trusted [2Jxxx")
    assert len(base) < 700


def test_merging_needs_to_be_told_from_what_and_whereto(adapter: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["adapter", "merge", str(adapter), "--out", str(adapter / "x")]) == 2
    assert "adapter merge: expected --base, pocket:qwen3vl, got none. Add it." in capsys.readouterr().err
    assert cli.main(["adapter", "merge", str(adapter), "--base", "pocket:qwen3vl"]) == 2
    assert "expected --out, a new folder, got none" in capsys.readouterr().err
