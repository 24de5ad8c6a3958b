"""The metrics of boxes where classes that were asked for are not there."""

from __future__ import annotations

from boxlist.metrics.metric import Metric, pooled, rate

ROWS = (
    rate(
        "right_empty_list",
        "right_empty_list",
        "boxlist",
        "share of images without a target that are answered with exactly an empty list",
        better=True,
    ),
    pooled(
        "empty_list_precision",
        "right_empty_lists",
        "empty_lists",
        "boxlist",
        "share of the empty lists whose image has no target",
    ),
    Metric(
        "false_boxes_per_image",
        ("false_boxes",),
        (),
        higher_is_better=False,
        unit="records",
        source="boxlist",
        definition="mean number of records that match no ground truth at IoU 0.3",
    ),
    Metric(
        "false_boxes_per_empty_image",
        ("false_boxes_on_empty",),
        (),
        higher_is_better=False,
        unit="records",
        source="boxlist",
        definition="the same over the images without a target",
    ),
    pooled(
        "hallucinated_class_rate",
        "absent_named",
        "absent_asked",
        "boxlist",
        "share of the absent classes that were asked for of which the answer has a record",
        better=False,
    ),
    pooled(
        "off_list_rate",
        "off_list",
        "n_of_asked",
        "boxlist",
        "share of records of a class that the prompt does not name, where it names classes",
        better=False,
    ),
)

ABSENT_METRICS = (
    *("right_empty_list", "empty_list_precision", "false_boxes_per_image", "false_boxes_per_empty_image"),
    *("hallucinated_class_rate", "off_list_rate", "f1@0.3", "f1@0.5", "precision@0.3", "micro_recall@0.3"),
    *("duplicate_rate", "max_repeat", "parse_valid", "predictions_per_image", "trigger_rate"),
)
