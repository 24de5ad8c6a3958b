"""Repeat-stop on text alone: what fires, where it cuts, and that pieces do not matter."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.controls.list_watch import REPEAT_STOP, ListWatch, replay
from boxlist.protocols import PROTOCOLS
from boxlist.scanner import read_answer

NORM1000 = PROTOCOLS["norm1000_xyxy"]
A = '{"bbox_2d": [1, 2, 3, 4], "label": "red circle"}'
B = '{"bbox_2d": [5, 6, 7, 8], "label": "blue star"}'
SAME_A = '{"label":"Red\\n Circle","bbox_2d":[1.0,2,3e0,4],"score":0.5}'  # another way to write A
NEAR_A = '{"bbox_2d": [1, 2, 3, 5], "label": "red circle"}'


@pytest.mark.parametrize(
    ("raw", "stopped"),
    [
        (f"[{A}, {A}]", f"[{A}]"),  # repeats at once
        (f"[{A}, {B}, {A}, {B}]", f"[{A}, {B}]"),  # repeats later; the tail goes
        (f"[{A}, {B}, {A}, {B}", f"[{A}, {B}]"),  # a loop cut by the token limit ends parse-valid
        (f"[{A}, {SAME_A}]", f"[{A}]"),  # normalised forms are compared
        (f"```json\n[{A}, {A}]\n```", f"```json\n[{A}]\n```"),  # an open fence is closed too
        (f"Here: [{A},\n  {A}, {B}] Done.", f"Here: [{A}]"),  # prose before stays, what follows goes
        (f"[{B},{A} , {A}", f"[{B},{A}]"),  # the cut is right behind the last kept record
    ],
)
def test_fires(raw: str, stopped: str) -> None:
    assert replay(raw, NORM1000) == (stopped, "repeat_stop")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "[]",
        f"[{A}, {B}, {NEAR_A}]",  # near-duplicates are not repeats
        f"[{A}, {A[:-1]}",  # the repeat never closes
        '{"count": 2, "relation": "left"} {"count": 2, "relation": "left"}',  # not records
        "brobrobro" * 50,
    ],
)
def test_leaves_alone(raw: str) -> None:
    assert replay(raw, NORM1000) == (raw, None)


def test_the_repeat_at_the_end_of_a_loc_list_counts() -> None:
    record = "<loc0001><loc0002><loc0003><loc0004> tree"
    stopped = replay(f"{record} ; {record}", PROTOCOLS["loc1024_yxyx"])
    assert stopped.triggered
    assert (
        read_answer(stopped.text, PROTOCOLS["loc1024_yxyx"]).records
        == read_answer(record, PROTOCOLS["loc1024_yxyx"]).records
    )


records = st.sampled_from([A, B, SAME_A, NEAR_A])
glue = st.sampled_from([", ", ",", " , ", ",\n", "", " and ", "], ["])
texts = st.tuples(
    st.sampled_from(["[", "```json\n[", "Sure: [", "", "{"]),
    st.lists(st.tuples(records, glue), max_size=8).map(lambda parts: "".join(a + b for a, b in parts)),
    st.sampled_from(["]", "]\n```", "", "}", "] ok"]),
).map("".join)


@given(texts, st.data())
def test_pieces_do_not_matter(raw: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=30)))
    stop = ListWatch(NORM1000, REPEAT_STOP)
    fired = [stop.feed(raw[start:end]) for start, end in pairwise([0, *cuts, len(raw)])]
    assert fired == sorted(fired), "it fires once and stays fired"
    assert stop.finish() == fired[-1] or stop.stopped_by is not None
    assert (stop.text(), stop.stopped_by) == replay(raw, NORM1000)


@given(texts)
def test_the_kept_records_are_those_before_the_first_repeat(raw: str) -> None:
    before = read_answer(raw, NORM1000).records
    keys = [record.key for record in before]
    first_repeat = next((i for i, key in enumerate(keys) if key in keys[:i]), None)
    stopped = replay(raw, NORM1000)
    assert stopped.triggered == (first_repeat is not None)
    assert read_answer(stopped.text, NORM1000).records == before[:first_repeat]
    assert replay(stopped.text, NORM1000) == (stopped.text, None), "a second pass finds nothing"


@given(st.lists(records, max_size=8))
def test_a_stopped_list_parses(items: list[str]) -> None:
    raw = "[" + ", ".join(items) + "]"
    stopped = replay(raw, NORM1000)
    assert read_answer(stopped.text, NORM1000).status == "valid"
    assert isinstance(json.loads(stopped.text), list)
