from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.metrics.by_objects import count_bins, figures_by_objects

COLUMNS = {
    "n_gt": np.array([0, 1, 1, 4, 9, 9]),
    "n_pred": np.array([2, 1, 1, 4, 3, 9]),
    "tp@0.3": np.array([0, 1, 0, 3, 3, 6]),
    "max_repeat": np.array([2, 1, 1, 1, 1, 7]),
    "parse_valid": np.array([1, 1, 1, 1, 0, 0]),
}
METRICS = ("f1@0.3", "max_repeat", "parse_valid")


def test_figures_of_bins_by_hand() -> None:
    bins = figures_by_objects(COLUMNS, METRICS, [1, 3])
    assert [(each.low, each.high, each.mean, each.n_images) for each in bins] == [(1, 1, 1.0, 2), (4, 9, 22 / 3, 3)]
    assert [each.figures["f1@0.3"]["value"] for each in bins] == [2 / 4, 2 * 12 / (22 + 16)]
    assert [each.figures["max_repeat"]["value"] for each in bins] == [1, 7]
    assert [each.figures["parse_valid"]["value"] for each in bins] == [1.0, 1 / 3]
    assert bins[0].figures["parse_valid"]["interval"] == "wilson"
    assert bins[0].figures["f1@0.3"]["few_images"]


def test_each_number_has_its_own_bin_where_there_are_few() -> None:
    bins = figures_by_objects(COLUMNS, METRICS)
    assert [each.low for each in bins] == [0, 1, 4, 9]
    assert bins[0].figures["f1@0.3"]["value"] == 0.0  # two false boxes, nothing to find


def test_one_bin_of_all_is_the_whole() -> None:
    (whole,) = figures_by_objects(COLUMNS, METRICS, [0])
    assert (whole.low, whole.high, whole.n_images) == (0, 9, 6)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=300), st.integers(1, 20))
def test_bins_hold_every_image_and_part_no_number(counts: list[int], most: int) -> None:
    starts = count_bins(np.array(counts), most)
    assert starts == sorted(set(starts))
    assert starts[0] == min(counts)
    assert len(starts) <= most
    assert set(starts) <= set(counts)


def test_many_numbers_share_bins_of_about_equal_size() -> None:
    assert count_bins(np.arange(100), 4) == [0, 25, 50, 75]


@pytest.mark.parametrize("starts", [[3, 1], [1, 1], [-1, 2]])
def test_bins_out_of_order_are_refused(starts: list[int]) -> None:
    with pytest.raises(InputError, match="bins: expected ascending numbers from 0"):
        figures_by_objects(COLUMNS, METRICS, starts)
