"""The gate end to end: verdicts, exit status, and what it writes for continuous integration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from boxlist.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

    Gate = Callable[..., tuple[int, str, str]]

TASK = "boxlist_dense_bbox_shapes"
GOOD = [5, 6, 7, 8] * 20
CI = Path(__file__).parents[3] / "docs" / "ci"
HEAVY = ("torch", "transformers", "lmms_eval", "peft", "scipy")


@pytest.fixture
def gate(save_run: Callable[..., Path], write_gate: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> Gate:
    """`gate(run, *words)`: exit status, stdout and stderr against the baseline `good`, which finds 65%."""
    path = write_gate()
    assert main(["gate", str(path), "--run", str(save_run("good", GOOD)), "--accept"]) == 0
    assert "f1@0.3 none -> 0.650" in capsys.readouterr().out

    def judge(run: Path, *words: str) -> tuple[int, str, str]:
        status = main(["gate", str(path), "--run", str(run), *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return judge


def lines_of(text: str) -> dict[str, dict[str, Any]]:
    return {line["metric"]: line for line in json.loads(text)["lines"]}


def test_the_same_answers_pass(gate: Gate, save_run: Callable[..., Path]) -> None:
    status, out, err = gate(save_run("same", GOOD))
    assert (status, err) == (0, "")
    assert "gate.yaml: passed (3 pass)" in out
    assert "no image changed" in out


def test_a_drop_beyond_chance_fails(gate: Gate, save_run: Callable[..., Path]) -> None:
    status, out, _ = gate(save_run("worse", [tp - 1 for tp in GOOD]), "--json")
    assert status == 1
    line = lines_of(out)["f1@0.3"]
    assert (line["verdict"], line["images_needed"], line["n"]) == ("fail", None, 80)
    assert (line["baseline"], line["run"], line["worse_by"]) == pytest.approx((0.65, 0.55, 0.1))
    assert (json.loads(out)["verdict"], json.loads(out)["exit_status"]) == ("fail", 1)


def test_too_few_images_cannot_tell(gate: Gate, save_run: Callable[..., Path]) -> None:
    mixed = [tp + (-3, 3, -2, 0)[place % 4] for place, tp in enumerate(GOOD)]
    status, out, _ = gate(save_run("mixed", mixed), "--json")
    assert status == 3
    line = lines_of(out)["f1@0.3"]
    assert (line["verdict"], line["worse_by"]) == ("cannot tell", pytest.approx(0.05))
    assert line["detectable"] > 0.05


def test_a_limit_is_on_the_figure(gate: Gate, save_run: Callable[..., Path]) -> None:
    valid = [False] * 4 + [True] * 76  # exactly 0.95
    status, out, _ = gate(save_run("ok", GOOD, parse_valid=valid, max_repeat=[4] * 80), "--json")
    found = lines_of(out)
    assert (found["parse_valid"]["verdict"], found["max_repeat"]["verdict"]) == ("pass", "pass")
    assert status == 0
    assert found["f1@0.3"]["bound"] == pytest.approx(1 - 0.05 ** (1 / 80)), "what no image showed may still be"
    valid[4] = False
    status, out, _ = gate(save_run("bad", GOOD, parse_valid=valid, max_repeat=[5] + [1] * 79))
    assert status == 1
    assert "FAILED (2 fail, 1 pass)" in out.splitlines()[0]


def test_few_images_warn_and_do_not_pass(
    save_run: Callable[..., Path], write_gate: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_gate()
    good, other = save_run("good", [5] * 8), save_run("other", [5] * 7 + [6])
    assert main(["gate", str(path), "--run", str(good), "--accept"]) == 0
    assert main(["gate", str(path), "--run", str(other)]) == 3
    captured = capsys.readouterr()
    assert captured.err.startswith("boxlist: warning: under 30 images intervals are too narrow: boxlist_dense_bbox_sh")
    assert "it would take about" in captured.out


def test_files_for_continuous_integration(gate: Gate, save_run: Callable[..., Path], tmp_path: Path) -> None:
    junit, markdown = tmp_path / "gate.xml", tmp_path / "gate.md"
    worse = save_run("worse", [tp - 1 for tp in GOOD], name="<&|`x`\x1b")
    status, _, _ = gate(worse, "--junit", str(junit), "--markdown", str(markdown))
    assert status == 1
    suite = ET.parse(junit).getroot()[0]  # noqa: S314 (written here)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "0")
    case = suite[0]
    assert (case.get("classname"), case.get("name")) == (TASK, "f1@0.3 at most 0.05 worse")
    assert "f1@0.3 0.650 -> 0.550" in str(case[0].get("message"))
    text = markdown.read_text()
    assert text.startswith("### ")
    assert "run: &lt;&amp;\\|\\`x\\`  (" in text
    assert f"| fail | {TASK.replace('_', chr(92) + '_')} | f1@0.3 |" in text


def test_what_cannot_be_told_is_skipped_in_junit(gate: Gate, save_run: Callable[..., Path], tmp_path: Path) -> None:
    gate(save_run("mixed", [tp + (-3, 3)[place % 2] for place, tp in enumerate(GOOD)]), "--junit", str(tmp_path / "x"))
    suite = ET.parse(tmp_path / "x").getroot()[0]  # noqa: S314 (written here)
    assert (suite.get("failures"), suite.get("skipped")) == ("0", "1")
    assert str(suite[0][0].get("message")).startswith(f"cannot tell: {TASK}: f1@0.3 ")


def test_on_github(gate: Gate, save_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    worse = save_run("worse", [tp - 1 for tp in GOOD])
    _, out, _ = gate(worse)
    (annotation,) = [line for line in out.splitlines() if line.startswith("::")]
    assert annotation.startswith(
        f"::error file={tmp_path}/gate.yaml,title=boxlist gate%3A fail::{TASK}: f1@0.3 0.650 ->"
    )
    assert summary.read_text().startswith("before\n### ")
    _, out, err = gate(worse, "--json")
    assert json.loads(out)["exit_status"] == 1
    assert err.startswith("::error ")


def test_annotations_cannot_be_forged(
    save_run: Callable[..., Path],
    write_gate: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = "100%\n::error::x"
    rules = {"tasks": {task: {"limits": {"parse_valid": {"at_least": 1.0}}}}}
    path = write_gate(yaml.safe_dump(rules))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert main(["gate", str(path), "--run", str(save_run("r", [5] * 30, task=task, parse_valid=[False] * 30))]) == 1
    out = capsys.readouterr().out
    (annotation,) = [line for line in out.splitlines() if line.startswith("::")]
    assert annotation.endswith("::100%25 ::error::x: parse_valid 0.000, at least 1: outside")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"images": "e" * 64}, "expected the same images, got dddddddd and eeeeeeee."),
        ({"prompt": "e" * 64}, "baseline.json and accept again."),
        ({"definitions": "e" * 64}, "expected the same definitions"),
        ({"status": "running"}, "run.json: expected a finished run, got status running."),
        ({"task": "other"}, f"task '{TASK}': expected one of other, got an unknown name."),
    ],
)
def test_runs_that_do_not_compare_are_wrong_input(
    gate: Gate, save_run: Callable[..., Path], tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    junit = tmp_path / "gate.xml"
    status, out, err = gate(save_run("other", GOOD, **other), "--junit", str(junit))
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not junit.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{gate}"], "gate.yaml: expected a run to judge, got none. Pass --run RUN."),
        (
            ["{gate}", "--run", "{run}"],
            "baseline.json: expected a baseline, got no such file. Write it from a run that",
        ),
        (["{gate}x", "--run", "{run}"], "gate.yamlx: No such file or directory"),
        (["{gate}", "--run", "{run}", "--junit", "{gate}"], "expected a file of its own"),
        (["{gate}", "--run", "{run}", "--markdown", "{run}/x"], "expected a file of its own, outside run folders"),
    ],
)
def test_refusals_are_one_line(
    words: list[str],
    message: str,
    save_run: Callable[..., Path],
    write_gate: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, run = write_gate(), save_run("r", GOOD)
    assert main(["gate", *(word.format(gate=path, run=run) for word in words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert "margins" in path.read_text()


def test_nothing_heavy_is_imported(save_run: Callable[..., Path], write_gate: Callable[..., Path]) -> None:
    path, run = write_gate(), save_run("r", GOOD)
    code = (
        "import sys\nfrom boxlist.cli import main\n"
        f"statuses = [main(['gate', {str(path)!r}, '--run', {str(run)!r}, *more]) for more in (['--accept'], [])]\n"
        f"statuses.append(main(['compare', {str(run)!r}, {str(run)!r}]))\n"
        f"print(statuses, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0] []", done.stderr


@pytest.mark.parametrize(("name", "schema"), [("github.yml", "github-workflows"), ("gitlab.yml", "gitlab-ci")])
def test_ready_files_pass_their_linter(name: str, schema: str) -> None:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(CI / name)]
    more = ["--data-transform", "gitlab-ci"] if schema == "gitlab-ci" else []
    done = subprocess.run([*words, *more], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_actions_are_pinned_by_commit() -> None:
    steps = yaml.safe_load((CI / "github.yml").read_text())["jobs"]["gate"]["steps"]
    used = [step["uses"] for step in steps if "uses" in step]
    assert len(used) == 3
    assert all(len(name.split("@")[1]) == 40 for name in used)
