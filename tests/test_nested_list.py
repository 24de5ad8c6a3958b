"""Nested JSON lists: real kinds of answers, what depends on the text alone, bounds, and an oracle in `json` itself."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxlist.controls.list_watch import ListWatch, replay
from boxlist.controls.table import Controls, parse_controls
from boxlist.errors import InputError
from boxlist.protocols import protocol_named
from boxlist.records import Record
from boxlist.scanner import MAX_RECORD_CHARS, MAX_RETAINED, Answer, RecordScanner, close_list, read_answer

NESTED = protocol_named("norm1000_xyxy+nested")
RED = '{"label": "red", "bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]]}'
REDS = [Record("red", (1, 2, 3, 4)), Record("red", (5, 6, 7, 8))]
TREE = '{"label": "tree", "bbox_2d": [[9, 9, 10, 10]]}'
OF_TREE = Record("tree", (9, 9, 10, 10))

ANSWERS = [
    ("", "empty", []),
    (" \n", "empty", []),
    ("```json\n```", "empty", []),
    ("[]", "valid", []),
    ("```json\n[]\n```", "valid", []),
    (f"[{RED}, {TREE}]", "valid", [*REDS, OF_TREE]),
    (f"\n```json\n[{RED},{TREE}]\n```\n", "valid", [*REDS, OF_TREE]),
    (f"```json\n[{RED}]", "truncated", REDS),  # the fence stays open
    (f"[{RED}]```", "malformed", REDS),  # it was never opened
    ('[{"label": "red", "bbox_2d": []}]', "valid", []),  # a label without boxes
    ('[{"category": "red", "box": [[1, 2, 3, 4]], "sure": true}]', "valid", [REDS[0]]),  # the other keys, another field
    ('[{"label": "r\\u00e9d", "bbox_2d": [[1, 2, 3, 4.5]]}]', "valid", [Record("réd", (1, 2, 3, 4.5))]),
    ('[{"label": "red", "bbox_2d": [[1, 2, 3, 4], [5, 6', "truncated", [REDS[0]]),
    (f"[{RED}", "truncated", REDS),
    (f"Here they are: [{RED}]", "malformed", REDS),  # prose before it
    (f"[{RED}] and that is all", "malformed", REDS),
    (f"{RED}", "malformed", REDS),  # no list around it
    (f"[{RED} {TREE}]", "malformed", [*REDS, OF_TREE]),  # no comma
    ('[{"label": "red", "bbox_2d": [1, 2, 3, 4]}]', "malformed", []),  # flat, which is another format
    ('[{"bbox_2d": [[1, 2, 3, 4]], "label": "red"}]', "malformed", []),  # the label too late for its boxes
    ('[{"label": "red", "bbox_2d": [[1, 2, 3], [5, 6, 7, 8]]}]', "malformed", [REDS[1]]),  # a box of three numbers
    ('[{"label": "red", "bbox_2d": [[1, 2, 3, NaN], [5, 6, 7, 8]]}]', "malformed", [REDS[1]]),
    ('[{"label": "red", "bbox_2d": [[1, 2, 3, 1e999], [5, 6, 7, 8]]}]', "malformed", [REDS[1]]),
    ('[{"label": "red", "bbox_2d": [[1, 2, 3, true], [5, 6, 7, 8]]}]', "malformed", [REDS[1]]),
    ('[{"label": 7, "bbox_2d": [[1, 2, 3, 4]]}]', "malformed", []),
    ('[{"label": "red", "label": "blue", "bbox_2d": [[1, 2, 3, 4]]}]', "malformed", []),  # which of the two?
    ('[{"label": "red"}]', "malformed", []),
    (f'[{{"label": "blue, "bbox_2d": [[1, 1, 2, 2]]}}, {TREE}]', "malformed", [OF_TREE]),  # a lost quote
    (f"[{{{RED}]", "malformed", REDS),  # a doubled brace
    ('[{"label": "red", "why": {"a": 1}, "bbox_2d": [[1, 2, 3, 4]]}]', "malformed", []),  # a field with more in it
]


def scan(pieces: list[str]) -> tuple[list[Record], str]:
    scanner = RecordScanner(NESTED)
    found = [one for piece in pieces for one in scanner.feed(piece)]
    text = "".join(pieces)
    assert all(text[one.end - 1] == "]" for one in found)
    assert scanner.rest() == []
    return [one.record for one in found], scanner.finish()


@pytest.mark.parametrize(("text", "status", "records"), ANSWERS)
def test_answer_of_the_table(text: str, status: str, records: list[Record]) -> None:
    assert scan(list(text)) == scan([text]) == (records, status)
    assert read_answer(text, NESTED) == Answer(status, tuple(records))  # type: ignore[arg-type]


_PARTS = [
    *(RED, TREE, '{"label": "red", "bbox_2d": [[', '{"label": "[[", "bbox_2d": [[1, 2, 3, 4]]}', "[1, 2, 3, 4]"),
    *("[", "]", "{", "}", '"', "\\", ",", ":", " ", "1", "```", "```json\n", "prose", '"label"', '"box"', "[["),
]
TEXTS = st.lists(st.sampled_from(_PARTS) | st.text(max_size=4), max_size=12).map("".join)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, more=TEXTS, data=st.data())
def test_records_and_status_depend_on_the_text_alone(text: str, more: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    records, status = scan([text[a:b] for a, b in pairwise([0, *cuts, len(text)])])
    assert scan([text]) == (records, status)
    assert (status == "valid") == (boxes_by_json(text) is not None)
    if status == "valid":
        assert records == boxes_by_json(text)
    assert scan([text + more])[0][: len(records)] == records


def boxes_by_json(text: str) -> list[Record] | None:
    """The records of a valid answer by the format's words, with nothing but `json`; None if it is not valid."""
    fenced = re.fullmatch(r"\s*```[\w+-]*\s*(.*)\s*```\s*", text, re.DOTALL)
    try:
        value = json.loads((fenced[1] if fenced else text).strip(), object_pairs_hook=list)
    except ValueError:
        return None
    if not isinstance(value, list) or not all(isinstance(element, list) for element in value):
        return None
    records: list[Record] = []
    for element in value:
        found = _records_of(element)
        if found is None:
            return None
        records += found
    return records


def _records_of(pairs: list[Any]) -> list[Record] | None:
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
        return None
    keys = [key for key, _ in pairs]
    labels = [key for key in keys if key in NESTED.label_keys]
    boxes = [key for key in keys if key in NESTED.coordinate_keys]
    if len(labels) != 1 or len(boxes) != 1 or keys.index(labels[0]) > keys.index(boxes[0]):
        return None
    given = dict(pairs)
    single = all(not isinstance(value, list) for key, value in pairs if key != boxes[0])
    if not single or not isinstance(given[labels[0]], str) or not isinstance(given[boxes[0]], list):
        return None
    if not all(isinstance(box, list) and len(box) == 4 for box in given[boxes[0]]):
        return None
    if not all(type(number) in {int, float} for box in given[boxes[0]] for number in box):
        return None
    return [Record(given[labels[0]], tuple(box)) for box in given[boxes[0]]]


LABELS = st.text(max_size=8)
BOXES = st.lists(st.integers(-99, 9999) | st.floats(-1e9, 1e9), min_size=4, max_size=4).map(tuple)


@given(st.lists(st.builds(Record, LABELS, BOXES), max_size=6))
def test_a_written_list_is_read_back_label_by_label(records: list[Record]) -> None:
    answer = read_answer(NESTED.write(records), NESTED)
    labels = list(dict.fromkeys(record.label for record in records))
    assert answer.status == "valid"
    assert list(answer.records) == sorted(records, key=lambda record: labels.index(record.label))


@settings(deadline=None)
@example(text='[{"label": "```", "bbox_2d": [[1, 2, 3, 4]]}]')
@given(text=TEXTS)
def test_a_list_closed_after_a_record_keeps_its_records(text: str) -> None:
    scanner = RecordScanner(NESTED)
    found = scanner.feed(text)
    for place, one in enumerate(found, start=1):
        closed = close_list(text, one.end, NESTED)
        kept = read_answer(closed, NESTED)
        assert list(kept.records) == [other.record for other in found[:place]]
        assert kept.status == "valid" or scanner.finish() != "valid"


@pytest.mark.parametrize("unit", ["[{", '{"a":', '{"', '["', "{[", "\\", '\\"', "}", "]", "```", " ", RED[:30], "1"])
def test_a_megabyte_of_anything_is_bounded_in_memory(unit: str) -> None:
    scanner = RecordScanner(NESTED)
    text = unit * (1_000_000 // len(unit))
    for start in range(0, len(text), 4096):
        assert scanner.feed(text[start : start + 4096]) == []
        assert scanner.retained <= MAX_RETAINED
    assert scanner.finish() in {"truncated", "malformed", "empty"}


@pytest.mark.parametrize("opening", ['[{"label": "', "[{", '[{"label": "red", "bbox_2d": [[1, 2, 3, '])
def test_what_never_ends_is_not_kept(opening: str) -> None:
    scanner = RecordScanner(NESTED)
    scanner.feed(opening)
    for _ in range(100):
        scanner.feed("1" * 1000)
        assert scanner.retained <= MAX_RETAINED
    assert [one.record for one in scanner.feed(f'"}}, {TREE}')] in ([], [OF_TREE])


def test_a_long_label_and_a_long_gap_make_an_answer_malformed() -> None:
    for text in (RED.replace("red", "r" * MAX_RECORD_CHARS), RED + " " * MAX_RECORD_CHARS):
        assert read_answer(f"[{text}]", NESTED).status == "malformed"
    assert read_answer(" " * MAX_RECORD_CHARS + f"[{RED}]", NESTED) == Answer("valid", tuple(REDS))


LOOP = '[{"label": "red", "bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]' + ", [1, 2, 3, 4]" * 40


def test_a_list_of_boxes_that_never_ends_is_stopped() -> None:
    assert replay(LOOP, NESTED).text == f"[{RED}]"
    assert replay(f"```json\n{LOOP}", NESTED).text == f"```json\n[{RED}]\n```"
    assert replay(LOOP, NESTED, parse_controls("max_items=1")).text == '[{"label": "red", "bbox_2d": [[1, 2, 3, 4]]}]'
    assert replay(f"[{RED}, {RED}]", NESTED).text == f"[{RED}]"


@given(st.lists(st.integers(0, len(LOOP)), max_size=10).map(sorted))
def test_watching_in_pieces_gives_the_replay(cuts: list[int]) -> None:
    watch = ListWatch(NESTED, Controls(repeat_stop=True))
    for start, end in pairwise([0, *cuts, len(LOOP)]):
        watch.feed(LOOP[start:end])
    watch.finish()
    assert (watch.text(), watch.stopped_by) == replay(LOOP, NESTED)


@pytest.mark.parametrize("name", ["norm1000_xyxy+nested", "norm1000_xyxy+plain+nested"])
def test_a_record_without_a_text_of_its_own_cannot_be_skipped(name: str) -> None:
    message = (
        f"control repeat_skip: expected a protocol with a label beside each box, got {name}. "
        "Use repeat_stop, or a protocol that is not nested."
    )
    with pytest.raises(InputError, match=re.escape(message)):
        ListWatch(protocol_named(name), Controls(repeat_skip=True))
