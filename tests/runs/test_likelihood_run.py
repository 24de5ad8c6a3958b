"""A run of likelihoods in its folder: kept, continued, scored again, refused where its inputs changed or it makes no
sense; and lmms-eval's own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from boxlist.controls.table import Controls
from boxlist.errors import InputError
from boxlist.metrics.option_scores import read_option_scores
from boxlist.runs.engine import run
from boxlist.runs.folder import ANSWERS_FILE, SCORES_FILE
from boxlist.runs.replay import replay
from boxlist.runs.request import RunRequest
from boxlist.tasks.datasets.catalog import build_dataset
from boxlist.tasks.probes import tasks_path

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTION = "boxlist_spatial_caption_shapes"
LIMIT = 6


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Data that these tests build anew with other options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOXLIST_DATA", str(tmp_path_factory.mktemp("spatial-data")))
        yield


@pytest.fixture(scope="module")
def request_of(own_data: None, pocket_base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRequest:
    model_args = {"pretrained": str(pocket_base), "device": "cpu"}
    out = tmp_path_factory.mktemp("likelihood-runs")
    return RunRequest((CAPTION,), "whole", model_args, out=out, limit=LIMIT, batch_size=5)


@pytest.fixture(scope="module")
def whole(request_of: RunRequest) -> Path:
    result = run(request_of)
    assert result.computed == LIMIT
    return result.path


def test_answers_hold_the_scores_and_say_so(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / ANSWERS_FILE).read_text().splitlines()]
    assert len(lines) == LIMIT
    for line in lines:
        assert (line["finish"], line["triggered"], line["tokens"]) == ("likelihood", False, 0)
        assert read_option_scores(line["text"], 2) is not None
    scores = json.loads((whole / SCORES_FILE).read_text())["tasks"][CAPTION]
    assert scores["metrics"]["choice_readable"]["value"] == 1.0
    chosen = {row["image_id"]: row["choice_correct"] for row in scores["per_image"]}
    assert len(chosen) == LIMIT
    assert scores["metrics"]["choice_accuracy"]["value"] == sum(chosen.values()) / LIMIT


def test_the_same_command_asks_nothing_and_scores_again(whole: Path, request_of: RunRequest) -> None:
    before = (whole / SCORES_FILE).read_bytes()
    (whole / SCORES_FILE).unlink()
    assert run(request_of).computed == 0
    assert (whole / SCORES_FILE).read_bytes() == before


def test_a_run_that_was_killed_ends_as_an_unbroken_one(whole: Path, request_of: RunRequest) -> None:
    lines = (whole / ANSWERS_FILE).read_bytes().splitlines(keepends=True)
    scores = json.loads((whole / SCORES_FILE).read_text())
    (whole / ANSWERS_FILE).write_bytes(b"".join(lines[:2]) + lines[2][:40])
    assert run(request_of).computed == LIMIT - 2
    assert json.loads((whole / SCORES_FILE).read_text()) == scores


def test_a_generating_control_is_refused(request_of: RunRequest) -> None:
    from dataclasses import replace

    for controls in (Controls(budget=2), Controls(repeat_stop=True)):
        with pytest.raises(InputError, match="generation kwarg likelihood: expected neither controls"):
            run(replace(request_of, name="controlled", controls=controls))
    assert not (request_of.out / "controlled").exists()


def test_a_server_is_refused_before_it_is_asked(own_data: None, tmp_path: Path) -> None:
    arguments = {"base_url": "http://127.0.0.1:9/v1", "model": "none"}
    with pytest.raises(InputError, match="boxlist_openai: likelihood"):
        run(RunRequest((CAPTION,), "served", arguments, model="boxlist_openai", out=tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_replay_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"expected answers that were generated, got likelihoods in {CAPTION}"):
        replay(whole, Controls(repeat_stop=True), "replayed", tmp_path)


def test_stock_lmms_eval_gives_the_same_scores(whole: Path, pocket_base: Path, tmp_path: Path) -> None:
    words = [
        *(str(Path(sys.executable).with_name("lmms-eval")), "--model", "boxlist_hf", "--batch_size", "5"),
        *("--model_args", f"pretrained={pocket_base},device=cpu", "--include_path", str(tasks_path())),
        *("--tasks", CAPTION, "--limit", str(LIMIT), "--output_path", str(tmp_path)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    files = list(tmp_path.rglob("*_results.json"))
    assert len(files) == 1, done.stdout[-2000:] + done.stderr[-2000:]
    stock = json.loads(files[0].read_text())["results"][CAPTION]
    ours = json.loads((whole / SCORES_FILE).read_text())["tasks"][CAPTION]["metrics"]
    for name in ("choice_accuracy", "choice_accuracy_per_token", "choice_readable"):
        assert stock[f"{name},none"] == ours[name]["value"]
        assert stock[f"{name}_ci_low,none"] == ours[name]["ci_low"]


def test_other_captions_are_refused(whole: Path, request_of: RunRequest) -> None:
    """The last test: it builds the data anew."""
    build_dataset("shapes_spatial", None, {"options": 4}, force=True)
    with pytest.raises(InputError, match=r"dataset sha256: .* -> .*Take another --name"):
        run(request_of)
