"""Figures over images, worked by hand, and where they are undefined."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from boxlist.errors import InputError
from boxlist.metrics.intervals import FewImagesWarning
from boxlist.metrics.rows.boxes import DENSE_BOX_METRICS
from boxlist.metrics.summary import MetricValue, summarise, task_scores
from boxlist.metrics.table import METRICS

few = pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")


def rows(**columns: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def figure(metric: str, **columns: list[Any]) -> MetricValue:
    return summarise(rows(**columns), [metric])[metric]


@few
def test_pooled_counts_are_pooled_and_means_are_means() -> None:
    counts: dict[str, list[Any]] = {"tp@0.3": [1, 3], "n_pred": [1, 9], "n_gt": [2, 4], "recall@0.3": [0.5, 0.75]}
    value = summarise(rows(**counts), ["f1@0.3", "precision@0.3", "micro_recall@0.3", "recall@0.3"])
    assert value["f1@0.3"]["value"] == pytest.approx(2 * 4 / (10 + 6))
    assert value["precision@0.3"]["value"] == pytest.approx(4 / 10)
    assert value["micro_recall@0.3"]["value"] == pytest.approx(4 / 6)
    assert value["recall@0.3"]["value"] == pytest.approx((0.5 + 0.75) / 2)
    assert {one["n"] for one in value.values()} == {2}


@few
def test_the_duplicate_rate_is_a_mean_over_images() -> None:
    """PAPER.md, COCO 120: 263 records, five images with a repeat, one of them with four copies; the paper says 0.016.

    That is the mean over images for lists of three and four records; pooled it would be 7 / 263 = 0.027.
    """
    records = [4, 4, 3, 3, 4, *[3] * 15, *[2] * 100]
    duplicates = [3, 1, 1, 1, 1, *[0] * 115]
    rates: list[Any] = [d / n for d, n in zip(duplicates, records, strict=True)]
    assert (len(records), sum(records)) == (120, 263)
    value = figure("duplicate_rate", duplicate_rate=rates)["value"]
    assert value is not None
    assert round(value, 3) == 0.016
    assert round(sum(duplicates) / sum(records), 3) == 0.027


@few
def test_undefined_is_null_with_its_n() -> None:
    nothing = figure("f1@0.3", **{"tp@0.3": [0, 0], "n_pred": [0, 0], "n_gt": [0, 0]})
    assert nothing == {
        "value": None, "ci_low": None, "ci_high": None, "n": 0, "interval": None, "few_images": True
    }  # fmt: skip
    assert figure("precision@0.3", **{"tp@0.3": [0], "n_pred": [0]})["value"] is None
    assert figure("recall@0.3", **{"recall@0.3": [None, None]})["value"] is None
    assert figure("count_mae", count_error=[None, 2, 4])["value"] == 3
    assert figure("count_mae", count_error=[None, 2, 4])["n"] == 2


@few
def test_no_images_at_all() -> None:
    summary = summarise([], DENSE_BOX_METRICS)
    assert {value["value"] for value in summary.values()} == {None}
    assert {value["n"] for value in summary.values()} == {0}


def test_a_zero_is_not_undefined() -> None:
    value = figure("precision@0.3", **{"tp@0.3": [0] * 40, "n_pred": [1] * 40})
    assert (value["value"], value["ci_low"], value["ci_high"]) == (0.0, 0.0, 0.0)


def test_rates_at_their_ends_have_wilson_intervals() -> None:
    all_valid = figure("parse_valid", parse_valid=[True] * 80)
    assert (all_valid["value"], all_valid["ci_high"], all_valid["interval"]) == (1.0, 1.0, "wilson")
    assert all_valid["ci_low"] == pytest.approx(0.954, abs=0.0005)
    never = figure("trigger_rate", triggered=[False] * 80)
    assert (never["value"], never["ci_low"]) == (0.0, 0.0)
    assert never["ci_high"] == pytest.approx(1 - 0.954, abs=0.0005)
    one = figure("parse_valid", parse_valid=[True] * 79 + [False])
    assert one["interval"] == "percentile"
    assert one["ci_low"] is not None
    assert 0.95 < one["ci_low"] < 79 / 80


def test_max_repeat_is_a_maximum_without_interval() -> None:
    value = figure("max_repeat", max_repeat=[1, 23, 2, *[1] * 40])
    assert value == {
        "value": 23.0, "ci_low": None, "ci_high": None, "n": 43, "interval": None, "few_images": False
    }  # fmt: skip


def test_an_interval_needs_images_that_are_about_it() -> None:
    """Two images in fifty have a tail: one resample in eight has none, so there is no saying."""
    columns: dict[str, list[Any]] = {"tail_tp@0.3": [1, 0, *[0] * 48], "n_tail": [2, 3, *[0] * 48], "n_gt": [5] * 50}
    value = figure("separability_tail_f1@0.3", **columns)
    assert value["value"] == pytest.approx(2 / 255)
    assert (value["n"], value["ci_low"], value["interval"], value["few_images"]) == (2, None, None, True)


def test_the_same_seed_gives_the_same_interval_whatever_else_is_asked() -> None:
    rng = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {
        "tp@0.3": rng.integers(0, 5, 60).tolist(), "n_pred": [6] * 60, "n_gt": [5] * 60, "parse_valid": [True] * 60
    }  # fmt: skip
    alone = summarise(rows(**columns), ["f1@0.3"], seed=4)["f1@0.3"]
    assert summarise(rows(**columns), ["parse_valid", "precision@0.3", "f1@0.3"], seed=4)["f1@0.3"] == alone
    assert summarise(rows(**columns), ["f1@0.3"], seed=5)["f1@0.3"] != alone
    assert alone["ci_low"] is not None
    assert alone["value"] is not None
    assert alone["ci_high"] is not None
    assert alone["ci_low"] < alone["value"] < alone["ci_high"]


def test_few_images_warn_and_thirty_do_not() -> None:
    columns = rows(parse_valid=[True] * 29)
    with pytest.warns(FewImagesWarning, match="29 images are fewer than 30: the intervals are narrower"):
        assert summarise(columns, ["parse_valid"])["parse_valid"]["few_images"] is True
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert summarise([*columns, columns[0]], ["parse_valid"])["parse_valid"]["few_images"] is False


def test_unknown_metrics_have_near_matches() -> None:
    with pytest.raises(InputError, match=r"metric 'f1@0.4': expected one of .*Did you mean f1@0.\d"):
        summarise([], ["f1@0.4"])


@few
def test_rows_of_another_probe_are_refused() -> None:
    with pytest.raises(InputError) as refused:
        summarise([{"image_id": 7, "count_error": 1}], ["duplicate_rate"])
    assert str(refused.value) == (
        "image 7: expected a column 'duplicate_rate', got image_id, count_error. "
        "Choose metrics of the probe that these rows come from."
    )


@few
def test_task_scores_are_what_scores_json_holds() -> None:
    per_image = rows(image_id=[1, 2], parse_valid=[True, False])
    scores = task_scores(per_image, ["parse_valid"], seed=3)
    assert (scores["n"], scores["seed"], scores["resamples"], scores["per_image"]) == (2, 3, 1000, per_image)
    assert scores["metrics"]["parse_valid"]["value"] == 0.5


def test_every_metric_has_its_row() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.source
        assert metric.definition
        assert metric.is_rate == (metric.unit == "share" and metric.is_mean)
        assert (metric.over_images == "maximum") == (name == "max_repeat")
