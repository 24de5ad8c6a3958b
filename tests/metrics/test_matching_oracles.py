"""Matching against independent references: supervision, Gale-Shapley, pycocotools, and a certificate of stability.

Without ties, greedy matching by IoU is the one stable matching of truths and predictions that both prefer higher IoU
(notes/metrics.md). So a matching is right exactly when no pair would rather have each other.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.metrics.matching import match_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

Matching = set[tuple[int, int]]


class Scene(NamedTuple):
    predictions: NDArray[np.float64]
    truths: NDArray[np.float64]
    prediction_labels: NDArray[np.int64]
    truth_labels: NDArray[np.int64]


def crowded_scene(
    seed: int, predictions: int = 60, truths: int = 40, classes: int = 3, *, copies: bool = False
) -> Scene:
    """Truths that overlap, and predictions scattered about them; `copies` repeats a third of the predictions."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (truths, 2))
    truth_boxes = np.concatenate([low, low + rng.uniform(10, 40, (truths, 2))], axis=1)
    source = rng.integers(0, truths, predictions)
    boxes = truth_boxes[source] + rng.normal(0, 4, (predictions, 4))
    labels = rng.integers(0, classes, truths)
    given_labels = np.where(rng.random(predictions) < 0.8, labels[source], rng.integers(0, classes, predictions))
    if copies:
        later = rng.permutation(predictions)[: predictions // 3]
        earlier = rng.integers(0, predictions, len(later))
        boxes[later], given_labels[later] = boxes[earlier], given_labels[earlier]
    return Scene(boxes, truth_boxes, given_labels, labels)


def iou_matrix(scene: Scene) -> NDArray[np.float64]:
    """`(truths, predictions)`, 0 across labels; written for clarity, box by box."""
    matrix = np.zeros((len(scene.truths), len(scene.predictions)))
    for t, (tx1, ty1, tx2, ty2) in enumerate(scene.truths.tolist()):
        for p, (px1, py1, px2, py2) in enumerate(scene.predictions.tolist()):
            if scene.truth_labels[t] != scene.prediction_labels[p] or px2 <= px1 or py2 <= py1:
                continue
            width, height = min(tx2, px2) - max(tx1, px1), min(ty2, py2) - max(ty1, py1)
            if width > 0 and height > 0:
                shared = width * height
                matrix[t, p] = shared / ((tx2 - tx1) * (ty2 - ty1) + (px2 - px1) * (py2 - py1) - shared)
    return matrix


def ours(scene: Scene, threshold: float) -> Matching:
    found = match_boxes(*scene, threshold)
    return set(zip(found.truth.tolist(), found.prediction.tolist(), strict=True))


def gale_shapley(iou: NDArray[np.float64], threshold: float) -> Matching:
    """Deferred acceptance: rows propose to columns, best first; a column keeps the best that asked. No sorting of all
    pairs, no greed. Ties go to the lower index on both sides."""
    wishes = []
    for row in range(iou.shape[0]):
        wanted = [(-iou[row, column], column) for column in range(iou.shape[1]) if iou[row, column] >= threshold]
        wishes.append([column for _, column in sorted(wanted)])
    holder: dict[int, int] = {}
    free = list(range(iou.shape[0]))
    while free:
        row = free.pop()
        if not wishes[row]:
            continue
        column = wishes[row].pop(0)
        rival = holder.get(column)
        if rival is None or (-iou[row, column], row) < (-iou[rival, column], rival):
            holder[column] = row
            row = rival if rival is not None else -1
        if row >= 0:
            free.append(row)
    return {(row, column) for column, row in holder.items()}


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_gale_shapley_from_both_sides(seed: int, threshold: float) -> None:
    scene = crowded_scene(seed)
    iou = iou_matrix(scene)
    expected = ours(scene, threshold)
    assert len(expected) > 10
    assert gale_shapley(iou, threshold) == expected
    assert {(t, p) for p, t in gale_shapley(iou.T, threshold)} == expected


@pytest.mark.parametrize("seed", range(4))
def test_gale_shapley_with_exact_copies(seed: int) -> None:
    scene = crowded_scene(100 + seed, copies=True)
    assert gale_shapley(iou_matrix(scene), 0.3) == ours(scene, 0.3)


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize(
    ("predictions", "truths", "classes"), [(60, 40, 1), (60, 40, 10), (12, 10, 3), (5, 50, 2), (80, 5, 2)]
)
def test_supervision(predictions: int, truths: int, classes: int, threshold: float) -> None:
    import supervision as sv

    for seed in range(3):
        scene = crowded_scene(seed, predictions, truths, classes)
        pairs, _, _ = sv.match_detections(
            sv.Detections(xyxy=scene.truths, class_id=scene.truth_labels),
            sv.Detections(xyxy=scene.predictions, class_id=scene.prediction_labels),
            iou_threshold=threshold,
        )
        assert set(map(tuple, pairs.tolist())) == ours(scene, threshold)


def peel_with_pycocotools(scene: Scene, threshold: float) -> Matching:
    """COCO's own matching, made greedy by IoU: of each label the prediction with the highest IoU goes first, alone;
    what matches is taken away; repeat."""
    matched: Matching = set()
    for label in np.unique(scene.truth_labels).tolist():
        truths = np.flatnonzero(scene.truth_labels == label).tolist()
        predictions = np.flatnonzero(scene.prediction_labels == label).tolist()
        iou = iou_matrix(scene)
        while truths and predictions:
            scores = {p: float(max(iou[t, p] for t in truths)) for p in predictions}
            pair = _coco_best_pair(scene, truths, scores, threshold)
            if pair is None:
                break
            matched.add(pair)
            truths.remove(pair[0])
            predictions.remove(pair[1])
    return matched


def _coco_best_pair(
    scene: Scene, truths: list[int], scores: dict[int, float], threshold: float
) -> tuple[int, int] | None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box: Any) -> list[float]:
        x1, y1, x2, y2 = box.tolist()
        return [x1, y1, x2 - x1, y2 - y1]

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": 1, "width": 200, "height": 200}],
            "categories": [{"id": 1, "name": "x"}],
            "annotations": [
                {"id": t + 1, "image_id": 1, "category_id": 1, "bbox": xywh(scene.truths[t]), "area": 1.0, "iscrowd": 0}
                for t in truths
            ],
        }
        truth.createIndex()
        boxes = [
            {"image_id": 1, "category_id": 1, "bbox": xywh(scene.predictions[p]), "score": score, "p": p}
            for p, score in scores.items()
        ]
        evaluator = COCOeval(truth, truth.loadRes(boxes), "bbox")
        evaluator.params.iouThrs = np.array([threshold])
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[-1.0, 1e10]], ["all"]
        evaluator.params.maxDets = [1]
        evaluator.evaluate()
    (result,) = evaluator.evalImgs
    match = int(result["dtMatches"][0, 0])
    return (match - 1, list(scores)[result["dtIds"][0] - 1]) if match else None


@pytest.mark.parametrize("threshold", [0.3, 0.5])
@pytest.mark.parametrize("seed", range(2))
def test_pycocotools_peeling(seed: int, threshold: float) -> None:
    scene = crowded_scene(seed, predictions=30, truths=20, classes=2)
    assert peel_with_pycocotools(scene, threshold) == ours(scene, threshold)


def test_pycocotools_in_one_shot_where_truths_are_apart() -> None:
    """With constant scores COCO goes in list order, which is the same where no prediction has two truths to choose."""
    rng = np.random.default_rng(5)
    low = np.stack(np.meshgrid(np.arange(6) * 100.0, np.arange(6) * 100.0), axis=-1).reshape(-1, 2)
    truths = np.concatenate([low, low + 60], axis=1)
    source = rng.integers(0, len(truths), 50)
    scene = Scene(truths[source] + rng.normal(0, 8, (50, 4)), truths, np.zeros(50, np.int64), np.zeros(36, np.int64))
    matched = 0
    remaining = list(range(36))
    for p in range(50):
        pair = _coco_best_pair(scene, remaining, {p: 1.0}, 0.5) if remaining else None
        if pair:
            remaining.remove(pair[0])
            matched += 1
    assert matched == len(ours(scene, 0.5)) > 15


coordinate = st.integers(0, 12)
boxes = st.tuples(coordinate, coordinate, st.integers(-1, 8), st.integers(-1, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    truths = draw(st.lists(boxes.filter(lambda b: b[2] > b[0] and b[3] > b[1]), max_size=7))
    predictions = draw(st.lists(boxes, max_size=9))
    label = st.integers(0, 1)
    return Scene(
        np.array(predictions, dtype=np.float64).reshape(-1, 4),
        np.array(truths, dtype=np.float64).reshape(-1, 4),
        np.array([draw(label) for _ in predictions], dtype=np.int64),
        np.array([draw(label) for _ in truths], dtype=np.int64),
    )


@given(scenes(), st.sampled_from([0.1, 0.3, 0.5, 0.9]))
@settings(deadline=None, max_examples=150)
def test_no_pair_would_rather_have_each_other(scene: Scene, threshold: float) -> None:
    """The certificate, made strict about ties by the rule that settles them: earlier truth, then earlier prediction."""
    iou = iou_matrix(scene)
    matching = ours(scene, threshold)
    truth_of = {p: t for t, p in matching}
    prediction_of = dict(matching)
    assert len(truth_of) == len(prediction_of) == len(matching)

    def rank(t: int, p: int) -> tuple[float, int, int]:
        return (-iou[t, p], t, p)

    for t, p in matching:
        assert iou[t, p] >= threshold
    for t in range(len(scene.truths)):
        for p in range(len(scene.predictions)):
            if iou[t, p] < threshold or (t, p) in matching:
                continue
            truth_prefers = t not in prediction_of or rank(t, p) < rank(t, prediction_of[t])
            prediction_prefers = p not in truth_of or rank(t, p) < rank(truth_of[p], p)
            assert not (truth_prefers and prediction_prefers), (t, p)


@given(scenes())
@settings(deadline=None, max_examples=60)
def test_a_higher_threshold_keeps_the_first_of_the_matches(scene: Scene) -> None:
    low = match_boxes(*scene, 0.3)
    high = match_boxes(*scene, 0.5)
    kept = int(np.count_nonzero(low.iou >= 0.5))
    assert high.truth.tolist() == low.truth[:kept].tolist()
    assert high.prediction.tolist() == low.prediction[:kept].tolist()


@given(scenes(), st.integers(-500, 500), st.integers(-500, 500), st.permutations([0, 1]))
@settings(deadline=None, max_examples=60)
def test_moving_everything_and_renaming_labels_changes_nothing(
    scene: Scene, dx: int, dy: int, names: list[int]
) -> None:
    by = np.array([dx, dy, dx, dy])
    moved = Scene(
        scene.predictions + by,
        scene.truths + by,
        np.array(names)[scene.prediction_labels],
        np.array(names)[scene.truth_labels],
    )
    assert ours(moved, 0.3) == ours(scene, 0.3)
