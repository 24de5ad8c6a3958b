"""The metrics of answers that are one JSON object: inventories, and a count with a relation."""

from __future__ import annotations

from boxlist.metrics.metric import PAPER, Metric, rate

ROWS = (
    rate(
        "target_shape_valid",
        "target_shape_valid",
        f"{PAPER}, table 5",
        "share of answers that match the probe's JSON schema exactly",
        better=True,
    ),
    rate(
        "ground_truth_duplicate_rate",
        "ground_truth_duplicate_rate",
        "boxlist",
        "the duplicate rate of the right inventories: the floor that duplicate_rate is to be read against",
        better=None,
    ),
    Metric(
        "count_mae",
        ("count_error",),
        (),
        higher_is_better=False,
        unit="objects",
        source="boxlist",
        definition="mean distance of the count from the truth, over readable answers",
    ),
    rate("count_exact", "count_exact", "boxlist", "share of right counts; unreadable is wrong", better=True),
    rate(
        "spatial_accuracy", "spatial_correct", "boxlist", "share of right relations; unreadable is wrong", better=True
    ),
)

INVENTORY_METRICS = ("target_shape_valid", "duplicate_rate", "ground_truth_duplicate_rate", "max_repeat")
SPATIAL_COUNT_METRICS = ("target_shape_valid", "count_mae", "count_exact", "spatial_accuracy")
