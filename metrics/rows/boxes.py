"""The metrics of lists of boxes."""

from __future__ import annotations

from boxlist.metrics.metric import PAPER, Metric, pooled, rate


def _at(threshold: str) -> tuple[Metric, ...]:
    """The metrics that exist for each IoU threshold."""
    tp, strict = f"tp@{threshold}", f"tp@{threshold}_strict"
    tail = f"tail_tp@{threshold}"
    return (
        pooled(f"f1@{threshold}", f"{tp} {tp}", "n_pred n_gt", f"{PAPER}, section 3", "2 TP / (predictions + truths)"),
        pooled(
            f"f1@{threshold}_strict",
            f"{strict} {strict}",
            "n_pred_strict n_gt",
            "boxlist",
            "the same, an answer that is not parse-valid having no predictions",
        ),
        pooled(f"precision@{threshold}", tp, "n_pred", "common", "TP / predictions"),
        pooled(f"micro_recall@{threshold}", tp, "n_gt", "common", "TP / ground truths"),
        rate(
            f"recall@{threshold}",
            f"recall@{threshold}",
            f"{PAPER}, table 6",
            "mean over images with ground truths of the matched share",
            better=True,
        ),
        pooled(
            f"separability_prefix@{threshold}",
            f"prefix_tp@{threshold}",
            tp,
            f"{PAPER}, figure 4",
            "share of TP that come before the answer's first exact repeat",
        ),
        pooled(
            f"separability_tail_f1@{threshold}",
            f"{tail} {tail}",
            "n_tail n_gt",
            f"{PAPER}, figure 4",
            "F1 of the records from the first exact repeat on, alone",
            needs="n_tail",
            better=None,
        ),
    )


ROWS = (
    *_at("0.3"),
    *_at("0.5"),
    rate(
        "mean_max_iou",
        "mean_max_iou",
        f"{PAPER}, table 6",
        "mean over images of the truths' best same-label IoU",
        better=True,
    ),
    rate("duplicate_rate", "duplicate_rate", f"{PAPER}, section 3", "mean of (n - unique) / n", better=False),
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
    rate(
        "near_duplicate_rate",
        "near_duplicate_rate",
        "boxlist",
        "mean share of records with an earlier same-label record at IoU >= 0.9",
        better=False,
    ),
    rate("parse_valid", "parse_valid", f"{PAPER}, section 3", "share of answers that are one whole list", better=True),
    Metric(
        "predictions_per_image",
        ("n_pred",),
        (),
        higher_is_better=None,
        unit="records",
        source=f"{PAPER}, section 3",
        definition="mean number of records",
    ),
    rate(
        "trigger_rate",
        "triggered",
        f"{PAPER}, section 3",
        "share of answers that a control on the list ended",
        better=None,
    ),
)

DENSE_BOX_METRICS = (
    *("f1@0.3", "f1@0.5", "f1@0.3_strict", "f1@0.5_strict", "precision@0.3", "precision@0.5"),
    *("micro_recall@0.3", "micro_recall@0.5", "recall@0.3", "recall@0.5", "mean_max_iou"),
    *("duplicate_rate", "max_repeat", "near_duplicate_rate", "parse_valid", "predictions_per_image", "trigger_rate"),
    *("separability_prefix@0.3", "separability_prefix@0.5", "separability_tail_f1@0.3", "separability_tail_f1@0.5"),
)
