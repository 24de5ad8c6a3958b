"""The pictures of a report with what every run said of them: each picture once, worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from boxlist.errors import InputError
from boxlist.reports.leaderboard.entries import shown
from boxlist.reports.page.panels import box_panel, text_panel, truth_boxes
from boxlist.reports.page.pictures import data_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import ImageId
    from boxlist.reports.page.answered import Answered, PictureKey
    from boxlist.reports.page.panels import Box, Panel
    from boxlist.reports.page.views import View
    from boxlist.reports.saved_runs import SavedTask

MAX_PANELS = 1600
"""Pictures times views; with more views there are fewer pictures, so that a page stays one that a browser opens."""
_GOOD = ("target_shape_valid", "count_exact", "spatial_correct", "choice_correct", "referring_iou", "question_correct")


class Plate(NamedTuple):
    """A picture, its size in pixels, its ground truth and the panels of all views. `source` is empty if it is lost."""

    name: str
    source: str
    width: int
    height: int
    truths: list[Box]
    panels: list[Panel]


def make_plates(views: Sequence[View], most: int, problem: Callable[[str], None]) -> list[Plate]:
    """The `most` worst pictures, taken in turn from all views that have answers, in the order of the first view's."""
    orders = {number: worst_first(view.task) for number, view in enumerate(views) if view.answered}
    ranks = {
        number: {view.answered.key(image_id): rank for rank, image_id in enumerate(orders[number])}
        for number, view in enumerate(views)
        if view.answered
    }
    room = max(1, MAX_PANELS // max(1, len(ranks)))
    keys = _in_turn(list(ranks.values()), min(most, room))
    if len(keys) == room < most:
        problem(f"{room} pictures and not {most}: there are {len(ranks)} runs and tasks to show on each")
    plates = []
    for key in keys:
        having = [(number, views[number], of_view[key]) for number, of_view in ranks.items() if key in of_view]
        plates.append(_plate(key, having, len(keys), problem))
    return plates


def worst_first(task: SavedTask) -> list[ImageId]:
    """The images from the lowest F1 at 0.3 (or share of what is right) up; of equal ones first what repeats most."""
    columns = task.columns
    if {"tp@0.3", "n_pred", "n_gt"} <= columns.keys():
        boxes = columns["n_pred"] + columns["n_gt"]
        good = np.where(boxes > 0, 2 * columns["tp@0.3"] / np.maximum(boxes, 1), 1.0)
    else:
        right = [columns[name] for name in _GOOD if name in columns]
        good = np.sum(right, axis=0) if right else np.zeros(len(task.image_ids))
    repeating = columns.get("duplicate_rate", np.zeros(len(task.image_ids)))
    order: NDArray[np.int64] = np.lexsort((-repeating, good))
    return [task.image_ids[place] for place in order.tolist()]


def _in_turn(orders: Iterable[Iterable[PictureKey]], most: int) -> list[PictureKey]:
    """Every order's worst, then every order's second worst, until there are enough; in the order that has them."""
    lists = [list(order) for order in orders]
    chosen: dict[PictureKey, None] = {}
    for rank in range(max(map(len, lists), default=0)):
        for order in lists:
            if rank < len(order) and len(chosen) < most:
                chosen.setdefault(order[rank])
        if len(chosen) == most:
            break
    in_order = dict.fromkeys(key for order in lists for key in order if key in chosen)
    return list(in_order)


def _plate(
    key: PictureKey, having: Sequence[tuple[int, View, int]], n_plates: int, problem: Callable[[str], None]
) -> Plate:
    panels: list[Panel] = []
    truths: list[Box] = []
    source, size = "", (1, 1)
    for number, view, rank in having:
        if view.answered is None:
            continue
        if not panels:
            source = _source(view.answered, key.image_id, n_plates, problem)
        (answer,) = view.answered.answers([key.image_id])
        truth = view.answered.truth(key.image_id)
        size = truth.size_wh_px
        if view.answered.has_boxes:
            truths = truths or truth_boxes(truth)
            panels.append(box_panel(number, rank, view.answered, answer, truth))
        else:
            panels.append(text_panel(number, rank, view.answered, answer, view.task))
    return Plate(shown(key.image_id), source, *size, truths, panels)


def _source(answered: Answered, image_id: ImageId, n_plates: int, problem: Callable[[str], None]) -> str:
    try:
        return data_uri(answered.picture(image_id), n_plates)
    except InputError as error:
        problem(f"picture {shown(image_id)}: {error}")
        return ""
