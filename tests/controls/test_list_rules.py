"""What each rule makes of a list, worked out by hand; and that it is the same while the text is written."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.controls.list_watch import ListWatch, replay
from boxlist.controls.table import Controls, parse_controls
from boxlist.protocols import PROTOCOLS
from boxlist.records import Record
from boxlist.scanner import read_answer

NORM1000 = PROTOCOLS["norm1000_xyxy"]
A, B, C = ((10, 10, 50, 50), (200, 0, 300, 90), (0, 500, 90, 700))
A_NEAR = (10, 10, 50, 49)  # IoU 0.975 with A
DRIFT = [(x, 40, x + 121, 90) for x in range(81, 900, 121)]


def written(*boxes: tuple[int, ...], label: str = "tree") -> str:
    return NORM1000.write([Record(label, box) for box in boxes])


def ended(controls: str, text: str) -> tuple[str, str | None]:
    return replay(text, NORM1000, parse_controls(controls))


@pytest.mark.parametrize(
    ("controls", "given_boxes", "kept", "by"),
    [
        ("repeat_limit=1", [A, B, A, C], [A, B], "repeat_limit"),  # the same as repeat_stop
        ("repeat_limit=2", [A, B, A, C, B, C], [A, B, A, C], "repeat_limit"),  # one repeat is let pass
        ("repeat_limit=3", [A, A, A, A, B], [A, A, A], "repeat_limit"),  # the third repeat is the fourth copy
        ("repeat_limit=2", [A, B, A], [A, B, A], None),
        ("stale_stop=2", [A, B, A, B, C], [A, B], "stale_stop"),  # two in a row go, both
        ("stale_stop=2", [A, B, A, C, B], [A, B, A, C, B], None),  # something new came between
        ("stale_stop=3", [A, A, A, B], [A, A, A, B], None),
        ("stale_stop=3", [A, A, A, A, B], [A], "stale_stop"),
        ("near_repeat_stop=0.9", [A, B, A_NEAR, C], [A, B], "near_repeat_stop"),
        ("near_repeat_stop=0.98", [A, B, A_NEAR, C], [A, B, A_NEAR, C], None),
        ("near_repeat_stop=1", [A, B, A], [A, B], "near_repeat_stop"),  # an exact copy is one too
        ("near_repeat_stop=0.5", [(9, 9, 9, 9), (9, 9, 9, 9)], [(9, 9, 9, 9)] * 2, None),  # no area, no overlap
        ("drift_stop=4", [A, *DRIFT], [A, *DRIFT[:2]], "drift_stop"),
        ("drift_stop=8", [*DRIFT[:7], A], [*DRIFT[:7], A], None),  # the row ended in time: all of it stays
        ("drift_stop=3", [A, A, A, A], [A, A, A, A], None),  # a step of nothing is a repeat
        ("drift_stop=3", [(0, 0, 9, 9), (30, 0, 39, 9), (61, 0, 70, 9)], [(0, 0, 9, 9), (30, 0, 39, 9)], "drift_stop"),
        ("max_items=2", [A, B, C, A], [A, B], "max_items"),
        ("max_items=3", [A, B, C], [A, B, C], None),
        ("repeat_skip", [A, B, A, A, C, B], [A, B, C], None),
        ("repeat_skip,max_items=4", [A, A, A, B, C], [A, B], "max_items"),  # what is dropped counts as written
        ("repeat_stop,max_items=1", [A, B, A], [A], "max_items"),
        ("repeat_skip,stale_stop=2", [A, B, A, C, A, B], [A, B, C], "stale_stop"),
    ],
)
def test_by_hand(
    controls: str, given_boxes: list[tuple[int, ...]], kept: list[tuple[int, ...]], by: str | None
) -> None:
    assert ended(controls, written(*given_boxes)) == (written(*kept), by)


def test_a_list_that_never_closes_is_closed_where_it_is_ended() -> None:
    text = written(A, B, A)[:-1] + ", "
    assert ended("repeat_stop", text) == (written(A, B), "repeat_stop")
    assert ended("repeat_skip", text) == (written(A, B)[:-1] + ", ", None)


def test_labels_tell_objects_apart() -> None:
    """The same box under another label is neither a near-repeat nor part of a drift."""
    text = NORM1000.write([Record(f"tree {place % 2}", DRIFT[place]) for place in range(6)])
    assert ended("drift_stop=3", text) == (text, None)
    text = NORM1000.write([Record("tree", A), Record("bush", A)])
    assert ended("near_repeat_stop=0.5", text) == (text, None)
    assert ended("near_repeat_stop=0.5", text.replace("bush", "  TREE"))[1] == "near_repeat_stop"


@pytest.mark.parametrize("protocol", ["norm1_xyxy", "norm1000_yxyx", "norm1000_cxcywh", "loc1024_yxyx"])
def test_boxes_are_compared_in_any_protocol(protocol: str) -> None:
    row = PROTOCOLS[protocol]
    numbers = row.round(row.from_xyxy_px([A, B, A_NEAR], (1000, 1000))).tolist()
    text = row.write([Record("tree", tuple(box)) for box in numbers])
    stopped = replay(text, row, Controls(near_repeat_stop=0.9))
    assert stopped.by == "near_repeat_stop"
    assert [record.coordinates for record in read_answer(stopped.text, row).records] == [
        tuple(box) for box in numbers[:2]
    ]


def test_a_hostile_list_takes_no_quadratic_memory() -> None:
    boxes = [(place, 0, place + 1, 1) for place in range(3000)]
    assert ended("near_repeat_stop=0.9", written(*boxes))[1] is None


controls = st.builds(
    Controls,
    repeat_stop=st.booleans(),
    repeat_limit=st.none() | st.integers(1, 3),
    stale_stop=st.none() | st.integers(1, 3),
    near_repeat_stop=st.none() | st.sampled_from([0.5, 0.9]),
    drift_stop=st.none() | st.integers(3, 5),
    max_items=st.none() | st.integers(1, 6),
    repeat_skip=st.booleans(),
)
lists = st.lists(st.sampled_from([A, B, C, A_NEAR, *DRIFT[:4]]), max_size=9)


@given(controls, lists, st.data())
def test_pieces_do_not_matter(rules: Controls, boxes: list[tuple[int, ...]], data: st.DataObject) -> None:
    raw = written(*boxes)
    watch = ListWatch(NORM1000, rules)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=20)))
    for start, end in pairwise([0, *cuts, len(raw)]):
        watch.feed(raw[start:end])
    watch.finish()
    assert (watch.text(), watch.stopped_by) == replay(raw, NORM1000, rules)


@given(controls, lists)
def test_what_stays_is_a_valid_list_of_the_raw_records_in_order(rules: Controls, boxes: list[tuple[int, ...]]) -> None:
    raw = written(*boxes)
    answer = read_answer(replay(raw, NORM1000, rules).text, NORM1000)
    assert answer.status == "valid"
    left = iter(read_answer(raw, NORM1000).records)
    assert all(record in left for record in answer.records)
    keys = [record.key for record in answer.records]
    if rules.repeat_stop or rules.repeat_skip:
        assert len(set(keys)) == len(keys)
    if rules.max_items:
        assert len(keys) <= rules.max_items
