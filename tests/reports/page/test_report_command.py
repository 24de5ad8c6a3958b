"""`boxlist report` as it is typed, and the answers, ground truth and pictures of a file of `boxlist score`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from boxlist.cli import main

if TYPE_CHECKING:
    from pathlib import Path

RED = (200, 30, 30)


@pytest.fixture
def scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Path]:
    """Two pictures of a COCO file, an answer to one of them, and the scores."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("one.png", "two.png"):
        Image.new("RGB", (60, 40), RED).save(pictures / name)
    coco = {
        "images": [
            {"id": number, "file_name": f"{name}.png", "width": 60, "height": 40}
            for number, name in ((1, "one"), (2, "two"))
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 20, 20]} for number in (1, 2)
        ],
    }
    files = {name: tmp_path / f"{name}.json" for name in ("truth", "answers", "scores")} | {"pictures": pictures}
    files["truth"].write_text(json.dumps(coco))
    record = {"bbox_2d": [5, 5, 25, 20], "label": "cat"}
    files["answers"].write_text(json.dumps({"image_id": 2, "response": json.dumps([record, record])}))
    words = ["--ground-truth", str(files["truth"]), "--protocol", "pixel_xyxy", "--out", str(files["scores"])]
    assert main(["score", str(files["answers"]), *words]) == 0
    capsys.readouterr()
    return files


def options(files: dict[str, Path]) -> list[str]:
    named = {"--answers": "answers", "--ground-truth": "truth", "--pictures": "pictures"}
    return [word for option, name in named.items() for word in (option, str(files[name]))]


def test_a_scores_file_with_its_answers_shows_pictures(
    scored: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(scored["scores"]), "--out", str(out), *options(scored)]) == 0
    assert capsys.readouterr().out.startswith(f"{out}: 1 run, ")
    text = out.read_text()
    assert "1 of 1 found, 0 false, 1 repeated" in text
    assert "0 of 1 found, 0 false, 0 repeated, list empty" in text
    assert text.index("Image 1 ") < text.index("Image 2 ")


def test_a_scores_file_alone_has_charts_only(scored: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert main(["report", str(scored["scores"]), "--out", str(out)]) == 0
    assert "give --answers, --ground-truth and --pictures" in out.read_text()


def test_a_picture_outside_the_folder_is_not_opened(
    scored: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (60, 40), RED).save(tmp_path / "outside.png")
    truth = scored["truth"].read_text().replace("one.png", "../outside.png")
    scored["truth"].write_text(truth)
    words = ["--protocol", "pixel_xyxy", "--out", str(scored["scores"])]
    assert main(["score", str(scored["answers"]), "--ground-truth", str(scored["truth"]), *words]) == 0
    assert main(["report", str(scored["scores"]), "--out", str(tmp_path / "report.html"), *options(scored)]) == 0
    assert "image 1: expected its picture, got no file '../outside.png'" in capsys.readouterr().err
    assert (tmp_path / "report.html").read_text().count("data:image") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--answers", "a.jsonl"], "expected all three, and one file of boxlist score, got 1 of them, 1 such files"),
        (["--images", "0"], "expected a whole number from 1, got '0'"),
        (["--out", "nowhere/report.html"], "expected a file in a folder that exists, got no such folder"),
    ],
)
def test_wrong_words_are_one_line(
    scored: dict[str, Path], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(scored["scores"]), *words]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_another_ground_truth_is_refused(
    scored: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scored["truth"].write_text(scored["truth"].read_text() + "\n")
    assert main(["report", str(scored["scores"]), "--out", str(tmp_path / "r.html"), *options(scored)]) == 2
    assert f"expected the ground truth of {scored['scores']}, got another" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_nothing_to_report_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path / "none"), "--out", str(tmp_path / "r.html")]) == 2
    assert "none" in capsys.readouterr().err
    assert not (tmp_path / "r.html").exists()


def test_a_report_needs_no_model_library(fake_runs: Path, tmp_path: Path) -> None:
    words = ["report", str(fake_runs / "base"), "--out", str(tmp_path / "r.html"), "--images", "1"]
    code = (
        f"import sys\nfrom boxlist.cli import main\nassert main({words!r}) == 0\n"
        "print([n for n in ('torch', 'transformers', 'lmms_eval', 'peft') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[]"
