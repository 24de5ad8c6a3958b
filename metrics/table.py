"""Every metric that boxlist reports, one row each.

A metric is the sum of its numerator's columns over images, divided by the sum of its denominator's; F1 names its
true positives twice. With no denominator it is the mean over the images where the numerator is defined. So one
bootstrap of the images serves all of them; `max_repeat` alone is a maximum, and has no interval.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

PAPER = "arXiv 2606.14507"


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
    over_images: Literal["ratio", "maximum"] = "ratio"

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
)

METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}


def definitions_sha256() -> str:
    """What every metric means, as one hash: figures of two versions compare only if it is the same."""
    rows = sorted(repr((row.name, row.numerator, row.denominator, row.needs, row.definition)) for row in _ROWS)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


DENSE_BOX_METRICS = (
    *("f1@0.3", "f1@0.5", "f1@0.3_strict", "f1@0.5_strict", "precision@0.3", "precision@0.5"),
    *("micro_recall@0.3", "micro_recall@0.5", "recall@0.3", "recall@0.5", "mean_max_iou"),
    *("duplicate_rate", "max_repeat", "near_duplicate_rate", "parse_valid", "predictions_per_image", "trigger_rate"),
    *("separability_prefix@0.3", "separability_prefix@0.5", "separability_tail_f1@0.3", "separability_tail_f1@0.5"),
)
INVENTORY_METRICS = ("target_shape_valid", "duplicate_rate", "ground_truth_duplicate_rate", "max_repeat")
SPATIAL_COUNT_METRICS = ("target_shape_valid", "count_mae", "count_exact", "spatial_accuracy")
