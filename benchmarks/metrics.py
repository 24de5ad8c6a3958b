"""From text to every metric with its interval, beside hotcoco and pycocotools loading and evaluating the same boxes.

    python benchmarks/metrics.py [--images 5000] [--repeats 9] [--without pycocotools]

What each one does. boxlist: reads every answer's text, matches, computes all twenty box metrics, and resamples the
images 1,000 times; ground truths are in memory as `GroundTruth`. hotcoco and pycocotools: read the ground truth and
the boxes (already parsed from the text, one JSON file each, as they want them), and evaluate; no intervals, no repeats.
"default" is their ten thresholds and four area ranges, "two" the thresholds 0.3 and 0.5 and one range, which is all
that F1 needs. All run in one process, one after the other in turn, and the figures are medians, so other work on the
machine slows all of them alike; compare the ratios.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from boxlist.metrics.boxes import score_box_columns, score_boxes
from boxlist.metrics.coco import read_coco
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.metrics.summary import MetricValue, summarise, summarise_columns
from boxlist.metrics.table import DENSE_BOX_METRICS
from boxlist.protocols import PROTOCOLS
from boxlist.records import Record
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE_WH_PX = (640, 480)
CLASSES = tuple(
    f"{colour} {shape}" for colour in ("red", "blue") for shape in ("circle", "square", "star", "cross", "bar")
)
PROTOCOL = PROTOCOLS["pixel_xyxy"]


class Inputs(NamedTuple):
    """The same pictures in every form: answers and truths for boxlist, two COCO files for the others."""

    answers: list[GivenAnswer]
    truths: dict[int | str, GroundTruth]
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
    truth_file, boxes_file = folder / "truth.json", folder / "boxes.json"
    truth_file.write_text(json.dumps(_coco_truth(truths, labels)))
    boxes_file.write_text(json.dumps(_coco_boxes(answers)))
    return Inputs(answers, read_coco(truth_file).truths, truth_file, boxes_file)


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
    return run_boxlist(inputs._replace(truths=read_coco(inputs.truth_file).truths))


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
        "boxlist: text to all metrics and intervals": run_boxlist,
        "  the same by rows, as in scores.json": run_boxlist_rows,
        "  the same, ground truth from its file too": run_boxlist_files,
        "hotcoco: load and evaluate, default": lambda inputs: run_coco(inputs, *rust, two=False),
        "hotcoco: load and evaluate, two": lambda inputs: run_coco(inputs, *rust, two=True),
        "pycocotools: load and evaluate, default": lambda inputs: run_coco(inputs, *mature, two=False),
        "pycocotools: load and evaluate, two": lambda inputs: run_coco(inputs, *mature, two=True),
    }


def measure(inputs: Inputs, repeats: int, without: str) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of each, run in turn; the slow ones only three times."""
    times: dict[str, list[tuple[float, float]]] = {}
    for repeat in range(repeats + 1):
        for name, contestant in contestants().items():
            if (without and name.startswith(without)) or (name.startswith("pycocotools") and repeat > 3):
                continue
            gc.collect()
            wall, processor = time.perf_counter(), time.process_time()
            contestant(inputs)
            spent = (time.perf_counter() - wall, time.process_time() - processor)
            if repeat:  # the first round warms up
                times.setdefault(name, []).append(spent)
    return {
        name: (statistics.median(one[0] for one in spent), statistics.median(one[1] for one in spent))
        for name, spent in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="boxlist's metrics beside hotcoco and pycocotools")
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--without", default="", help="leave out those whose name starts so")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        inputs = make_inputs(Path(folder), arguments.images)
        times = measure(inputs, arguments.repeats, arguments.without)
    n_records = sum(len(read_answer(answer.text, PROTOCOL).records) for answer in inputs.answers)
    print(
        f"{arguments.images} images, {n_records} records, {sum(len(t.labels) for t in inputs.truths.values())} truths"
    )
    own_wall, own_processor = next(iter(times.values()))
    print(f"{'':46}{'wall ms':>9}{'ratio':>8}{'cpu ms':>9}{'ratio':>8}")
    for name, (wall, processor) in times.items():
        print(
            f"{name:46}{1000 * wall:9.1f}{wall / own_wall:8.2f}{1000 * processor:9.1f}{processor / own_processor:8.2f}"
        )


if __name__ == "__main__":
    main()
