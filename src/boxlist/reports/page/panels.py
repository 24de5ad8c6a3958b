"""What one view says of one picture: its boxes, its records and their fates, its text, all of it bounded."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from boxlist.metrics.iou import is_possible
from boxlist.reports.page.fates import record_fates
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from boxlist.metrics.inputs import GivenAnswer, GroundTruth
    from boxlist.reports.page.answered import Answered
    from boxlist.reports.page.fates import Fate, Fates
    from boxlist.reports.saved_runs import SavedTask

LONGEST_TEXT, LONGEST_LABEL, MOST_RECORDS, MOST_TRUTHS = 3000, 80, 60, 300
_RIGHT = {
    "target_shape_valid": "shape",
    "count_exact": "count",
    "spatial_correct": "relation",
    "choice_correct": "choice",
    "question_correct": "answer",
}


class Clipped(NamedTuple):
    """The beginning of a text, and how many characters of it are not shown."""

    text: str
    more: int


class Box(NamedTuple):
    """A rectangle in pixels of the original picture, its tag, and what it says when pointed at."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    tag: str
    title: str


class RecordLine(NamedTuple):
    """One record of an answer: its number from 1, label, fate, and what there is to say about that."""

    number: int
    label: Clipped
    fate: Fate
    detail: str


class Panel(NamedTuple):
    """What one view says of a picture; `rank` is the picture's place in the view, 0 the worst."""

    view: int
    rank: int
    verdict: str
    boxes: list[Box]
    records: list[RecordLine]
    more_records: int
    misses: list[Clipped]
    prompt: Clipped
    answer: Clipped
    target: Clipped


def clip(text: str, longest: int = LONGEST_TEXT) -> Clipped:
    """The first characters of a text."""
    return Clipped(text[:longest], max(0, len(text) - longest))


def truth_boxes(truth: GroundTruth) -> list[Box]:
    """The ground truth of a picture."""
    return [_truth_box(truth, place, "truth") for place in range(min(len(truth.labels), MOST_TRUTHS))]


def box_panel(view: int, rank: int, answered: Answered, answer: GivenAnswer, truth: GroundTruth) -> Panel:
    """An answer of a box probe, every record with its fate."""
    found = record_fates([answer], [truth], answered.protocol)
    fates = found.fates()
    read = read_answer(answer.text, answered.protocol)
    labels = [clip(record.label, LONGEST_LABEL) for record in read.records]
    misses = [place for place in range(len(truth.labels)) if not found.found[place]][:MOST_RECORDS]
    counts = Counter(fates)
    verdict = (
        f"{counts['hit']} of {len(truth.labels)} found, {counts['false']} false, {counts['repeat']} repeated"
        f"{'' if read.status == 'valid' else f', list {read.status}'}{_ended(answer)}"
    )
    return Panel(
        view=view,
        rank=rank,
        verdict=verdict,
        boxes=[*(_truth_box(truth, place, "miss") for place in misses), *_record_boxes(found, fates, labels)],
        records=_lines(found, fates, labels[:MOST_RECORDS]),
        more_records=max(0, len(labels) - MOST_RECORDS),
        misses=[clip(truth.labels[place], LONGEST_LABEL) for place in misses],
        prompt=clip(answered.prompt(answer.image_id)),
        answer=clip(answer.text),
        target=Clipped("", 0),
    )


def text_panel(view: int, rank: int, answered: Answered, answer: GivenAnswer, task: SavedTask) -> Panel:
    """An answer of a probe without boxes, beside what is right."""
    place = task.image_ids.index(answer.image_id)
    verdict = [
        f"{'right' if task.columns[name][place] else 'wrong'} {what}"
        for name, what in _RIGHT.items()
        if name in task.columns
    ]
    copies = task.columns.get("max_repeat")
    if copies is not None and copies[place] > 1:
        verdict.append(f"{copies[place]:.0f} copies of one slot")
    return Panel(
        view=view,
        rank=rank,
        verdict=", ".join(verdict) + _ended(answer),
        boxes=[],
        records=[],
        more_records=0,
        misses=[],
        prompt=clip(answered.prompt(answer.image_id)),
        answer=clip(answer.text),
        target=clip(answered.target(answer.image_id)),
    )


def _ended(answer: GivenAnswer) -> str:
    return ", ended by a control" if answer.triggered else ""


def _lines(found: Fates, fates: Sequence[Fate], labels: Sequence[Clipped]) -> list[RecordLine]:
    possible = is_possible(found.boxes_xyxy_px)
    lines = []
    for place, label in enumerate(labels):
        details: dict[Fate, str] = {
            "hit": f"IoU {found.iou[place]:.2f}",
            "repeat": f"of {found.first[place] + 1}",
            "false": "" if possible[place] else "impossible",
        }
        lines.append(RecordLine(place + 1, label, fates[place], details[fates[place]]))
    return lines


def _record_boxes(found: Fates, fates: Sequence[Fate], labels: Sequence[Clipped]) -> list[Box]:
    """Hits and false boxes with their number; of equal records that repeat, one box with how many."""
    possible = is_possible(found.boxes_xyxy_px)
    once = [place for place, fate in enumerate(fates) if fate != "repeat" and possible[place]]
    boxes = []
    for place in once[:MOST_RECORDS]:
        iou = f", IoU {found.iou[place]:.2f}" if fates[place] == "hit" else ""
        title = f"{place + 1} {labels[place].text}: {fates[place]}{iou}"
        boxes.append(_box(fates[place], found.boxes_xyxy_px[place], str(place + 1), title))
    copies = Counter(found.first[found.repeats].tolist())
    for first in [first for first in copies if possible[first]][:MOST_RECORDS]:
        title = f"{first + 1} {labels[first].text}: repeated {copies[first]} times"
        boxes.append(_box("repeat", found.boxes_xyxy_px[first], f"+{copies[first]}", title))
    return boxes


def _truth_box(truth: GroundTruth, place: int, kind: str) -> Box:
    said = "missed" if kind == "miss" else "ground truth"
    return _box(kind, truth.boxes_xyxy_px[place], "", f"{said}: {truth.labels[place][:LONGEST_LABEL]}")


def _box(kind: str, corners: NDArray[np.float64], tag: str, title: str) -> Box:
    x1, y1, x2, y2 = (round(float(corner), 1) for corner in corners)
    return Box(kind, x1, y1, round(x2 - x1, 1), round(y2 - y1, 1), tag, title)
