"""The metrics of points."""

from __future__ import annotations

from typing import Literal

from boxlist.metrics.metric import Metric, pooled, rate

REPORT = "the PaliGemma 2 pointing report, section 5.1"


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
        rate(
            f"point_success@0.05{suffix}",
            f"near{suffix}",
            REPORT,
            f"mean share of right points with a prediction closer than 5% of the image's diagonal, {over}",
            better=True,
        ),
    )


ROWS = (
    rate(
        "valid_predictions",
        "valid_prediction",
        REPORT,
        "share of answers that are one whole list with a point in the image",
        better=True,
    ),
    *_pointing("", "over valid answers"),
    *_pointing("_all", "over all questions, an answer without a point in the image being as far off as it allows"),
    pooled(
        "point_f1@0.05",
        "near_tp near_tp",
        "n_pred n_gt",
        "boxlist",
        "2 TP / (predictions + right points), one to one, the closest first, within 5% of the image's diagonal",
    ),
    pooled(
        "point_f1@0.05_strict",
        "near_tp_strict near_tp_strict",
        "n_pred_strict n_gt",
        "boxlist",
        "the same for points, an answer that is not parse-valid having no predictions",
    ),
    pooled("point_precision@0.05", "near_tp", "n_pred", "boxlist", "TP of points / predictions"),
    pooled("point_recall@0.05", "near_tp", "n_gt", "boxlist", "TP of points / right points"),
    pooled(
        "out_of_range_rate",
        "out_of_range",
        "n_pred",
        "boxlist",
        "share of predicted points that lie outside the image",
        better=False,
    ),
)


_ERRORS = tuple(row.name for row in _pointing("", "")) + tuple(row.name for row in _pointing("_all", ""))
POINTING_METRICS = (
    *("point_f1@0.05", "point_f1@0.05_strict", "point_precision@0.05", "point_recall@0.05"),
    *("parse_valid", "valid_predictions", *_ERRORS),
    *("out_of_range_rate", "duplicate_rate", "max_repeat", "predictions_per_image", "trigger_rate"),
)
