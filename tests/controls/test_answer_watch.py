"""Stop strings and repeat-stop together equal cutting the whole text, then replaying."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxlist.controls.answer_watch import AnswerWatch, first_cut
from boxlist.controls.list_watch import replay
from boxlist.controls.table import Controls
from boxlist.protocols import PROTOCOLS

NORM1000 = PROTOCOLS["norm1000_xyxy"]
A = '{"bbox_2d": [1, 2, 3, 4], "label": "a"}'
B = '{"bbox_2d": [5, 6, 7, 8], "label": "b"}'


@pytest.mark.parametrize(
    ("until", "repeat_stop", "raw", "text", "ending"),
    [
        ([], False, f"[{A}, {A}]", f"[{A}, {A}]", None),
        ([], True, f"[{A}, {A}]", f"[{A}]", "repeat_stop"),
        (["\n\n"], False, "one\n\ntwo", "one", "until"),
        (["\n\n", "e"], False, "one\n\ntwo", "on", "until"),  # the one that is complete first
        (["abc", "b"], False, "xabcx", "xa", "until"),  # "b" is complete before "abc"
        (["\n\n"], True, f"[{A}]\n\n[{A}]", f"[{A}]", "until"),  # the repeat lies behind the stop string
        (["\n\n"], True, f"[{A}, {A}]\n\n", f"[{A}]", "repeat_stop"),  # and here before it
        (['}\n\n'], True, f"[{A}, {A}\n\n]", f"[{A}, {A[:-1]}", "until"),  # the stop string undoes the repeat
        (["\n\n"], True, f"[{A}, {A}", f"[{A}]", "repeat_stop"),  # held back until the end
        ([""], False, "text", "text", None),  # an empty stop string is none
    ],
)  # fmt: skip
def test_watch(until: list[str], repeat_stop: bool, raw: str, text: str, ending: str | None) -> None:
    for step in (1, 3, len(raw)):
        watch = AnswerWatch(NORM1000, until, Controls(repeat_stop=repeat_stop))
        for start in range(0, len(raw), step):
            watch.feed(raw[start : start + step])
        watch.finish()
        assert (watch.text(), watch.ending) == (text, ending)


parts = st.lists(st.sampled_from([A, B, ", ", "[", "]", "\n", "\n\n", "ab", "b", "}"]), max_size=12).map("".join)


@given(parts, st.lists(st.sampled_from(["\n\n", "b", "ab", "}, ", "]\n", ""]), max_size=3), st.booleans(), st.data())
def test_watch_equals_cut_then_replay(raw: str, until: list[str], repeat_stop: bool, data: st.DataObject) -> None:
    watch = AnswerWatch(NORM1000, until, Controls(repeat_stop=repeat_stop))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=20)))
    for start, end in pairwise([0, *cuts, len(raw)]):
        watch.feed(raw[start:end])
    watch.finish()
    cut = first_cut(raw, [stop for stop in until if stop])
    kept = raw[:cut]
    stopped = replay(kept, NORM1000)
    if repeat_stop and stopped.triggered:
        assert (watch.text(), watch.ending) == (stopped.text, "repeat_stop")
    else:
        assert (watch.text(), watch.ending) == (kept, None if cut is None else "until")
