"""From text to every metric with its interval, beside hotcoco and pycocotools loading and evaluating the same boxes.

    python benchmarks/metrics.py [--images 5000] [--repeats 15] [--without pycocotools]

What each one does. boxlist "from text": reads every answer's text, matches, computes all twenty box metrics, and
resamples the images 1,000 times; answers and ground truths are in memory. "from files": reads the answers from JSONL
and the ground truth from its COCO file first, with every check. "boxlist score" is the command: from those two files
to scores.json with a row an image. hotcoco and pycocotools: read the same ground-truth file and a file of the boxes,
which are already parsed from the text, and evaluate; no intervals, no repeats. "default" is their ten thresholds and
four area ranges, "two" the thresholds 0.3 and 0.5 and one range, which is all that F1 needs.

All run in one process, one after the other in turn, so other work on the machine slows all of them alike; compare the
ratios. hotcoco evaluates on all cores, the others on one: where other work takes the second core its wall time
grows, so the least of all repetitions is printed beside the median.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import json
import os
import statistics
import tempfile
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from boxlist.metrics.boxes import score_box_columns, score_boxes
from boxlist.metrics.coco import read_coco
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.metrics.matching import match_boxes
from boxlist.metrics.near_copies import has_near_copy
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.metrics.saved_answers import read_saved_answers
from boxlist.metrics.summary import MetricValue, summarise, summarise_columns
from boxlist.protocols import PROTOCOLS
from boxlist.records import Record
from boxlist.reports.score_command import score_files
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SIZE_WH_PX = (640, 480)
CLASSES = tuple(
    f"{colour} {shape}" for colour in ("red", "blue") for shape in ("circle", "square", "star", "cross", "bar")
)
PROTOCOL = PROTOCOLS["pixel_xyxy"]


class Inputs(NamedTuple):
    """The same pictures in every form: answers and truths for boxlist, in memory and as files; boxes for the others."""

    answers: list[GivenAnswer]
    truths: dict[int | str, GroundTruth]
    answers_file: Path
    truth_file: Path
    boxes_file: Path


def make_inputs(folder: Path, images: int, records: int = 12, objects: int = 10, seed: int = 0) -> Inputs:
    """Pictures with `objects` boxes, and answers of about `records` records.

    Records are ground truths with shifted corners; one answer in ten ends in a loop, one in twenty breaks off.
    """
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, (500, 360), (images, objects, 2))
    truths = np.round(np.concatenate([low, low + rng.uniform(16, 120, low.shape)], axis=2))
    labels = rng.integers(0, len(CLASSES), (images, objects))
    chosen = rng.integers(0, objects, (images, records))
    noise = rng.normal(0, 8, (images, records, 4))
    given = np.round(np.take_along_axis(truths, chosen[:, :, None], axis=1) + noise)
    given = np.clip(given, 0, (*SIZE_WH_PX, *SIZE_WH_PX))
    named = np.take_along_axis(labels, chosen, axis=1)
    answers = []
    for image in range(images):
        kind = rng.random()
        if kind < 0.1:  # the last records are copies of one
            start = int(rng.integers(3, records))
            given[image, start:], named[image, start:] = given[image, start - 1], named[image, start - 1]
        rows = zip(named[image].tolist(), given[image].tolist(), strict=True)
        text = PROTOCOL.write(Record(CLASSES[label], tuple(box)) for label, box in rows)
        if kind > 0.95:
            text = text[: int(rng.integers(len(text) // 2, len(text)))]
        answers.append(GivenAnswer(image + 1, text))
    answers_file, truth_file, boxes_file = (folder / name for name in ("answers.jsonl", "truth.json", "boxes.json"))
    answers_file.write_text("".join(json.dumps({"image_id": a.image_id, "response": a.text}) + "\n" for a in answers))
    truth_file.write_text(json.dumps(_coco_truth(truths, labels)))
    boxes_file.write_text(json.dumps(_coco_boxes(answers)))
    return Inputs(answers, read_coco(truth_file).truths, answers_file, truth_file, boxes_file)


def _coco_truth(boxes: Any, labels: Any) -> dict[str, list[dict[str, Any]]]:
    annotations = [
        {"image_id": image + 1, "category_id": label + 1, "bbox": _xywh(box), "area": _area(box), "iscrowd": 0}
        for image in range(len(boxes))
        for box, label in zip(boxes[image].tolist(), labels[image].tolist(), strict=True)
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    return {
        "images": [{"id": i + 1, "width": SIZE_WH_PX[0], "height": SIZE_WH_PX[1]} for i in range(len(boxes))],
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
    }


def _coco_boxes(answers: list[GivenAnswer]) -> list[dict[str, Any]]:
    """What a user of COCO tools would make of the answers: their records, each with score 1."""
    number = {name: index for index, name in enumerate(CLASSES, start=1)}
    return [
        {"image_id": a.image_id, "category_id": number[r.label], "bbox": _xywh(list(r.coordinates)), "score": 1.0}
        for a in answers
        for r in read_answer(a.text, PROTOCOL).records
    ]


def _xywh(box: list[float]) -> list[float]:
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def _area(box: list[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def run_boxlist(inputs: Inputs) -> dict[str, MetricValue]:
    scores = score_box_columns(inputs.answers, inputs.truths, PROTOCOL)
    return summarise_columns(scores.columns, len(scores.image_ids), DENSE_BOX_METRICS)


def run_boxlist_rows(inputs: Inputs) -> dict[str, MetricValue]:
    return summarise(score_boxes(inputs.answers, inputs.truths, PROTOCOL), DENSE_BOX_METRICS)


def run_boxlist_files(inputs: Inputs) -> dict[str, MetricValue]:
    truths = read_coco(inputs.truth_file).truths
    return run_boxlist(inputs._replace(answers=read_saved_answers(inputs.answers_file, truths).answers, truths=truths))


def run_boxlist_score(inputs: Inputs) -> dict[str, Any]:
    out = inputs.answers_file.with_name("scores.json")
    return score_files(inputs.answers_file, inputs.truth_file, PROTOCOL.name, out)


def run_coco(inputs: Inputs, coco: Any, evaluation: Any, *, two: bool) -> Any:
    """Load both files and evaluate. hotcoco and pycocotools have the same interface."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco(str(inputs.truth_file))
        evaluator = evaluation(truth, truth.loadRes(str(inputs.boxes_file)), "bbox")
        if two:
            evaluator.params.iouThrs = [0.3, 0.5] if "hotcoco" in coco.__module__ else np.array([0.3, 0.5])
            evaluator.params.areaRng = [[0, 1e10]]
            evaluator.params.areaRngLbl = ["all"]
        evaluator.evaluate()
    return evaluator


def contestants() -> dict[str, Callable[[Inputs], Any]]:
    import hotcoco
    import pycocotools.coco
    import pycocotools.cocoeval

    mature = (pycocotools.coco.COCO, pycocotools.cocoeval.COCOeval)
    rust = (hotcoco.COCO, hotcoco.COCOeval)
    return {
        "boxlist: from text": run_boxlist,
        "boxlist: from text, by rows": run_boxlist_rows,
        "boxlist: from files": run_boxlist_files,
        "boxlist score: from files to scores.json": run_boxlist_score,
        "hotcoco, default": lambda inputs: run_coco(inputs, *rust, two=False),
        "hotcoco, two": lambda inputs: run_coco(inputs, *rust, two=True),
        "pycocotools, default": lambda inputs: run_coco(inputs, *mature, two=False),
        "pycocotools, two": lambda inputs: run_coco(inputs, *mature, two=True),
    }


class Times(NamedTuple):
    """Seconds of every repetition."""

    wall: list[float]
    processor: list[float]


def measure(inputs: Inputs, repeats: int, without: str) -> dict[str, Times]:
    """Run all in turn, the slow ones only three times."""
    times: dict[str, Times] = {}
    for repeat in range(repeats + 1):
        for name, contestant in contestants().items():
            if (without and name.startswith(without)) or (name.startswith("pycocotools") and repeat > 3):
                continue
            gc.collect()
            wall, processor = time.perf_counter(), time.process_time()
            contestant(inputs)
            spent = (time.perf_counter() - wall, time.process_time() - processor)
            if repeat:  # the first round warms up
                row = times.setdefault(name, Times([], []))
                row.wall.append(spent[0])
                row.processor.append(spent[1])
    return times


def print_times(times: dict[str, Times]) -> None:
    """A row each: milliseconds, and how many times the first row's."""
    figures: dict[str, Callable[[list[float]], float]] = {"median": statistics.median, "least": min}
    titles = [f"{clock}, {name}" for clock in Times._fields for name in figures]
    print(f"{'milliseconds':42}" + "".join(f"{title:>20}" for title in titles))
    own = next(iter(times.values()))
    for name, row in times.items():
        cells = [
            f"{1000 * figure(spent):12.1f}{figure(spent) / figure(first):7.2f}x"
            for spent, first in zip(row, own, strict=True)
            for figure in figures.values()
        ]
        print(f"{name:42}" + "".join(cells))


def crowds(n: int, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """`n` boxes, all different, as an answer of one label in one image may hold them."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 1000, (n, 2))
    return {
        "all over": np.concatenate([low, low + rng.uniform(5, 200, (n, 2))], axis=1),
        **{
            f"a box of 1000 px, moved by up to {move}": np.array([0.0, 0, 1000, 1000])
            + rng.uniform(-move, move, (n, 4))
            for move in (1, 30, 300)
        },
    }


def print_crowds(n_predictions: int = 20_000, n_truths: int = 1_000) -> None:
    """What many boxes of one label in one image cost, which is where all pairs would be too many."""
    print(f"\none image, one label: {n_predictions} predictions, {n_truths} truths")
    print(f"{'':42}{'near copies':>20}{'MB':>6}{'matching':>20}{'MB':>6}")
    keys, first = np.zeros(n_predictions, dtype=np.int64), np.arange(n_predictions)
    truth_keys = keys[:n_truths]
    truths = crowds(n_truths, seed=1)
    for name, boxes in crowds(n_predictions).items():
        figures = [
            *_seconds_and_megabytes(partial(has_near_copy, keys, boxes, first)),
            *_seconds_and_megabytes(partial(match_boxes, boxes, truths[name], keys, truth_keys, 0.3)),
        ]
        print(f"{name:42}{figures[0]:18.3f} s{figures[1]:6.0f}{figures[2]:18.2f} s{figures[3]:6.0f}")


def _seconds_and_megabytes(work: Callable[[], object]) -> tuple[float, float]:
    """Processor time of one call, and the most memory of another, since watching it takes time."""
    start = time.process_time()
    work()
    spent = time.process_time() - start
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return spent, most / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="boxlist's metrics beside hotcoco and pycocotools")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--without", default="", help="leave out those whose name starts so")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), arguments.images)
        times = measure(inputs, arguments.repeats, arguments.without)
    n_records = sum(len(read_answer(answer.text, PROTOCOL).records) for answer in inputs.answers)
    print(
        f"{arguments.images} images, {n_records} records, {sum(len(t.labels) for t in inputs.truths.values())} truths"
    )
    print_times(times)
    print_crowds()


if __name__ == "__main__":
    main()
