"""`boxlist leaderboard` over many runs of many images: its time and memory, from the files to the page.

    python benchmarks/leaderboard.py [--runs 1000] [--images 5000]

The run folders are made first, in a temporary directory (1,000 of 5,000 images take 3.3 GB): real scores of answers
whose boxes are more or less off, in every column that boxlist writes, each run an own mixture of them. That is not
counted. Then the command itself runs, as a process of its own. Wall time and the largest resident memory are printed,
beside what merely reading the same bytes takes, and the libraries' json with nothing done to what it gives.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.metrics.summary import task_scores
from boxlist.metrics.table import definitions_sha256
from boxlist.protocols import PROTOCOLS
from boxlist.records import Record
from boxlist.runs.folder import RUN_FILE, SCORES_FILE

if TYPE_CHECKING:
    from boxlist.metrics.inputs import ImageRow

PROTOCOL = PROTOCOLS["pixel_xyxy"]
LABELS = ("car", "bus", "tree")
OBJECTS, SIZE_WH_PX = 10, (640, 480)
NOISE_PX = (2.0, 6.0, 12.0, 25.0, 50.0)
READ_AS_IS = 50


def scored_sources(images: int, rng: np.random.Generator) -> list[list[ImageRow]]:
    """The rows of answers that are off by each of `NOISE_PX`; every fifth answer repeats itself."""
    low = rng.uniform(0, (500, 360), (images, OBJECTS, 2))
    boxes = np.round(np.concatenate([low, low + rng.uniform(16, 120, low.shape)], axis=2))
    labels = rng.integers(0, len(LABELS), (images, OBJECTS))
    truths: dict[int | str, GroundTruth] = {
        image + 1: GroundTruth(image + 1, tuple(LABELS[label] for label in labels[image]), boxes[image], SIZE_WH_PX)
        for image in range(images)
    }
    sources = []
    for noise in NOISE_PX:
        given = np.round(boxes + rng.normal(0, noise, boxes.shape))
        lengths = rng.integers(OBJECTS // 2, OBJECTS + 1, images)
        given[::5, OBJECTS // 2 :] = given[::5, OBJECTS // 2 - 1, None]
        answers = [
            GivenAnswer(
                image + 1,
                PROTOCOL.write(
                    Record(LABELS[label], tuple(box))
                    for label, box in zip(labels[image][: lengths[image]], given[image].tolist(), strict=False)
                ),
            )
            for image in range(images)
        ]
        sources.append(score_boxes(answers, truths, PROTOCOL))
    return sources


def make_runs(folder: Path, runs: int, images: int, seed: int = 0) -> None:
    """Run folders as `boxlist run` leaves them, without answers: eight bases with adapters and controls."""
    rng = np.random.default_rng(seed)
    sources = scored_sources(images, rng)
    for number in range(runs):
        mixture = rng.dirichlet(np.ones(len(sources)))
        chosen = rng.choice(len(sources), images, p=mixture)
        rows = [sources[source][image] for image, source in enumerate(chosen.tolist())]
        run = folder / f"run-{number:04d}"
        run.mkdir()
        (run / RUN_FILE).write_text(json.dumps(_run(number, run.name)))
        scores = {
            "schema": 1,
            "definitions_sha256": definitions_sha256(),
            "seed": 0,
            "tasks": {"boxlist_dense_bbox": task_scores(rows, DENSE_BOX_METRICS)},
        }
        (run / SCORES_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(scores), indent=1))


def _run(number: int, name: str) -> dict[str, Any]:
    base = number % 8
    return {
        "schema": 1,
        "name": name,
        "status": "complete",
        "base": {"path": f"models/base-{base}", "weights_sha256": f"{base:064x}"},
        "adapter": {"path": f"adapters/step-{number // 8}", "sha256": f"{number:064x}"} if number >= 8 else None,
        "protocol": PROTOCOL.name,
        "controls": {"repeat_stop": True} if number % 3 == 0 else {},
        "tasks": {"boxlist_dense_bbox": {"prompt_sha256": "a" * 64, "dataset": {"name": "bench", "sha256": "b" * 64}}},
    }


def measure(folder: Path, page: Path) -> tuple[float, float]:
    """Seconds and MB at most of `boxlist leaderboard` from run folders to a page."""
    began = time.perf_counter()
    start = "import sys; from boxlist.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", start, "leaderboard", str(folder), "--out", str(page)]
    subprocess.run(words, check=True)
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="boxlist leaderboard over many runs of many images")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--images", type=int, default=5000)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", FewImagesWarning)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "runs")
        folder.mkdir()
        make_runs(folder, arguments.runs, arguments.images)
        files = sorted(folder.glob(f"*/{SCORES_FILE}"))
        size = sum(file.stat().st_size for file in files)
        seconds, peak = measure(folder, Path(name, "page.html"))
        began = time.perf_counter()
        for file in files:
            file.read_bytes()
        reading = time.perf_counter() - began
        began = time.perf_counter()
        for file in files[:READ_AS_IS]:
            json.loads(file.read_bytes())
        decoding = (time.perf_counter() - began) / min(READ_AS_IS, len(files)) * len(files)
    print(f"{arguments.runs} runs of {arguments.images} images, {size / 1e9:.2f} GB, {os.cpu_count()} cores")
    print(f"boxlist leaderboard, files to page    {seconds:7.1f} s   peak {peak:6.0f} MB")
    print(f"reading the bytes alone               {reading:7.1f} s")
    print(f"json.loads alone (from {min(READ_AS_IS, len(files))} of them)     {decoding:7.1f} s")


if __name__ == "__main__":
    main()
