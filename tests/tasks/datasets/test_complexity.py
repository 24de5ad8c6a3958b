"""The complexity set: which images it has, and that what is drawn is what its configuration says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.errors import InputError
from boxlist.tasks.datasets.complexity import (
    AXES,
    ComplexityOptions,
    Configuration,
    Look,
    base_looks,
    configurations,
    draw,
    place,
    read_counts,
    read_sides,
    vary,
)

if TYPE_CHECKING:
    from boxlist.tasks.datasets.complexity import Variation
    from boxlist.tasks.datasets.shapes import Scene

WHOLE = ComplexityOptions(sample="all")


def looks(scene: Scene) -> list[Look]:
    return [Look(item.shape, item.colour, item.size) for item in scene.objects]


def test_the_whole_set_has_the_papers_size() -> None:
    found = list(configurations(WHOLE))
    assert len(found) == len(set(found)) == 8220
    assert {each.objects for each in found} == set(read_counts(WHOLE.counts))
    assert (min(each.objects for each in found), max(each.objects for each in found)) == (1, 200)
    assert Counter(each.base for each in found) == dict.fromkeys(range(20), 411)
    assert Counter(each.variation for each in found if each.objects == 1) == {"none": 20}
    assert set(Counter(each.variation for each in found if each.objects == 44).values()) == {20}


def test_the_other_way_to_the_papers_size() -> None:
    """Eleven counts with ten images of each variation: 20 * (1 + 10 * (1 + 4 * 10))."""
    other = replace(WHOLE, counts="1 2 5 10 20 30 50 75 100 150 200", varied_images=10)
    assert len(set(configurations(other))) == 8220


def test_the_first_images_have_each_count_once() -> None:
    counts = read_counts(WHOLE.counts)
    first = [each.objects for each in configurations(WHOLE)][: len(counts)]
    assert first == list(counts)


def test_the_sample_is_balanced_and_part_of_the_whole() -> None:
    sample = list(configurations(ComplexityOptions()))
    assert set(sample) <= set(configurations(WHOLE))
    assert len(set(sample)) == len(sample) == 64
    assert set(Counter(each.objects for each in sample).values()) == {4}
    assert Counter(each.variation for each in sample) == {"none": 16, "shape": 12, "color": 12, "size": 12, "mixed": 12}
    assert {each.base for each in sample} == set(range(20))


@pytest.mark.parametrize("text", ["", "0", "1-", "5-3", "1-2000", "a", "1,2"])
def test_counts_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="counts: expected numbers and ranges from 1 to 1000"):
        read_counts(text)


def test_a_sample_of_more_images_than_bases_is_refused() -> None:
    with pytest.raises(InputError, match=r"sample_images: expected 1 to 20.*got 21"):
        list(configurations(ComplexityOptions(sample_images=21)))


@pytest.mark.parametrize(("name", "value"), [("bases", 0), ("bases", 151), ("gap_px", -1), ("varied_images", 0)])
def test_options_out_of_bounds_are_refused(name: str, value: int) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(InputError, match=f"{name}: expected [0-9]+ to [0-9]+, got {value}"):
        replace(WHOLE, **options)


@pytest.mark.parametrize("text", ["20 30", "20 30 3", "20 30 x"])
def test_sides_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="sides_px: expected three numbers of pixels from 4"):
        read_sides(text)


def test_bases_are_different_and_follow_from_the_seed() -> None:
    assert len(set(base_looks(WHOLE))) == 20
    assert base_looks(WHOLE) == base_looks(ComplexityOptions())
    assert base_looks(WHOLE) != base_looks(replace(WHOLE, seed=1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200), st.sampled_from(["none", "shape", "color", "size"]))
def test_one_axis_is_varied_at_a_time(seed: int, count: int, axis: Variation) -> None:
    base = Look("star", "cyan", "small")
    found = vary(np.random.default_rng(seed), base, count, axis)
    assert len(found) == count
    for name in AXES:
        values = {getattr(look, name) for look in found}
        assert getattr(base, name) in values
        assert values <= set(AXES[name])
        assert (len(values) > 1) == (name == axis and count > 1)


def test_a_mixture_varies_all_three() -> None:
    found = vary(np.random.default_rng(0), Look("star", "cyan", "small"), 5, "mixed")
    assert all(len({getattr(look, name) for look in found}) > 1 for name in AXES)


@pytest.mark.parametrize("count", [1, 2, 60, 200])
def test_objects_keep_apart_and_inside(count: int) -> None:
    """The fullest picture there is: all objects large."""
    bases = [Look("square", "red", "large")]
    scene = draw(Configuration(0, count, "none", 0), WHOLE, bases)
    assert looks(scene) == bases * count
    boxes = np.array([item.box_xyxy_px for item in scene.objects])
    assert (boxes[:, 2:] - boxes[:, :2] == 42).all()
    assert boxes.min() >= 1
    assert boxes.max() <= 999
    gap = np.maximum(boxes[:, None, :2] - boxes[None, :, 2:], boxes[None, :, :2] - boxes[:, None, 2:]).max(-1)
    assert (gap[~np.eye(count, dtype=bool)] >= WHOLE.gap_px).all()


def test_a_scene_depends_on_its_configuration_alone() -> None:
    bases = base_looks(WHOLE)
    wanted = Configuration(3, 36, "mixed", 0)
    first = draw(wanted, WHOLE, bases)
    draw(Configuration(4, 36, "mixed", 0), WHOLE, bases)
    assert draw(wanted, ComplexityOptions(), bases) == first
    assert draw(wanted, replace(WHOLE, seed=1), bases) != first


def test_the_last_free_places_are_found() -> None:
    """Beside a square of 600 a bar of the picture's width has at most 7 of 609 places, which random draws miss."""
    found = [place(np.random.default_rng(seed), [(290, 898), (600, 600)], 900, 2) for seed in range(6)]
    boxes = [each for each in found if each is not None]
    assert len(boxes) >= 2
    for bar, square in boxes:
        assert (bar[2] - bar[0], bar[3] - bar[1]) == (898, 290)
        assert max(bar[1] - square[3], square[1] - bar[3]) >= 2


def test_what_does_not_fit_is_refused() -> None:
    options = replace(WHOLE, side_px=100)
    with pytest.raises(InputError, match=r"room for them in 100x100 pixels, got none\. Choose smaller sides_px"):
        draw(Configuration(0, 50, "none", 0), options, [Look("square", "red", "large")])
