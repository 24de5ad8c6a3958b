"""`boxlist run` on the pocket checkpoint, in this process: what it writes, reuses, refuses and leaves behind."""

from __future__ import annotations

import dataclasses
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from boxlist.adapters_training.provenance import Provenance, text_sha256, write_provenance
from boxlist.adapters_training.weights_file import tensors_sha256
from boxlist.cli import main
from boxlist.models.identity import base_identity
from boxlist.runs import inputs
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DENSE, INVENTORY = "boxlist_dense_bbox_shapes", "boxlist_inventory_shapes"
Words = "Callable[..., list[str]]"


@pytest.fixture
def again(unbroken: Path, tmp_path: Path) -> Path:
    """A copy of the finished run of eight images, as `tmp_path / "night"`."""
    return shutil.copytree(unbroken, tmp_path / "night")


def refusal(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """The one line that a refused command says."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("boxlist: ").rstrip("\n")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_a_run_writes_what_the_design_says(unbroken: Path, pocket_base: Path) -> None:
    run = json.loads((unbroken / "run.json").read_text())
    assert run["schema"] == 1
    assert run["status"] == "complete"
    assert run["model"] == "boxlist_hf"
    assert run["base"]["path"] == str(pocket_base)
    assert len(run["base"]["weights_sha256"]) == 64
    assert run["adapter"] is None
    assert (run["protocol"], run["controls"], run["seed"]) == ("norm1000_xyxy", {}, 0)
    assert (run["device"], run["dtype_used"], run["batch_size"], run["limit"]) == ("cpu", "float32", 1, 8)
    task = run["tasks"][DENSE]
    assert task["prompt"].startswith("Detect every object in the image.")
    assert task["generation_kwargs"]["max_new_tokens"] == 48
    assert len(task["dataset"]["sha256"]) == 64
    assert {"scanner.py", "controls/list_rules.py", "models/hf.py", "tasks/harness.py"} <= run["code"].keys()
    assert run["versions"].keys() >= {"torch", "transformers", "lmms-eval", "peft", "boxlist"}
    assert (run["answers"], run["sessions"]) == (8, 1)
    answers = [json.loads(line) for line in (unbroken / "answers.jsonl").read_text().splitlines()]
    assert run["tokens"] == sum(answer["tokens"] for answer in answers) > 0
    assert run["wall_seconds"] == max(answer["at"] for answer in answers) > 0
    assert {answer["finish"] for answer in answers} <= {"eos", "length"}
    scores = json.loads((unbroken / "scores.json").read_text())
    assert scores["schema"] == 1
    assert scores["tasks"][DENSE]["n"] == len(scores["tasks"][DENSE]["per_image"]) == 8
    assert scores["tasks"][DENSE]["metrics"]["f1@0.3"].keys() >= {"value", "ci_low", "ci_high"}


def test_a_finished_run_is_reused_without_its_model(
    again: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = contents(again)
    monkeypatch.setattr("boxlist.runs.engine._load", lambda _: pytest.fail("the model was loaded"))
    assert main([*run_words(again.parent, "night"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["computed"] == 0
    assert printed["tasks"][DENSE]["metrics"] == json.loads(before["scores.json"])["tasks"][DENSE]["metrics"]
    before["run.json"] = before["run.json"].replace(b'"name": "unbroken"', b'"name": "night"')
    assert contents(again) == before


def test_more_images_reuse_the_answers_that_are_there(
    again: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    before = (again / "answers.jsonl").read_text()
    assert main(run_words(again.parent, "night", "--limit", "10", "--batch-size", "2")) == 0
    captured = capsys.readouterr()
    assert f"{again}: 10 answers, 2 of them new" in captured.out
    assert (
        f"boxlist: {again}: has answers from other conditions, which may differ slightly: batch size 1 -> 2"
        in captured.err
    )
    assert f"under 30 images intervals are narrower than they should be: {DENSE} has 10" in captured.err
    after = (again / "answers.jsonl").read_text()
    assert after.startswith(before)
    assert after.count("\n") == 10


def test_fresh_deletes_and_starts_again(
    again: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (again / "notes.txt").write_text("mine")
    assert main(run_words(again.parent, "night", "--limit", "2", "--max-new-tokens", "8", "--fresh")) == 0
    captured = capsys.readouterr()
    assert f"boxlist: {again}: 8 answers deleted (--fresh)" in captured.err
    assert f"{again}: 2 answers, 2 of them new" in captured.out
    assert (again / "answers.jsonl").read_text().count("\n") == 2
    assert (again / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--controls", "budget=8"], "controls budget: none -> 8"),
        (["--controls", "repeat_stop"], "controls repeat_stop: none -> True"),
        (["--max-new-tokens", "64"], f"tasks {DENSE} generation_kwargs max_new_tokens: 48 -> 64"),
        (["--seed", "1"], "seed: 0 -> 1"),
        (["--limit", "4"], f"tasks {DENSE} n: 8 -> 4"),
        (["--tasks", INVENTORY], f"tasks {DENSE}: 8 images -> none"),
        (["dtype=float32"], "dtype: auto -> float32"),
        (["protocol=pixel_xyxy"], "protocol: norm1000_xyxy -> pixel_xyxy"),
    ],
)
def test_a_changed_word_is_refused_and_named(
    again: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    before = contents(again)
    words = run_words(again.parent, "night")
    if "=" in more[0]:
        words[2] += f",{more[0]}"
        more = []
    message = refusal(capsys, [*words, *more])
    assert message.startswith(f"{again}: expected the inputs that its answers were made from, got ")
    assert said in message
    assert message.endswith("Take another --name, or delete its answers and start again with --fresh.")
    assert contents(again) == before


def test_changed_base_weights_under_the_same_path_are_refused(
    tmp_path: Path, pocket_base: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    base = shutil.copytree(pocket_base, tmp_path / "base")
    words = run_words(tmp_path, "night", "--model-args", f"pretrained={base},device=cpu", "--limit", "1")
    assert main([*words, "--max-new-tokens", "4"]) == 0
    capsys.readouterr()
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (base / "model.safetensors").write_bytes(weights)
    assert "got base weights_sha256: " in refusal(capsys, [*words, "--max-new-tokens", "4"])


def test_changed_adapter_bytes_under_the_same_path_are_refused(
    tmp_path: Path,
    pocket_base: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    random_adapter: Path,
) -> None:
    adapter = shutil.copytree(random_adapter, tmp_path / "adapter")
    model = f"pretrained={pocket_base},adapter={adapter},device=cpu"
    words = run_words(tmp_path, "night", "--model-args", model, "--limit", "1", "--max-new-tokens", "4")
    assert main(words) == 0
    assert "no adapter_provenance.json: cannot check" in capsys.readouterr().err
    weights = bytearray((adapter / "adapter_model.safetensors").read_bytes())
    weights[-1] ^= 1
    (adapter / "adapter_model.safetensors").write_bytes(weights)
    assert main(words) == 2
    assert "got adapter sha256: " in capsys.readouterr().err.splitlines()[-1]


def test_a_changed_prompt_is_refused(
    again: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probe = probe_named(DENSE)
    other = dataclasses.replace(probe, prompt=probe.prompt.replace("a color and a shape", "a shape"))
    monkeypatch.setattr(inputs, "probe_named", lambda _: other)
    message = refusal(capsys, run_words(again.parent, "night"))
    assert f"got tasks {DENSE} prompt: ...abel is a color and a shape. -> ...abel is a shape.. Take" in message


def test_changed_code_is_refused(
    again: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    run = json.loads((again / "run.json").read_text())
    run["code"]["scanner.py"] = "0" * 64
    (again / "run.json").write_text(json.dumps(run))
    assert "got code scanner.py: 000000000000 -> " in refusal(capsys, run_words(again.parent, "night"))


@pytest.mark.parametrize("harm", ["flipped", "cut", "no image", "gone"])
def test_a_changed_image_is_refused_and_named(
    again: Path,
    data_root: Path,
    tmp_path: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    harm: str,
) -> None:
    shutil.copytree(data_root, tmp_path / "data")
    monkeypatch.setenv("BOXLIST_DATA", str(tmp_path / "data"))
    image = sorted(tmp_path.glob("data/shapes-*/test/images/*.png"))[3]
    data = bytearray(image.read_bytes())
    data[len(data) // 2] ^= 1
    harmed: dict[str, bytes | None] = {
        "flipped": bytes(data),
        "cut": bytes(data[:100]),
        "no image": b"hello",
        "gone": None,
    }
    image.unlink() if harmed[harm] is None else image.write_bytes(harmed[harm] or b"")
    before = contents(again)
    assert image.name in refusal(capsys, run_words(again.parent, "night"))
    assert contents(again) == before


def test_a_wrong_request_leaves_nothing_behind(
    tmp_path: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str], pocket_base: Path
) -> None:
    broken = shutil.copytree(pocket_base, tmp_path / "base")
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    refusal(capsys, run_words(tmp_path / "runs", "night", "--model-args", f"pretrained={broken},device=cpu"))
    assert sorted(child.name for child in tmp_path.iterdir()) == ["base"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            ["--model-args", "protocol=percent_xy"],
            f"protocol percent_xy: expected one that writes boxes, which {DENSE} asks for, got one that writes points.",
        ),
        (
            ["--model-args", "protocol=percent_xy", "--controls", "near_repeat_stop=0.9"],
            "control near_repeat_stop: expected a protocol that writes boxes, got percent_xy.",
        ),
    ],
    ids=["boxes", "overlap"],
)
def test_a_protocol_of_points_is_refused_where_boxes_are_meant(
    tmp_path: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
    pocket_base: Path,
    more: list[str],
    message: str,
) -> None:
    given = [more[0], f"pretrained={pocket_base},device=cpu,{more[1]}", *more[2:]]
    assert message in refusal(capsys, run_words(tmp_path / "runs", "night", *given))
    assert not (tmp_path / "runs").exists()


def test_an_adapter_that_does_not_fit_is_refused_with_every_reason(
    tmp_path: Path,
    pocket_base: Path,
    random_adapter: Path,
    run_words: Callable[..., list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    adapter = shutil.copytree(random_adapter, tmp_path / "adapter")
    image = documents("shapes", "test")[5]
    write_provenance(
        adapter,
        Provenance(
            adapter={"tensors_sha256": tensors_sha256(adapter / "adapter_model.safetensors")},
            base={"name": "another-base", "identity": {**base_identity(pocket_base), "weights_sha256": "0" * 64}},
            protocol={"name": "pixel_xyxy", "list_order": "reading"},
            prompt={"task": DENSE, "template": "List them.", "template_sha256": text_sha256("List them.")},
            data={"dataset": "shapes", "split": "train", "images": [{"name": "a.png", "sha256": image["sha256"]}]},
            recipe={},
            training={"trainable_parameters": 1, "loss_normalisation": "tokens"},
            versions={},
        ),
    )
    words = run_words(tmp_path / "runs", "night", "--model-args", f"pretrained={pocket_base},adapter={adapter}")
    message = refusal(capsys, words)
    assert message.startswith(f"adapter {adapter}: expected an evaluation with the base, protocol and prompt of its")
    assert "another base than another-base (weights_sha256 " in message
    assert "protocol norm1000_xyxy where it learnt pixel_xyxy" in message
    assert f"another prompt for {DENSE} than it was trained on" in message
    assert f"1 evaluation image it was trained on (shapes {image['file'].rpartition('/')[2]})" in message
    assert not (tmp_path / "runs").exists()


def test_a_replay_of_a_raw_run_equals_the_live_run(
    unbroken: Path, tmp_path: Path, run_words: Callable[..., list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(unbroken, tmp_path / "raw")
    assert main(["replay", str(tmp_path / "raw"), "--controls", "repeat_stop", "--name", "replayed"]) == 0
    assert main(run_words(tmp_path, "live", "--controls", "repeat_stop")) == 0
    capsys.readouterr()
    replayed, live = (
        {a["image_id"]: (a["text"], a["triggered"], a["finish"]) for a in map(json.loads, text.splitlines())}
        for text in ((tmp_path / name / "answers.jsonl").read_text() for name in ("replayed", "live"))
    )
    assert replayed == live
    figures = [
        json.loads((tmp_path / name / "scores.json").read_text())["tasks"][DENSE]["metrics"]
        for name in ("replayed", "live")
    ]
    assert figures[0] == figures[1]
