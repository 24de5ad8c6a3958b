"""Every metric that boxlist reports, one row each.

A metric is the sum of its numerator's columns over images, divided by the sum of its denominator's; F1 names its
true positives twice. With no denominator it is the mean over the images where the numerator is defined. So one
bootstrap of the images serves all of them. A median or a standard deviation over images is resampled alike (`spread`);
`max_repeat` alone is a maximum, and has no interval.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from boxlist.metrics.shape_questions import FORMS as QUESTION_FORMS

PAPER = "arXiv 2606.14507"
REPORT = "the PaliGemma 2 pointing report, section 5.1"
WHATS_UP = "What's Up (Kamath et al., EMNLP 2023), table 3"
REDUNDANCY = "the redundancy paper (seed 003), table 2"


@dataclass(frozen=True)
class Metric:
    """One metric: what it divides by what, and what it says.

    `numerator` and `denominator` name columns of the per-image rows, to be added up. `needs` names the column of
    which an image must have some to count into n; by default that is the denominator. `is_rate` says that an image's
    value lies between 0 and 1, so that a figure of exactly 0 or 1 gets a Wilson interval.
    """

    name: str
    numerator: tuple[str, ...]
    denominator: tuple[str, ...]
    higher_is_better: bool | None
    unit: str
    source: str
    definition: str
    needs: tuple[str, ...] = ()
    is_rate: bool = False
    over_images: Literal["ratio", "maximum", "median", "deviation"] = "ratio"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the metric reads."""
        return (*self.numerator, *self.denominator, *self.needs)

    @property
    def is_mean(self) -> bool:
        """Whether it is a mean over images, rather than a ratio of pooled counts."""
        return self.over_images == "ratio" and not self.denominator


def _pooled(
    name: str,
    numerator: str,
    denominator: str,
    source: str,
    definition: str,
    *,
    needs: str = "",
    better: bool | None = True,
) -> Metric:
    columns = (tuple(numerator.split()), tuple(denominator.split()))
    return Metric(name, *columns, better, "share", source, definition, needs=tuple(needs.split()))


def _rate(name: str, numerator: str, source: str, definition: str, *, better: bool | None) -> Metric:
    return Metric(name, (numerator,), (), better, "share", source, definition, is_rate=True)


def _at(threshold: str) -> tuple[Metric, ...]:
    """The metrics that exist for each IoU threshold."""
    tp, strict = f"tp@{threshold}", f"tp@{threshold}_strict"
    tail = f"tail_tp@{threshold}"
    return (
        _pooled(f"f1@{threshold}", f"{tp} {tp}", "n_pred n_gt", f"{PAPER}, section 3", "2 TP / (predictions + truths)"),
        _pooled(
            f"f1@{threshold}_strict",
            f"{strict} {strict}",
            "n_pred_strict n_gt",
            "boxlist",
            "the same, an answer that is not parse-valid having no predictions",
        ),
        _pooled(f"precision@{threshold}", tp, "n_pred", "common", "TP / predictions"),
        _pooled(f"micro_recall@{threshold}", tp, "n_gt", "common", "TP / ground truths"),
        _rate(
            f"recall@{threshold}",
            f"recall@{threshold}",
            f"{PAPER}, table 6",
            "mean over images with ground truths of the matched share",
            better=True,
        ),
        _pooled(
            f"separability_prefix@{threshold}",
            f"prefix_tp@{threshold}",
            tp,
            f"{PAPER}, figure 4",
            "share of TP that come before the answer's first exact repeat",
        ),
        _pooled(
            f"separability_tail_f1@{threshold}",
            f"{tail} {tail}",
            "n_tail n_gt",
            f"{PAPER}, figure 4",
            "F1 of the records from the first exact repeat on, alone",
            needs="n_tail",
            better=None,
        ),
    )


def _pointing(suffix: str, over: str) -> tuple[Metric, ...]:
    """The errors of points, over valid answers or over all questions (`points`)."""

    def row(
        name: str,
        column: str,
        unit: str,
        definition: str,
        over_images: Literal["ratio", "median", "deviation"] = "ratio",
    ) -> Metric:
        return Metric(
            name + suffix,
            (column + suffix,),
            (),
            higher_is_better=False,
            unit=unit,
            source=REPORT,
            definition=f"{definition}, {over}",
            over_images=over_images,
        )

    distance = "of the questions' distances from a right point to the nearest predicted one"
    return (
        row("point_distance_mean", "distance", "pixels", f"mean {distance}"),
        row("point_distance_median", "distance", "pixels", f"median {distance}", "median"),
        row("point_distance_std", "distance", "pixels", f"standard deviation {distance}", "deviation"),
        row("point_distance_normalized", "distance_share", "diagonals", f"mean {distance}, by the image's diagonal"),
        row("point_mse_x", "squared_x", "square pixels", "mean squared error in x of the nearest predicted point"),
        row("point_mse_y", "squared_y", "square pixels", "mean squared error in y of the nearest predicted point"),
        row("point_mae_x", "absolute_x", "pixels", "mean absolute error in x of the nearest predicted point"),
        row("point_mae_y", "absolute_y", "pixels", "mean absolute error in y of the nearest predicted point"),
        _rate(
            f"point_success@0.05{suffix}",
            f"near{suffix}",
            REPORT,
            f"mean share of right points with a prediction closer than 5% of the image's diagonal, {over}",
            better=True,
        ),
    )


_ROWS = (
    *_at("0.3"),
    *_at("0.5"),
    _rate(
        "mean_max_iou",
        "mean_max_iou",
        f"{PAPER}, table 6",
        "mean over images of the truths' best same-label IoU",
        better=True,
    ),
    _rate("duplicate_rate", "duplicate_rate", f"{PAPER}, section 3", "mean of (n - unique) / n", better=False),
    Metric(
        "max_repeat",
        ("max_repeat",),
        (),
        higher_is_better=False,
        unit="copies",
        source=f"{PAPER}, section 3",
        definition="copies of the most repeated record of any image",
        over_images="maximum",
    ),
    _rate(
        "near_duplicate_rate",
        "near_duplicate_rate",
        "boxlist",
        "mean share of records with an earlier same-label record at IoU >= 0.9",
        better=False,
    ),
    _rate("parse_valid", "parse_valid", f"{PAPER}, section 3", "share of answers that are one whole list", better=True),
    Metric(
        "predictions_per_image",
        ("n_pred",),
        (),
        higher_is_better=None,
        unit="records",
        source=f"{PAPER}, section 3",
        definition="mean number of records",
    ),
    _rate(
        "trigger_rate",
        "triggered",
        f"{PAPER}, section 3",
        "share of answers that a control on the list ended",
        better=None,
    ),
    _rate(
        "target_shape_valid",
        "target_shape_valid",
        f"{PAPER}, table 5",
        "share of answers that match the probe's JSON schema exactly",
        better=True,
    ),
    _rate(
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
    _rate("count_exact", "count_exact", "boxlist", "share of right counts; unreadable is wrong", better=True),
    _rate(
        "spatial_accuracy", "spatial_correct", "boxlist", "share of right relations; unreadable is wrong", better=True
    ),
    _rate(
        "valid_predictions",
        "valid_prediction",
        REPORT,
        "share of answers that are one whole list with a point in the image",
        better=True,
    ),
    *_pointing("", "over valid answers"),
    *_pointing("_all", "over all questions, an answer without a point in the image being as far off as it allows"),
    _pooled(
        "point_f1@0.05",
        "near_tp near_tp",
        "n_pred n_gt",
        "boxlist",
        "2 TP / (predictions + right points), one to one, the closest first, within 5% of the image's diagonal",
    ),
    _pooled(
        "point_f1@0.05_strict",
        "near_tp_strict near_tp_strict",
        "n_pred_strict n_gt",
        "boxlist",
        "the same for points, an answer that is not parse-valid having no predictions",
    ),
    _pooled("point_precision@0.05", "near_tp", "n_pred", "boxlist", "TP of points / predictions"),
    _pooled("point_recall@0.05", "near_tp", "n_gt", "boxlist", "TP of points / right points"),
    _pooled(
        "out_of_range_rate",
        "out_of_range",
        "n_pred",
        "boxlist",
        "share of predicted points that lie outside the image",
        better=False,
    ),
)

_QUESTION_ROWS = (
    _rate(
        "question_accuracy", "question_correct", "boxlist", "share of right answers; unreadable is wrong", better=True
    ),
    *(
        _rate(
            f"{name}_accuracy",
            f"{name}_correct",
            "the redundancy paper (seed 003), section 4.1",
            f"share of right answers to the questions of type {name}; unreadable is wrong",
            better=True,
        )
        for name in QUESTION_FORMS
    ),
)
_ABSENT_ROWS = (
    _rate(
        "right_empty_list",
        "right_empty_list",
        "boxlist",
        "share of images without a target that are answered with exactly an empty list",
        better=True,
    ),
    _pooled(
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
    _pooled(
        "hallucinated_class_rate",
        "absent_named",
        "absent_asked",
        "boxlist",
        "share of the absent classes that were asked for of which the answer has a record",
        better=False,
    ),
    _pooled(
        "off_list_rate",
        "off_list",
        "n_of_asked",
        "boxlist",
        "share of records of a class that the prompt does not name, where it names classes",
        better=False,
    ),
)

_CHOICE_ROWS = (
    _rate(
        "choice_accuracy",
        "choice_correct",
        WHATS_UP,
        "share of images whose right option is chosen, or is the likeliest by itself; unreadable is wrong",
        better=True,
    ),
    _rate(
        "choice_accuracy_per_token",
        "choice_correct_per_token",
        "boxlist",
        "the same by log-probability per token of the option",
        better=True,
    ),
    *(
        Metric(
            f"{name}_accuracy",
            (f"{name}s_correct",),
            (f"{name}s",),
            higher_is_better=True,
            unit="share",
            source=WHATS_UP,
            definition=f"share of {name}s, all of whose images were asked, with every choice right",
            is_rate=True,
        )
        for name in ("pair", "set")
    ),
    _rate("choice_readable", "choice_readable", "boxlist", "share of answers that name one option", better=True),
)
_REFERRING_ROWS = (
    _rate(
        "referring_iou",
        "referring_iou",
        REDUNDANCY,
        "mean IoU of the answer's first box with the right one, 0 without a box; labels are not compared",
        better=True,
    ),
    _rate(
        "referring_acc@0.5",
        "referring_hit@0.5",
        "common",
        "share of answers whose first box has IoU >= 0.5",
        better=True,
    ),
    _rate(
        "referring_iou_strict",
        "referring_iou_strict",
        "boxlist",
        "referring_iou, an answer of several boxes having none",
        better=True,
    ),
    _rate("one_box", "one_box", "boxlist", "share of answers with exactly one box", better=True),
)

METRICS: dict[str, Metric] = {
    row.name: row for row in (*_ROWS, *_CHOICE_ROWS, *_REFERRING_ROWS, *_QUESTION_ROWS, *_ABSENT_ROWS)
}


def definitions_sha256() -> str:
    """What every metric means, as one hash: figures of two versions compare only if it is the same."""
    rows = sorted(
        repr((row.name, row.numerator, row.denominator, row.needs, row.definition)) for row in METRICS.values()
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


DENSE_BOX_METRICS = (
    *("f1@0.3", "f1@0.5", "f1@0.3_strict", "f1@0.5_strict", "precision@0.3", "precision@0.5"),
    *("micro_recall@0.3", "micro_recall@0.5", "recall@0.3", "recall@0.5", "mean_max_iou"),
    *("duplicate_rate", "max_repeat", "near_duplicate_rate", "parse_valid", "predictions_per_image", "trigger_rate"),
    *("separability_prefix@0.3", "separability_prefix@0.5", "separability_tail_f1@0.3", "separability_tail_f1@0.5"),
)
INVENTORY_METRICS = ("target_shape_valid", "duplicate_rate", "ground_truth_duplicate_rate", "max_repeat")
SPATIAL_COUNT_METRICS = ("target_shape_valid", "count_mae", "count_exact", "spatial_accuracy")
SHAPE_QUESTION_METRICS = (
    *("question_accuracy", *(f"{name}_accuracy" for name in QUESTION_FORMS)),
    *("count_mae", "count_exact", "target_shape_valid"),
)
ABSENT_METRICS = (
    *("right_empty_list", "empty_list_precision", "false_boxes_per_image", "false_boxes_per_empty_image"),
    *("hallucinated_class_rate", "off_list_rate", "f1@0.3", "f1@0.5", "precision@0.3", "micro_recall@0.3"),
    *("duplicate_rate", "max_repeat", "parse_valid", "predictions_per_image", "trigger_rate"),
)
_ERRORS = tuple(row.name for row in _pointing("", "")) + tuple(row.name for row in _pointing("_all", ""))
POINTING_METRICS = (
    *("point_f1@0.05", "point_f1@0.05_strict", "point_precision@0.05", "point_recall@0.05"),
    *("parse_valid", "valid_predictions", *_ERRORS),
    *("out_of_range_rate", "duplicate_rate", "max_repeat", "predictions_per_image", "trigger_rate"),
)
OPTION_CHOICE_METRICS = ("choice_accuracy", "pair_accuracy", "set_accuracy", "choice_readable")
OPTION_LIKELIHOOD_METRICS = (*OPTION_CHOICE_METRICS, "choice_accuracy_per_token")
REFERRING_METRICS = ("referring_iou", "referring_acc@0.5", "referring_iou_strict", "one_box")
