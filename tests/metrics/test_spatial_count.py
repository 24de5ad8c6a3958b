"""The spatial and count probe: exact shape, and nothing made up for an unreadable answer."""

from __future__ import annotations

import pytest

from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.rows.structure import SPATIAL_COUNT_METRICS
from boxlist.metrics.spatial_count import SpatialCountTruth, read_spatial_count, score_spatial_count
from boxlist.metrics.summary import summarise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"count": 3, "relation": "left"}', (3, "left")),
        ('```json\n{"relation": "below", "count": 0}\n```', (0, "below")),
        ('{"count": 1000000, "relation": "left"}', (1_000_000, "left")),
        ('{"count": 1000001, "relation": "left"}', None),
        ('{"count": -1, "relation": "left"}', None),
        ('{"count": 3.0, "relation": "left"}', None),
        ('{"count": true, "relation": "left"}', None),
        ('{"count": "3", "relation": "left"}', None),
        ('{"count": 3, "relation": "Left"}', None),
        ('{"count": 3, "relation": ["left"]}', None),
        ('{"count": 3, "relation": null}', None),
        ('{"count": 3}', None),
        ('{"count": 3, "relation": "left", "sure": true}', None),
        ('{"count": 3, "count": 3, "relation": "left"}', None),
        ('[{"count": 3, "relation": "left"}]', None),
        ('{"count": NaN, "relation": "left"}', None),
        ('{"count": ' + "9" * 5000 + ', "relation": "left"}', None),
        ("3, left", None),
        ("", None),
        ('{"count":' * 100_000, None),
    ],
)
def test_only_the_exact_shape_is_read(text: str, expected: tuple[int, str] | None) -> None:
    read = read_spatial_count(text)
    assert (read and (read.count, read.relation)) == expected


def test_rows() -> None:
    truths = [SpatialCountTruth(1, 3, "left"), SpatialCountTruth(2, 0, "above"), SpatialCountTruth(3, 1, "below")]
    answers = [GivenAnswer(1, '{"count": 5, "relation": "left"}', tokens=8), GivenAnswer(2, "none above")]
    assert score_spatial_count(answers, truths) == [
        {
            "image_id": 1,
            "status": "valid",
            "tokens": 8,
            "target_shape_valid": True,
            "count_error": 2,
            "count_exact": False,
            "spatial_correct": True,
            "triggered": False,
        },
        {
            "image_id": 2,
            "status": "malformed",
            "tokens": None,
            "target_shape_valid": False,
            "count_error": None,
            "count_exact": False,
            "spatial_correct": False,
            "triggered": False,
        },
        {
            "image_id": 3,
            "status": "empty",
            "tokens": None,
            "target_shape_valid": False,
            "count_error": None,
            "count_exact": False,
            "spatial_correct": False,
            "triggered": False,
        },
    ]


@pytest.mark.filterwarnings("ignore::boxlist.metrics.intervals.FewImagesWarning")
def test_an_unreadable_answer_is_wrong_but_has_no_count() -> None:
    truths = [SpatialCountTruth(number, 4, "left") for number in range(4)]
    texts = ['{"count": 4, "relation": "left"}', '{"count": 1, "relation": "left"}', "four", ""]
    rows = score_spatial_count([GivenAnswer(n, text) for n, text in enumerate(texts)], truths)
    figures = summarise(rows, SPATIAL_COUNT_METRICS)
    assert {name: (value["value"], value["n"]) for name, value in figures.items()} == {
        "target_shape_valid": (0.5, 4),
        "count_mae": (1.5, 2),
        "count_exact": (0.25, 4),
        "spatial_accuracy": (0.5, 4),
    }
