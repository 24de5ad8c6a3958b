"""Referring expressions: one box an answer, its IoU against hand-worked values and another implementation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics.inputs import GivenAnswer
from boxlist.metrics.referring import ReferringTruth, read_boxes, score_referring
from boxlist.protocols import PROTOCOLS

PIXEL, QWEN, GEMINI = (PROTOCOLS[name] for name in ("pixel_xyxy", "norm1000_xyxy", "norm1000_yxyx"))
RESIZED = PROTOCOLS["resized_pixel_xyxy"]
TRUTH = ReferringTruth(1, (10, 20, 50, 60), (200, 100))


def record(*box: float) -> str:
    return json.dumps({"bbox_2d": list(box), "label": "dog"})


def row_of(text: str, protocol: Any = PIXEL, **more: Any) -> dict[str, Any]:
    return score_referring([GivenAnswer(1, text, **more)], [TRUTH], protocol)[0]


@pytest.mark.parametrize(
    ("text", "iou", "strict", "one_box"),
    [
        (f"[{record(10, 20, 50, 60)}]", 1.0, 1.0, True),
        (record(10, 20, 50, 60), 1.0, 1.0, True),
        ("[10, 20, 50, 60]", 1.0, 1.0, True),  # what the paper's ground truths look like
        ("[[10, 20, 50, 60]]", 1.0, 1.0, True),
        ('{"bbox": [10, 20, 50, 60]}', 1.0, 1.0, True),
        ("```json\n[10, 20, 50, 60]\n```", 1.0, 1.0, True),
        (f"[{record(10, 20, 50, 40)}]", 0.5, 0.5, True),
        (f"[{record(30, 20, 70, 60)}]", 800 / 2400, 800 / 2400, True),
        (f"[{record(10, 20, 50, 60)}, {record(0, 0, 1, 1)}]", 1.0, 0.0, False),  # the first counts
        (f"[{record(0, 0, 1, 1)}, {record(10, 20, 50, 60)}]", 0.0, 0.0, False),  # never the best
        (f"Here: [{record(10, 20, 50, 60)}", 1.0, 1.0, True),  # a list that never closes
        (f"[{record(50, 20, 10, 60)}]", 0.0, 0.0, True),  # an impossible box
        ("[10, 20, 50]", 0.0, 0.0, False),
        ("[10, 20, 50, null]", 0.0, 0.0, False),
        ("[10, 20, 50, NaN]", 0.0, 0.0, False),
        ("[]", 0.0, 0.0, False),
        ("a dog at 10, 20, 50, 60", 0.0, 0.0, False),  # numbers in prose are not looked for
        ("", 0.0, 0.0, False),
    ],
)
def test_by_hand(text: str, iou: float, strict: float, one_box: bool) -> None:
    row = row_of(text)
    assert row["referring_iou"] == pytest.approx(iou)
    assert row["referring_iou_strict"] == pytest.approx(strict)
    assert row["one_box"] is one_box
    assert row["referring_hit@0.5"] is (iou >= 0.5)
    assert row["status"] == ("valid" if one_box else "malformed" if text else "empty")


def test_each_protocol_reads_its_own_numbers() -> None:
    assert row_of("[50, 200, 250, 600]", QWEN)["referring_iou"] == pytest.approx(1.0)
    assert row_of("[200, 50, 600, 250]", GEMINI)["referring_iou"] == pytest.approx(1.0)
    assert row_of("[5, 10, 25, 30]", RESIZED, frame_wh_px=(100, 50))["referring_iou"] == pytest.approx(1.0)
    assert row_of("[50, 200, 250, 600]", PIXEL)["referring_iou"] == 0.0, "never guessed from the values"
    with pytest.raises(InputError, match="the size of the resized image, which protocol resized_pixel_xyxy needs"):
        row_of("[5, 10, 25, 30]", RESIZED)
    with pytest.raises(InputError, match="expected one that writes boxes, got one that writes points"):
        row_of("x", PROTOCOLS["percent_xy"])


def counted_iou(a: list[float], b: tuple[float, ...]) -> float:
    """Another way: cells of a unit grid that each box covers."""
    grid = np.zeros((2, 40, 40), dtype=bool)
    for place, (x1, y1, x2, y2) in enumerate((a, b)):
        grid[place, int(y1) : int(y2), int(x1) : int(x2)] = True
    union = (grid[0] | grid[1]).sum()
    return float((grid[0] & grid[1]).sum() / union) if union else 0.0


sides = st.tuples(st.integers(0, 39), st.integers(0, 39)).filter(lambda pair: pair[0] < pair[1])


@given(sides, sides, sides, sides)
def test_against_counting_cells(
    xs: tuple[int, int], ys: tuple[int, int], us: tuple[int, int], vs: tuple[int, int]
) -> None:
    box, right = [xs[0], ys[0], xs[1], ys[1]], (us[0], vs[0], us[1], vs[1])
    truth = ReferringTruth(1, right, (40, 40))
    row = score_referring([GivenAnswer(1, json.dumps(box))], [truth], PIXEL)[0]
    assert row["referring_iou"] == pytest.approx(counted_iou([float(x) for x in box], right))


@given(st.text(max_size=60))
def test_reading_survives_anything(text: str) -> None:
    assert all(len(box) == 4 for box in read_boxes(text, PIXEL))


@given(st.text('[]{}",: 0123456789.eE-box_2dlabel', max_size=60))
def test_scoring_survives_what_looks_like_boxes(text: str) -> None:
    assert 0.0 <= row_of(text)["referring_iou"] <= 1.0
