"""A small fixed set of answers with every row and figure, so that no definition changes unseen.

`golden.json` holds protocol, ground truth, answers, rows and figures. Rows and figures but for the intervals are
checked here against a plain implementation of the definitions, which shares no code with the package but the reading
of answers; the three rows in `test_rows_worked_by_hand` were worked out on paper. Regenerate the file, after a change
that is meant, with

    python tests/metrics/test_golden.py
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxlist.metrics.boxes import score_boxes
from boxlist.metrics.inputs import GivenAnswer, GroundTruth
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.metrics.summary import task_scores
from boxlist.protocols import protocol_named
from boxlist.records import Record
from boxlist.scanner import read_answer

GOLDEN = Path(__file__).with_name("golden.json")


def load() -> dict[str, Any]:
    golden: dict[str, Any] = json.loads(GOLDEN.read_text())
    return golden


def compute(golden: dict[str, Any]) -> dict[str, Any]:
    """What the package makes of the golden file's inputs, as JSON gives it back."""
    truths = [
        GroundTruth(
            image["image_id"],
            tuple(label for label, _ in image["objects"]),
            np.array([box for _, box in image["objects"]], dtype=np.float64).reshape(-1, 4),
            tuple(image["size_wh_px"]),
        )
        for image in golden["images"]
    ]
    answers = [
        GivenAnswer(image["image_id"], image["answer"], triggered=image["triggered"])
        for image in golden["images"]
        if image["answer"] is not None
    ]
    rows = score_boxes(answers, truths, protocol_named(golden["protocol"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)
        scores: dict[str, Any] = json.loads(json.dumps(task_scores(rows, DENSE_BOX_METRICS, seed=7)))
    return scores


def test_nothing_has_changed() -> None:
    golden = load()
    scores = compute(golden)
    assert scores["per_image"] == golden["scores"]["per_image"]
    assert list(scores["metrics"]) == list(golden["scores"]["metrics"]) == list(DENSE_BOX_METRICS)
    for name, value in scores["metrics"].items():
        for field, expected in golden["scores"]["metrics"][name].items():
            same = pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected
            assert value[field] == same, (name, field)


def test_rows_worked_by_hand() -> None:
    rows = {row["image_id"]: row for row in load()["scores"]["per_image"]}
    # the counter-example: P takes A at 90/110, and Q is left with B at 50/150, enough for 0.3 and not for 0.5
    crossed = rows["counter-example"]
    assert (crossed["tp@0.3"], crossed["tp@0.5"]) == (2, 1)
    # P is the best of both truths: 90/110 of A and 80/120 of B
    assert crossed["mean_max_iou"] == pytest.approx((90 / 110 + 80 / 120) / 2)
    # three right, then the third again and again until the text breaks off within the sixth record
    loop = rows["loop"]
    assert (loop["status"], loop["n_pred"], loop["duplicates"], loop["max_repeat"]) == ("truncated", 5, 2, 3)
    assert (loop["n_tail"], loop["prefix_tp@0.5"], loop["tp@0.5"], loop["tail_tp@0.5"]) == (2, 3, 3, 1)
    assert (loop["n_pred_strict"], loop["tp@0.5_strict"]) == (0, 0)
    # an inverted box, the box itself, and the box one pixel narrower: 9/10 of it
    odd = rows["impossible and near"]
    assert (odd["invalid_boxes"], odd["near_duplicates"], odd["tp@0.5"], odd["n_pred"]) == (1, 1, 1, 3)


def test_rows_against_a_plain_implementation() -> None:
    golden = load()
    for image, row in zip(golden["images"], golden["scores"]["per_image"], strict=True):
        for name, value in plain_row(image, golden["protocol"]).items():
            assert row[name] == pytest.approx(value), (image["image_id"], name)


def test_figures_against_a_plain_implementation() -> None:
    golden = load()
    rows = [plain_row(image, golden["protocol"]) for image in golden["images"]]
    expected = plain_figures(rows)
    figures = {name: value["value"] for name, value in golden["scores"]["metrics"].items()}
    assert figures == pytest.approx(expected)


def plain_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    if a[2] <= a[0] or a[3] <= a[1] or b[2] <= b[0] or b[3] <= b[1]:
        return 0.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


Object = tuple[str, tuple[float, ...]]


def plain_matches(predictions: list[Object], truths: list[Object], threshold: float) -> list[int]:
    """The matched predictions' places."""
    pairs = [
        (-plain_iou(t[1], p[1]), i, j)
        for i, t in enumerate(truths)
        for j, p in enumerate(predictions)
        if t[0] == p[0] and plain_iou(t[1], p[1]) >= threshold
    ]
    used: set[tuple[str, int]] = set()
    matched = []
    for _, i, j in sorted(pairs):
        if ("t", i) not in used and ("p", j) not in used:
            used |= {("t", i), ("p", j)}
            matched.append(j)
    return matched


def plain_row(image: dict[str, Any], protocol: str) -> dict[str, Any]:
    """One image by the definitions of DESIGN section 4, for a protocol whose numbers are pixels."""
    assert protocol == "pixel_xyxy"
    answer = read_answer(image["answer"] or "", protocol_named(protocol))
    given = [record.key for record in answer.records]
    truths = [Record(label, tuple(box)).key for label, box in image["objects"]]
    n = len(given)
    first_repeat = next((place for place in range(n) if given[place] in given[:place]), n)
    near = sum(
        any(given[i][0] == given[j][0] and plain_iou(given[i][1], given[j][1]) >= 0.9 for j in range(i))
        for i in range(n)
    )
    best = [max((plain_iou(t[1], p[1]) for p in given if p[0] == t[0]), default=0.0) for t in truths]
    row: dict[str, Any] = {
        "status": answer.status,
        "parse_valid": answer.status == "valid",
        "n_pred": n,
        "n_gt": len(truths),
        "n_pred_strict": n if answer.status == "valid" else 0,
        "n_tail": n - first_repeat,
        "invalid_boxes": sum(box[2] <= box[0] or box[3] <= box[1] for _, box in given),
        "duplicates": n - len(set(given)),
        "duplicate_rate": (n - len(set(given))) / n if n else 0.0,
        "max_repeat": max(map(given.count, given), default=0),
        "near_duplicates": near,
        "near_duplicate_rate": near / n if n else 0.0,
        "mean_max_iou": sum(best) / len(best) if best else None,
        "triggered": image["triggered"],
    }
    for threshold in (0.3, 0.5):
        matched = plain_matches(given, truths, threshold)
        row[f"tp@{threshold}"] = len(matched)
        row[f"tp@{threshold}_strict"] = len(matched) if answer.status == "valid" else 0
        row[f"recall@{threshold}"] = len(matched) / len(truths) if truths else None
        row[f"prefix_tp@{threshold}"] = sum(place < first_repeat for place in matched)
        row[f"tail_tp@{threshold}"] = len(plain_matches(given[first_repeat:], truths, threshold))
    return row


def plain_figures(rows: list[dict[str, Any]]) -> dict[str, float]:
    def total(name: str) -> float:
        return float(sum(row[name] for row in rows))

    def mean(name: str) -> float:
        defined = [row[name] for row in rows if row[name] is not None]
        return float(sum(defined) / len(defined))

    figures = {
        "mean_max_iou": mean("mean_max_iou"),
        "duplicate_rate": mean("duplicate_rate"),
        "max_repeat": float(max(row["max_repeat"] for row in rows)),
        "near_duplicate_rate": mean("near_duplicate_rate"),
        "parse_valid": mean("parse_valid"),
        "predictions_per_image": mean("n_pred"),
        "trigger_rate": mean("triggered"),
    }
    for at in ("0.3", "0.5"):
        tp = total(f"tp@{at}")
        figures[f"f1@{at}"] = 2 * tp / (total("n_pred") + total("n_gt"))
        figures[f"f1@{at}_strict"] = 2 * total(f"tp@{at}_strict") / (total("n_pred_strict") + total("n_gt"))
        figures[f"precision@{at}"] = tp / total("n_pred")
        figures[f"micro_recall@{at}"] = tp / total("n_gt")
        figures[f"recall@{at}"] = mean(f"recall@{at}")
        figures[f"separability_prefix@{at}"] = total(f"prefix_tp@{at}") / tp
        figures[f"separability_tail_f1@{at}"] = 2 * total(f"tail_tp@{at}") / (total("n_tail") + total("n_gt"))
    return figures


def as_lines(golden: dict[str, Any]) -> str:
    """The file with new scores: an image, a row, a figure a line, so that a change shows in a diff."""
    scores = compute(golden)

    def listed(values: list[Any]) -> str:
        return "[\n" + ",\n".join(json.dumps(value, ensure_ascii=False) for value in values) + "\n]"

    figures = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in scores["metrics"].items())
    return (
        f'{{"protocol": "{golden["protocol"]}",\n"images": {listed(golden["images"])},\n"scores": {{\n'
        f'"per_image": {listed(scores["per_image"])},\n"metrics": {{\n{figures}\n}}}}}}'
    )


if __name__ == "__main__":
    GOLDEN.write_text(as_lines(load()) + "\n")
