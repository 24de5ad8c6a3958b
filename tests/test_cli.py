"""The command line: what it lists, how it refuses, and what it does not import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import boxlist
from boxlist.cli import COMMANDS, main
from boxlist.tasks.probes import probes

if TYPE_CHECKING:
    from collections.abc import Sequence

DENSE = "boxlist_dense_bbox_shapes"
HEAVY = ("torch", "transformers", "lmms_eval", "peft", "datasets", "accelerate")
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0}],
    "categories": [{"id": 1, "name": "red circle"}],
}


def test_help_lists_every_command_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    listed = {line.split()[0] for line in text.splitlines() if line.startswith("    ") and line[4] != " "}
    assert listed == {command.name for command in COMMANDS} >= {"demo", "run", "score", "study", "export"}


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: boxlist {command} ")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"boxlist {boxlist.__version__}\n"


def test_tasks_path_is_the_folder_of_the_tasks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks-path"]) == 0
    folder = Path(capsys.readouterr().out.rstrip("\n"))
    assert (folder / "dense_bbox" / f"{DENSE}.yaml").is_file()


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["tasks-path"],
        ["score", "{a}", "--ground-truth", "{g}", "--protocol", "pixel_xyxy"],
    ],
    ids=["help", "run help", "tasks-path", "score"],
)
def test_light_commands_import_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"image_id": 1, "response": "[]"}\n')
    (tmp_path / "g.json").write_text(json.dumps(COCO))
    words = [word.format(a=tmp_path / "a.jsonl", g=tmp_path / "g.json") for word in words]
    code = (
        "import sys\n"
        "from boxlist.cli import main\n"
        "try:\n"
        f"    status = main({words!r})\n"
        "except SystemExit as stop:\n"
        "    status = stop.code\n"
        f"assert not status, status\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def refusal(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> str:
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("boxlist: ")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("boxlist: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["rnu"],
            (
                f"command 'rnu': expected one of {', '.join(sorted(command.name for command in COMMANDS))}, "
                "got an unknown name. Did you mean run or train?"
            ),
        ),
        ([], "boxlist: the following arguments are required: COMMAND (see boxlist --help)"),
        (["run"], "run: the following arguments are required: --model-args, --tasks (see boxlist run --help)"),
        (
            ["run", "--model-args", "pretrained=m", "--tasks", "t", "--limit", "0"],
            "run: argument --limit: expected a whole number from 1, got '0' (see boxlist run --help)",
        ),
        (
            ["run", "--model-args", "pretrained", "--tasks", "t"],
            "--model-args 'pretrained': expected name=value, got neither. Write name=value.",
        ),
        (
            ["run", "--model-args", "adapter=a", "--tasks", "t"],
            "--model-args: expected pretrained=CHECKPOINT, got none. Say which model.",
        ),
        (
            ["run", "--model-args", "pretrained=m", "--tasks", "t", "--controls", "repeatstop"],
            "control 'repeatstop': expected one of budget, ",
        ),
        (
            ["run", "--model-args", "pretrained=m", "--tasks", "t", "--name", "../x"],
            (
                "--name '../x': expected letters, digits and ._=+- only, at most 120, got something else. Choose such "
                "a name; --out says where the folder lies."
            ),
        ),
        (
            ["run", "--model-args", "pretrained=m", "--tasks", "boxlist_dense_box_shapes"],
            (
                f"task 'boxlist_dense_box_shapes': expected one of {', '.join(probes())}, got an unknown name. Did you "
                "mean boxlist_dense_bbox_shapes or boxlist_dense_bbox_shapes_full or boxlist_dense_bbox_trees?"
            ),
        ),
        (
            ["run", "--model", "boxlist_vlm", "--model-args", "pretrained=m", "--tasks", DENSE],
            (
                "model 'boxlist_vlm': expected one of boxlist_hf, boxlist_openai, boxlist_vllm, got an unknown name. "
                "Did you mean boxlist_vllm "
            ),
        ),
        (["run", "--model-args", "pretrained=m,protocol=norm100_xyxy", "--tasks", DENSE], "protocol 'norm100_xyxy': "),
        (
            ["run", "--model-args", "pretrained=./nowhere", "--tasks", DENSE],
            "checkpoint './nowhere': expected a folder, or a hub id such as owner/name, got neither. Check the path.",
        ),
        (
            ["run", "--model-args", "pretrained=m", "--tasks", DENSE, "--gen-kwargs", "temprature=1"],
            "generation kwarg 'temprature': ",
        ),
        (
            ["data", "check", "shape"],
            "data set 'shape': expected one of absent, ",
        ),
        (["train", "nowhere.yaml"], "recipe nowhere.yaml: expected a YAML file, got no such file. Recipes here: "),
    ],
)
def test_wrong_words_get_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, words).startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_comes_only_with_debug(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--model-args", "pretrained", "--tasks", "t"]
    assert main(words) == 2
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", *words]) == main([*words, "--debug"]) == 2
    assert capsys.readouterr().err.count("Traceback (most recent call last)") == 2


def test_broken_yaml_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text("base: [unclosed\n")
    assert refusal(capsys, ["train", "bad.yaml"]).startswith("bad.yaml: expected ")
    assert [child.name for child in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_coco_box_of_negative_width_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco = json.loads(json.dumps(COCO))
    coco["annotations"][0]["bbox"][2] = -4.0
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    (tmp_path / "answers.jsonl").write_text('{"image_id": 1, "response": "[]"}\n')
    words = ["score", str(tmp_path / "answers.jsonl"), "--ground-truth", str(tmp_path / "coco.json")]
    message = refusal(capsys, [*words, "--protocol", "pixel_xyxy", "--out", str(tmp_path / "scores.json")])
    assert message.startswith("coco.json: ")
    assert "width > 0" in message
    assert "got -4" in message
    assert sorted(child.name for child in tmp_path.iterdir()) == ["answers.jsonl", "coco.json"]


def test_score_writes_scores_and_names_the_images_without_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coco = json.loads(json.dumps(COCO))
    coco["images"].append({"id": 2, "file_name": "b.png", "width": 10, "height": 10})
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    response = '[{"bbox_2d": [10, 10, 30, 30], "label": "red circle"}]'
    (tmp_path / "mine.jsonl").write_text(json.dumps({"image_id": 1, "response": response}) + "\n")
    words = ["score", str(tmp_path / "mine.jsonl"), "--ground-truth", str(tmp_path / "coco.json")]
    assert main([*words, "--protocol", "pixel_xyxy", "--out", str(tmp_path / "scores.json"), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "boxlist: 1 images have no answer and count as empty: 2",
        "boxlist: warning: under 30 images intervals are narrower than they should be: mine has 2",
    ]
    assert json.loads(captured.out)["tasks"]["mine"]["metrics"]["f1@0.5"]["value"] == 1.0
    written = json.loads((tmp_path / "scores.json").read_text())
    assert written["tasks"]["mine"]["metrics"] == json.loads(captured.out)["tasks"]["mine"]["metrics"]


def test_data_check_prints_every_problem_and_exits_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = ["images/1.png: missing", "images/2.png: in no manifest"]
    monkeypatch.setattr("boxlist.tasks.datasets.catalog.check_dataset", lambda _: problems)
    assert main(["data", "check", "shapes"]) == 2
    assert capsys.readouterr().out.splitlines() == problems
    assert main(["data", "check", "shapes", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["problems"] == problems


def test_data_check_of_whole_data_describes_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boxlist.tasks.datasets.catalog.check_dataset", lambda _: [])
    monkeypatch.setattr("boxlist.tasks.datasets.catalog.describe_dataset", lambda name: [f"{name}: 80 images"])
    assert main(["data", "check", "shapes"]) == 0
    assert capsys.readouterr().out == "shapes: 80 images\n"
