"""Studies done: what is asked of the engine with training and model stood in for, and live against replay for real."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from boxlist.cli import main
from boxlist.runs.engine import RunResult
from boxlist.studies import study as study_module
from boxlist.studies.grid import plan_grid, with_overrides
from boxlist.studies.pool import Pool
from boxlist.studies.study import StudyResult, do_study, markdown_page, plan_text
from boxlist.studies.study_file import load_study, model_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.runs.request import RunRequest

DENSE = "boxlist_dense_bbox_shapes"
REPEATS = "repetition_penalty=0.8"  # below 1 it rewards what was said before, so that the real model repeats itself
NAMES = ("f1@0.3", "f1@0.5", "parse_valid", "predictions_per_image", "duplicate_rate", "max_repeat", "trigger_rate")


def figure(value: float) -> dict[str, Any]:
    return {"value": value, "ci_low": value, "ci_high": value, "n": 80, "interval": "percentile", "few_images": False}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[RunRequest | str]:
    """Every training and every request of a study, in order; each run scores 1."""
    made: list[RunRequest | str] = []

    def run(request: RunRequest, _say: object) -> RunResult:
        made.append(request)
        metrics = {name: figure(1.0) for name in (*NAMES, "target_shape_valid")}
        tasks = {task: {"n": 80, "metrics": metrics} for task in request.tasks}
        return RunResult(request.path, {}, {"tasks": tasks}, 80)

    monkeypatch.setattr(study_module, "run", run)
    monkeypatch.setattr(study_module, "train_if_needed", lambda _pool, role: made.append(role))
    return made


def done(name: str, out: Path, model: str = "pocket", **options: Any) -> StudyResult:
    study = load_study(name)
    chosen = model_of(study, model)
    if model != "pocket":
        tasks = dict.fromkeys(chosen.tasks, DENSE)
        adapters = {role: f"me/{role}" for role in chosen.adapters}
        chosen = with_overrides(chosen, adapters=adapters, tasks=tasks, model_args={"dtype": "bfloat16"})
    return do_study(plan_grid(study, chosen), Pool(out, chosen, **options), replayed=False, say=lambda _: None)


def test_trainings_come_first_and_repeat_stop_last(asked: list[Any], tmp_path: Path) -> None:
    done("control-surface", tmp_path, limit=3, fresh=True)
    assert asked[:2] == ["high", "random"]
    requests = asked[2:]
    runs = tmp_path / "pocket" / "first-3"
    assert [str(request.path.relative_to(runs)) for request in requests] == [
        f"none/{DENSE}/raw",
        f"high/{DENSE}/raw",
        f"high/{DENSE}/repetition_penalty=1.05",
        f"high/{DENSE}/budget=8",
        f"random/{DENSE}/raw",
        f"random/{DENSE}/repetition_penalty=1.05",
        f"random/{DENSE}/budget=8",
        f"high/{DENSE}/budget=8+repeat_stop",
        f"random/{DENSE}/budget=8+repeat_stop",
    ]
    assert {(request.limit, request.fresh, request.batch_size) for request in requests} == {(3, True, 16)}
    assert [request.model_args.get("adapter") for request in requests[:2]] == [
        None,
        str(tmp_path / "pocket" / "adapters" / "high"),
    ]


def test_the_table_is_ours_and_says_that_it_is_no_evidence(asked: list[Any], tmp_path: Path) -> None:
    result = done("control-surface", tmp_path)
    markdown = markdown_page([result], "boxlist study control-surface --model pocket")
    assert markdown.startswith("# Table 1, the control surface: pocket\n")
    assert "    boxlist study control-surface --model pocket\n" in markdown
    assert "| budget 8 + repeat-stop | 1.000 | 1.000 | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] |" in markdown
    assert "the paper's" not in markdown
    assert "Under 30 images" not in markdown
    assert "no evidence" in markdown
    assert "no evidence" in result.text()


BOTH = "pocket,pocket-gemma4"


def test_several_models_stand_on_one_page(asked: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    words = ["study", "control-surface", "--model", BOTH, "--out", str(tmp_path / "pool"), "--markdown", str(page)]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["models"]
    assert [(study["model"], len(study["rows"])) for study in found] == [("pocket", 10), ("pocket-gemma4", 10)]
    assert {row["protocol"] for row in found[1]["rows"]} == {"pixel_xyxy"}
    markdown = page.read_text()
    assert markdown.startswith("# Table 1, the control surface: pocket, pocket-gemma4\n")
    assert f"    boxlist study control-surface --model {BOTH}\n" in markdown
    assert [line for line in markdown.splitlines() if line.startswith("## ")] == [
        "## pocket: pocket:qwen3vl, norm1000_xyxy",
        "## pocket-gemma4: pocket:gemma4, pixel_xyxy",
    ]
    assert markdown.count("Target column: ") == markdown.count("no evidence") == 1
    assert markdown.count("| raw adapter |") == 4
    assert {request.model_args["protocol"] for request in asked if not isinstance(request, str)} == {
        "norm1000_xyxy",
        "pixel_xyxy",
    }
    assert main(words) == 0
    assert capsys.readouterr().out.count("Table 1, the control surface: pocket") == 2
    assert main([*words, "--dry-run"]) == 0
    assert "Table 1, the control surface: pocket-gemma4 (pocket:gemma4)\n" in capsys.readouterr().out


def test_beside_a_model_of_the_papers_stand_its_figures(asked: list[Any], tmp_path: Path) -> None:
    result = done("control-surface", tmp_path, "gemma4-12b")
    markdown = markdown_page([result], "c")
    assert (
        "|   the paper's: Table 1, section 4 (raw adapter) | 0.812 | 6.713 | 0.448 [0.384, 0.513] | 0.363 | 0.080 | 23 "
    ) in markdown
    assert (
        "|   the paper's: Table 1, section 4 (clean high-capacity endpoint) | 1.000 | 4.787 | 0.490 [0.427, 0.555] | "
        "0.385 | 0.000 | 1 | 0.062 |"
    ) in markdown
    assert "no evidence" not in markdown
    said = "Other tasks were asked than the paper's (dense=boxlist_dense_bbox_shapes, "
    assert said in markdown, "InsPLAD is not there, so the test had to replace it"
    assert not [made for made in asked if isinstance(made, str)], "an adapter that is given is not trained"
    rows = result.to_json()["rows"]
    assert [row["paper"]["f1@0.3"]["value"] for row in rows] == [0.007, 0.448, 0.474, 0.494, 0.490]
    assert asked[0].model_args["dtype"] == "bfloat16"


def test_what_the_paper_says_of_a_whole_table_stands_below_it(asked: list[Any], tmp_path: Path) -> None:
    assert "max repeat 21 to 22" in done("rank-sweep", tmp_path, "gemma4-12b").text()
    assert "max repeat 3 to 6" in done("rank-sweep", tmp_path, "qwen3-vl-8b").text()
    assert "The paper" not in done("rank-sweep", tmp_path).text()


def test_a_dry_run_says_what_is_there_and_makes_nothing(
    write_study: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    there = out / "small" / "runs" / "quick" / DENSE / "budget=4"
    there.mkdir(parents=True)
    (there / "run.json").write_text('{"schema": 1, "status": "complete"}')
    assert main(["study", write_study(), "--model", "small", "--out", str(out), "--dry-run", "--replay"]) == 0
    lines = capsys.readouterr().out.splitlines()
    runs = out / "small" / "runs"
    assert lines == [
        "Mine: small (pocket:qwen3vl)",
        f"train    pocket_shapes_random_qv_r8 rank=4  to do  {out / 'small' / 'adapters' / 'quick'}",
        f"run      to do  {runs / 'none' / DENSE / 'raw'}",
        f"run      there  {runs / 'quick' / DENSE / 'budget=4'}",
        f"run      to do  {runs / 'quick' / DENSE / 'budget=5'}",
        f"run      to do  {runs / 'quick' / 'boxlist_inventory_shapes' / 'raw'}",
        f"replay   to do  {runs / 'quick' / DENSE / 'budget=4+repeat_stop-replayed'}",
    ]
    assert not (out / "small" / "adapters").exists()


def test_a_replay_whose_source_no_row_asks_for_lists_the_source(
    write_study: Callable[..., str], tmp_path: Path
) -> None:
    study = load_study(write_study(("budget=4,repeat_stop", "budget=6,repeat_stop")))
    model = model_of(study, "small")
    text = plan_text(plan_grid(study, model), Pool(tmp_path, model), replayed=True)
    assert f"run      to do  {tmp_path}/small/runs/quick/{DENSE}/budget=6\n" in text


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study of the pocket base on two images, its live rows run: its pool and its file."""
    folder = tmp_path_factory.mktemp("real")
    file = folder / "mine.yaml"
    file.write_text(
        f"""\
title: Mine
columns: [target, duplicate_rate, max_repeat, trigger_rate]
models:
  base:
    pretrained: pocket:qwen3vl
    protocol: norm1000_xyxy
    batch_size: 2
    tasks: {{dense: {DENSE}}}
    model_args: {{device: cpu}}
blocks:
  - rows:
      - {{row: raw, controls: "{REPEATS}"}}
      - {{row: stopped, controls: "{REPEATS},repeat_stop"}}
"""
    )
    words = ["study", str(file), "--model", "base", "--out", str(folder / "pool"), "--limit", "2"]
    assert main([*words, "--markdown", str(folder / "live.md"), "--json"]) == 0
    return folder, str(file)


def study_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_live_and_replayed_repeat_stop_agree_on_the_real_model(
    real: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = real
    words = ["study", file, "--model", "base", "--out", str(folder / "pool"), "--limit", "2"]
    runs = folder / "pool" / "base" / "first-2" / "none" / DENSE
    before = {path: path.read_bytes() for path in runs.glob("*/answers.jsonl")}
    live = study_json(words, capsys)
    assert {path: path.read_bytes() for path in before} == before, "a finished study asks nothing again"
    replayed = study_json([*words, "--replay"], capsys)
    raw, stopped = live["rows"]
    assert raw["metrics"]["max_repeat"]["value"] > 1, "the raw answers must repeat, or nothing is tested"
    assert stopped["metrics"]["trigger_rate"]["value"] > 0
    assert stopped["metrics"]["max_repeat"]["value"] == 1
    assert replayed["rows"][1]["metrics"] == stopped["metrics"]
    assert live["agreements"] == replayed["agreements"]
    (agreement,) = live["agreements"]
    assert (agreement["images"], agreement["differing"]) == (2, [])
    assert agreement["triggered"] > 0
    said = f"none, {DENSE}, {REPEATS},repeat_stop: live and replayed answers are the same on all 2 images"
    markdown = (folder / "live.md").read_text()
    assert said in markdown
    assert "Under 30 images, as in some rows here, intervals are narrower than they should be." in markdown


def test_an_answer_that_differs_is_told(real: tuple[Path, str], tmp_path: Path) -> None:
    import shutil

    from boxlist.controls.table import Controls
    from boxlist.protocols import protocol_named
    from boxlist.studies.agreement import compare_with_replay

    source = real[0] / "pool" / "base" / "first-2" / "none" / DENSE
    raw = shutil.copytree(source / REPEATS, tmp_path / "raw")
    live = shutil.copytree(source / f"{REPEATS}+repeat_stop", tmp_path / "live")
    first, *rest = (live / "answers.jsonl").read_text().splitlines()
    changed = {**json.loads(first), "text": "[]"}
    (live / "answers.jsonl").write_text("\n".join([json.dumps(changed), *rest]) + "\n")
    found = compare_with_replay("row", live, raw, protocol_named("norm1000_xyxy"), Controls(repeat_stop=True))
    assert found.differing == [changed["image_id"]]
    assert found.text() == f"row: LIVE AND REPLAYED ANSWERS DIFFER on 1 of 2 images ({changed['image_id']})"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["budget-sweep", "--adapter", "high"], "--adapter 'high': expected ROLE=VALUE, a role once, got neither."),
        (
            ["budget-sweep", "--task", "dense=a", "--task", "dense=b"],
            "--task 'dense=b': expected ROLE=VALUE, a role once, got it twice.",
        ),
        (["budget-sweep", "--markdown", "nowhere/x.md"], "--markdown nowhere/x.md: expected a file in a folder that "),
        (["budget-sweep", "--model", "gemma"], "model of study budget-sweep 'gemma': expected one of gemma4-12b, "),
        (["budget-sweep", "--model", "pocket,"], "model of study budget-sweep '': expected one of gemma4-12b, "),
        (
            ["budget-sweep", "--model", "pocket,pocket-gemma4", "--adapter", "high=x"],
            "--adapter, --task and --model-args: expected one --model, got pocket,pocket-gemma4. Ask of each model by ",
        ),
        (
            ["coco-transfer", "--model", "pocket,pocket-gemma4"],
            "study coco-transfer: blocks[0]: task of pocket-gemma4 'transfer': expected one of dense, inventory, ",
        ),
    ],
)
def test_wrong_words_get_one_line(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *words]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith(f"boxlist: {said}")
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def done_for(file: str, out: Path) -> StudyResult:
    study = load_study(file)
    chosen = model_of(study, "small")
    return do_study(plan_grid(study, chosen), Pool(out, chosen), replayed=False, say=lambda _: None)


FORMAT_ROWS = """\
      - {protocol: norm1000_xyxy+per_box}
      - {protocol: "{unit}_xyxy+nested+label_first", each: {unit: [norm1000, percent]}}
      - {row: stopped, protocol: norm1_yxhw+plain, controls: repeat_stop}
      - {row: "budget {n}", controls: "budget={n}", each: {n: budgets}}
"""


def test_every_row_names_its_format_and_asks_in_it(
    asked: list[Any], tmp_path: Path, write_study: Callable[..., str]
) -> None:
    row = '      - {row: "budget {n}", controls: "budget={n}", each: {n: budgets}}\n'
    result = done_for(write_study((row, FORMAT_ROWS)), tmp_path)
    runs = tmp_path / "small" / "runs" / "quick" / DENSE
    requests = {
        str(one.path.relative_to(runs)): one for one in asked if not isinstance(one, str) and runs in one.path.parents
    }
    assert {name: (one.protocol.name, one.any_protocol) for name, one in requests.items()} == {
        "raw": ("norm1000_xyxy", False),
        "norm1000_xyxy+nested/raw": ("norm1000_xyxy+nested", True),
        "percent_xyxy+nested/raw": ("percent_xyxy+nested", True),
        "norm1_yxhw+plain/repeat_stop": ("norm1_yxhw+plain", True),
        "budget=4": ("norm1000_xyxy", False),
        "budget=5": ("norm1000_xyxy", False),
        "budget=4+repeat_stop": ("norm1000_xyxy", False),
    }
    names = [filled.row.name for _, rows in result.blocks for filled in rows]
    assert names[1:5] == ["norm1000_xyxy", "norm1000_xyxy+nested", "percent_xyxy+nested", "stopped, norm1_yxhw+plain"]
    assert "Every row names its format where it is not the model's own, norm1000_xyxy;" in markdown_page([result], "c")
    assert [row["protocol"] for row in result.to_json()["rows"]][3:5] == ["percent_xyxy+nested", "norm1_yxhw+plain"]
