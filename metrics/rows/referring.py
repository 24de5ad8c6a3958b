"""The metrics of expressions that mean one box."""

from __future__ import annotations

from boxlist.metrics.metric import rate

REDUNDANCY = "the redundancy paper (seed 003), table 2"

ROWS = (
    rate(
        "referring_iou",
        "referring_iou",
        REDUNDANCY,
        "mean IoU of the answer's first box with the right one, 0 without a box; labels are not compared",
        better=True,
    ),
    rate(
        "referring_acc@0.5",
        "referring_hit@0.5",
        "common",
        "share of answers whose first box has IoU >= 0.5",
        better=True,
    ),
    rate(
        "referring_iou_strict",
        "referring_iou_strict",
        "boxlist",
        "referring_iou, an answer of several boxes having none",
        better=True,
    ),
    rate("one_box", "one_box", "boxlist", "share of answers with exactly one box", better=True),
)

REFERRING_METRICS = ("referring_iou", "referring_acc@0.5", "referring_iou_strict", "one_box")
