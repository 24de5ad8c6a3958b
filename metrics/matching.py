"""Class-aware, greedy, one-to-one matching of predicted boxes with ground truths.

Of all same-label pairs with an IoU of at least the threshold, the highest is taken first; ties go to the earlier ground
truth, then to the earlier prediction; a box that is taken is taken. The tie rule is part of the metric: it decides
which copy of a repeated record is the true positive.

A lower threshold only appends to the greedy order, so the matches at 0.5 are those at 0.3 with an IoU of 0.5 or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.metrics.iou import as_boxes, iou_of_pairs, is_possible
from boxlist.metrics.pairs import compact_keys, equal_key_pairs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_PEELING_ROUNDS = 12
_FEW = 64  # candidates of a ground truth, up to which it is not worth while to leave any out


class Candidates(NamedTuple):
    """Pairs of equal key that may match, in the order in which greedy matching looks at them."""

    truth: NDArray[np.int64]
    prediction: NDArray[np.int64]
    iou: NDArray[np.float64]


class Overlaps(NamedTuple):
    """`best_iou` `(G,)`: for each ground truth the highest IoU of a prediction of equal key, 0 if there is none."""

    candidates: Candidates
    best_iou: NDArray[np.float64]


def match_boxes(
    predictions_xyxy_px: ArrayLike,
    truths_xyxy_px: ArrayLike,
    prediction_keys: ArrayLike,
    truth_keys: ArrayLike,
    threshold: float,
) -> Candidates:
    """Match predictions `(P, 4)` with ground truths `(G, 4)`, for many images and labels at once.

    Keys are whole numbers, `(P,)` and `(G,)`, one for each image and label: only equal keys may match. Impossible
    predictions (x2 <= x1 or y2 <= y1) match nothing. Returns the matches, best first; empty input gives none.
    Raises `InputError` for NaN, infinity, wrong shapes and a threshold outside (0, 1].
    """
    if not 0.0 < threshold <= 1.0:
        raise InputError(
            "threshold", expected="an IoU above 0, at most 1", got=str(threshold), remedy="The paper uses 0.3 and 0.5."
        )
    predictions = as_boxes(predictions_xyxy_px, "predictions")
    truths = as_boxes(truths_xyxy_px, "ground truths")
    keys = [np.asarray(given, dtype=np.int64).reshape(-1) for given in (prediction_keys, truth_keys)]
    for name, boxes, key in (("predictions", predictions, keys[0]), ("ground truths", truths, keys[1])):
        if len(boxes) != len(key):
            raise InputError(name, expected=f"{len(boxes)} keys", got=str(len(key)), remedy="Give one key a box.")
    one_part = np.zeros(len(predictions), dtype=bool)
    return take_greedily(overlaps(predictions, truths, keys[0], keys[1], one_part, threshold).candidates)


def overlaps(
    predictions: NDArray[np.float64],
    truths: NDArray[np.float64],
    prediction_keys: NDArray[np.int64],
    truth_keys: NDArray[np.int64],
    parts: NDArray[np.bool_],
    threshold: float,
) -> Overlaps:
    """The same-key pairs at or above the threshold, in greedy order, and every ground truth's best IoU.

    Ground truths `(G, 4)` are finite; predictions `(P, 4)` may hold anything, impossible ones are passed over. `parts`
    `(P,)` divides the predictions into two. Candidates are all that it takes to match all predictions, or either part
    alone: a ground truth among n of its key takes one of its first n, since the others can have taken n - 1. So they
    stay few when thousands of predictions overlap everything.
    """
    real_truths = np.flatnonzero(is_possible(truths))
    real_predictions = np.flatnonzero(is_possible(predictions))
    truths_compared, predictions_compared = truths[real_truths], predictions[real_predictions]
    best_iou = np.zeros(len(truths))
    keys = compact_keys(truth_keys[real_truths], prediction_keys[real_predictions])
    most_truths, most_predictions = (int(np.bincount(part).max(initial=0)) for part in keys)
    enough = max(_FEW, most_truths)
    kept: list[Candidates] = []
    for pairs in equal_key_pairs(*keys):
        iou = iou_of_pairs(truths_compared, predictions_compared, pairs)
        starts = np.flatnonzero(np.diff(pairs.left, prepend=-1))
        best_iou[real_truths[pairs.left[starts]]] = np.maximum.reduceat(iou, starts)
        near = np.flatnonzero(iou >= threshold)
        if most_predictions > enough:
            group = 2 * pairs.left[near] + parts[real_predictions[pairs.right[near]]]
            near = near[_first_of_each(group, iou[near], enough)]
        kept.append(Candidates(real_truths[pairs.left[near]], real_predictions[pairs.right[near]], iou[near]))
    # pairs come by ground truth, then by prediction, so a stable sort by IoU is the greedy order
    found = _joined(kept)
    return Overlaps(_at(found, _highest_first(found.iou)), best_iou)


def take_greedily(candidates: Candidates) -> Candidates:
    """Go through candidates in order and take each whose ground truth and prediction are both still free.

    Whatever is first in line for both its ends is taken at once, in rounds. A few rounds settle real data; what is
    left after them goes one by one, so that no input takes more than linear time.
    """
    if not len(candidates.truth):
        return candidates
    free_truths = np.ones(int(candidates.truth.max()) + 1, dtype=bool)
    free_predictions = np.ones(int(candidates.prediction.max()) + 1, dtype=bool)
    first_truth = np.empty(len(free_truths), dtype=np.int64)
    first_prediction = np.empty(len(free_predictions), dtype=np.int64)
    waiting = np.arange(len(candidates.truth))
    taken: list[NDArray[np.int64]] = []
    for _ in range(_PEELING_ROUNDS):
        truth, prediction = candidates.truth[waiting], candidates.prediction[waiting]
        places = np.arange(len(waiting))
        # of repeated indices the last is stored, hence backwards: the first in line wins
        first_truth[truth[::-1]] = places[::-1]
        first_prediction[prediction[::-1]] = places[::-1]
        both = (first_truth[truth] == places) & (first_prediction[prediction] == places)
        taken.append(waiting[both])
        free_truths[truth[both]] = False
        free_predictions[prediction[both]] = False
        waiting = waiting[free_truths[truth] & free_predictions[prediction]]
        if not len(waiting):
            break
    taken.append(_take_one_by_one(candidates, waiting))
    return _at(candidates, np.sort(np.concatenate(taken)))


def _highest_first(iou: NDArray[np.float64]) -> NDArray[np.int64]:
    """A stable order from high to low, for numbers from 0.

    Their bits sort as they do, and numpy sorts sixteen bits at a time four times as fast as floats.
    """
    digits = (~iou.astype("<f8").view("<u8")).view("<u2").reshape(-1, 4)
    order = np.argsort(digits[:, 0], kind="stable")
    for digit in digits.T[1:]:
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def _first_of_each(group: NDArray[np.int64], iou: NDArray[np.float64], enough: int) -> NDArray[np.int64]:
    """Which are among the first `enough` of their group in greedy order; as places, in their own order."""
    order = np.lexsort((-iou, group))
    in_order = group[order]
    rank = np.arange(len(order)) - np.searchsorted(in_order, in_order)
    return np.sort(order[rank < enough])


def _take_one_by_one(candidates: Candidates, waiting: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same for `waiting`, places whose ground truths and predictions are all still free."""
    places = waiting.tolist()
    ends = zip(candidates.truth[waiting].tolist(), candidates.prediction[waiting].tolist(), strict=True)
    taken, truths, predictions = [], set(), set()
    for place, (truth, prediction) in zip(places, ends, strict=True):
        if truth not in truths and prediction not in predictions:
            truths.add(truth)
            predictions.add(prediction)
            taken.append(place)
    return np.array(taken, dtype=np.int64)


def _at(candidates: Candidates, places: NDArray[np.int64] | NDArray[np.bool_]) -> Candidates:
    return Candidates(candidates.truth[places], candidates.prediction[places], candidates.iou[places])


def _joined(parts: list[Candidates]) -> Candidates:
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Candidates(nothing, nothing, np.empty(0))
    return Candidates(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
