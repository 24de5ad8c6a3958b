"""Plain-text lists: real kinds of answers in the three forms, what depends on the text alone, bounds, and controls."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxlist.controls.list_watch import ListWatch, replay
from boxlist.controls.table import Controls, parse_controls
from boxlist.protocols import Protocol, protocol_named
from boxlist.records import Record
from boxlist.scanner import MAX_RECORD_CHARS, MAX_RETAINED, Answer, RecordScanner, close_list, read_answer

BOX_FIRST = protocol_named("norm1000_xyxy+plain")
LABEL_FIRST = protocol_named("norm1000_xyxy+plain+label_first")
NESTED = protocol_named("norm1000_xyxy+plain+nested")
FORMS = (BOX_FIRST, LABEL_FIRST, NESTED)
RED, TREE = Record("red", (1, 2, 3, 4)), Record("tree", (5, 6, 7, 8.5))

ANSWERS = [
    (BOX_FIRST, "", "empty", []),
    (BOX_FIRST, "\n ", "empty", []),
    (BOX_FIRST, "none", "valid", []),
    (BOX_FIRST, "None\n", "valid", []),
    (BOX_FIRST, "[1, 2, 3, 4] red\n[5, 6, 7, 8.5] tree", "valid", [RED, TREE]),
    (BOX_FIRST, "- [1,2,3,4]: red\n\n- [5,6,7,8.5]: tree\n", "valid", [RED, TREE]),  # bullets, colons, an empty line
    (BOX_FIRST, "```\n[1, 2, 3, 4] red\n```", "valid", [RED]),
    (BOX_FIRST, "```text\n[1, 2, 3, 4] red", "truncated", [RED]),  # the fence stays open
    (BOX_FIRST, "[1, 2, 3, 4] red\n[5, 6", "truncated", [RED]),
    (BOX_FIRST, "[1, 2, 3, 4] red\n[5, 6, 7, 8]", "truncated", [RED]),  # a box that waits for its label
    (BOX_FIRST, "[1, 2, 3, 4] red [5, 6, 7, 8.5] tree", "malformed", [RED, TREE]),  # no line end between them
    (BOX_FIRST, "[1, 2, 3, 4]\n[5, 6, 7, 8.5] tree", "malformed", [TREE]),  # no label
    (BOX_FIRST, "I see [1, 2, 3, 4] red", "malformed", [RED]),
    (BOX_FIRST, "[1, 2, 3] red\n[5, 6, 7, 8.5] tree", "malformed", [TREE]),  # three numbers
    (BOX_FIRST, "[1, 2, 3, NaN] red\n[5, 6, 7, 8.5] tree", "malformed", [TREE]),
    (BOX_FIRST, "[1, 2, 3, 1e999] red\n[5, 6, 7, 8.5] tree", "malformed", [TREE]),
    (BOX_FIRST, "none\n[1, 2, 3, 4] red", "malformed", [RED]),
    (BOX_FIRST, "[1, 2, 3, 4] red\nnone", "malformed", [RED]),
    (BOX_FIRST, "none none", "malformed", []),
    (BOX_FIRST, "[1, 2\n3, 4] red", "malformed", []),  # a line end within the box
    (BOX_FIRST, "[1, 2, [1, 2, 3, 4] red", "malformed", [RED]),  # a bracket that never closes
    (LABEL_FIRST, "red: [1, 2, 3, 4]\ntree: [5, 6, 7, 8.5]", "valid", [RED, TREE]),
    (LABEL_FIRST, "* red [1, 2, 3, 4]\n* tree [5, 6, 7, 8.5]\n", "valid", [RED, TREE]),
    (LABEL_FIRST, "red: [1, 2, 3, 4]\ntree: [5, 6", "truncated", [RED]),
    (LABEL_FIRST, "red: [1, 2, 3, 4]\ntre", "truncated", [RED]),
    (LABEL_FIRST, "I see nothing", "malformed", []),
    (LABEL_FIRST, "[1, 2, 3, 4]\ntree: [5, 6, 7, 8.5]", "malformed", [TREE]),  # no label
    (LABEL_FIRST, "red: [1, 2, 3, 4] at the left", "malformed", [RED]),
    (LABEL_FIRST, "red: [1, 2, 3, 4], [5, 6, 7, 8]", "malformed", [RED, Record("red", (5, 6, 7, 8))]),  # nested
    (LABEL_FIRST, "Here they are:\nred: [1, 2, 3, 4]", "malformed", [RED]),
    (LABEL_FIRST, "```\nred: [1, 2, 3, 4]\n```\nDone.", "malformed", [RED]),
    (
        NESTED,
        "red: [1, 2, 3, 4], [5, 6, 7, 8]\ntree: [5, 6, 7, 8.5]",
        "valid",
        [RED, Record("red", (5, 6, 7, 8)), TREE],
    ),
    (NESTED, "red: [1, 2, 3, 4] [5, 6, 7, 8]", "valid", [RED, Record("red", (5, 6, 7, 8))]),
    (NESTED, "red: [1, 2, 3, 4], [5, 6", "truncated", [RED]),
    (NESTED, "red: [1, 2, 3, 4] and [5, 6, 7, 8]", "malformed", [RED, Record("red", (5, 6, 7, 8))]),
]


def scan(pieces: list[str], protocol: Protocol) -> tuple[list[Record], str]:
    scanner = RecordScanner(protocol)
    found = [one for piece in pieces for one in scanner.feed(piece)]
    return [one.record for one in (*found, *scanner.rest())], scanner.finish()


@pytest.mark.parametrize(("protocol", "text", "status", "records"), ANSWERS)
def test_answer_of_the_table(protocol: Protocol, text: str, status: str, records: list[Record]) -> None:
    assert scan(list(text), protocol) == scan([text], protocol) == (records, status)
    assert read_answer(text, protocol) == Answer(status, tuple(records))  # type: ignore[arg-type]


_PARTS = [
    "[1, 2, 3, 4]",
    "red",
    ": ",
    ", ",
    "\n",
    "[",
    "]",
    "```",
    "none",
    "- ",
    " ",
    "1",
    "red: [1, 2, 3, 4]\n",
    "[5,",
]
TEXTS = st.lists(st.sampled_from(_PARTS) | st.text(max_size=3), max_size=12).map("".join)


@settings(deadline=None, max_examples=300)
@given(text=TEXTS, protocol=st.sampled_from(FORMS), data=st.data())
def test_records_and_status_depend_on_the_text_alone(text: str, protocol: Protocol, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in pairwise([0, *cuts, len(text)])]
    assert scan(pieces, protocol) == scan([text], protocol)
    # asking how it stands changes nothing
    asked = RecordScanner(protocol)
    found = []
    for piece in pieces:
        found += asked.feed(piece)
        asked.finish(), asked.rest()
    assert ([one.record for one in (*found, *asked.rest())], asked.finish()) == scan([text], protocol)


LABELS = st.from_regex(r"[a-z0-9]{1,5}( [a-z]{1,4})?", fullmatch=True).filter(lambda label: label != "none")
BOXES = st.lists(st.integers(-99, 9999) | st.floats(-1e9, 1e9), min_size=4, max_size=4).map(tuple)


@given(records=st.lists(st.builds(Record, LABELS, BOXES), max_size=6), protocol=st.sampled_from(FORMS))
def test_a_written_list_is_read_back(records: list[Record], protocol: Protocol) -> None:
    answer = read_answer(protocol.write(records), protocol)
    labels = list(dict.fromkeys(record.label for record in records))
    expected = sorted(records, key=lambda record: labels.index(record.label)) if protocol.nested else records
    assert answer == Answer("valid", tuple(expected))


@settings(deadline=None)
@example(text="```[1, 2, 3, 4]", protocol=LABEL_FIRST)
@example(text="```\n`` ``` a: [1, 2, 3, 4]", protocol=LABEL_FIRST)
@example(text="```\nred: [1, 2, 3, 4]\n", protocol=LABEL_FIRST)
@given(text=TEXTS, protocol=st.sampled_from(FORMS))
def test_a_list_cut_after_a_record_keeps_its_records(text: str, protocol: Protocol) -> None:
    scanner = RecordScanner(protocol)
    found = [*scanner.feed(text), *scanner.rest()]
    for place, one in enumerate(found, start=1):
        kept = read_answer(close_list(text, one.end, protocol), protocol)
        assert list(kept.records)[:place] == [other.record for other in found[:place]]
        assert kept.status == "valid" or scanner.finish() != "valid"


@pytest.mark.parametrize("unit", ["[", "]", "1, ", "x", " ", "\n", "[1, 2, 3, 4]", "x\n", "```\n", "[1\n", ":", "- "])
@pytest.mark.parametrize("protocol", FORMS, ids=lambda protocol: protocol.name)
def test_a_megabyte_of_anything_is_bounded_in_memory(unit: str, protocol: Protocol) -> None:
    scanner = RecordScanner(protocol)
    text = unit * (1_000_000 // len(unit))
    for start in range(0, len(text), 4096):
        assert scanner.feed(text[start : start + 4096]) == []
        assert scanner.retained <= MAX_RETAINED
    assert scanner.finish() in {"truncated", "malformed", "empty"}
    assert scanner.rest() == []


def test_a_long_label_makes_an_answer_malformed() -> None:
    long = "r" * MAX_RECORD_CHARS
    assert read_answer(f"{long}: [1, 2, 3, 4]\ntree: [5, 6, 7, 8.5]", LABEL_FIRST) == Answer("malformed", (TREE,))
    assert read_answer(f"[1, 2, 3, 4] {long}\n[5, 6, 7, 8.5] tree", BOX_FIRST) == Answer("malformed", (TREE,))


@pytest.mark.parametrize(
    ("protocol", "raw", "controls", "text"),
    [
        (BOX_FIRST, "[1, 2, 3, 4] red\n" * 9, "repeat_stop", "[1, 2, 3, 4] red"),
        (BOX_FIRST, "[1, 2, 3, 4] red\n[1, 2, 3, 4] red", "repeat_stop", "[1, 2, 3, 4] red"),  # only the end says so
        (
            BOX_FIRST,
            "[1, 2, 3, 4] a\n[1, 2, 3, 4] a\n[5, 6, 7, 8] b\n",
            "repeat_skip",
            "[1, 2, 3, 4] a\n[5, 6, 7, 8] b\n",
        ),
        (LABEL_FIRST, "red: [1, 2, 3, 4]\n" * 9, "repeat_stop", "red: [1, 2, 3, 4]"),
        (LABEL_FIRST, "```\n" + "red: [1, 2, 3, 4]\n" * 9, "repeat_stop", "```\nred: [1, 2, 3, 4]\n```"),
        (NESTED, "red: [1, 2, 3, 4]" + ", [1, 2, 3, 4]" * 9, "repeat_stop", "red: [1, 2, 3, 4]"),
        (NESTED, "red: [1, 2, 3, 4], [5, 6, 7, 8], [6, 6, 7, 8]", "max_items=2", "red: [1, 2, 3, 4], [5, 6, 7, 8]"),
    ],
)
def test_controls_end_it_where_it_repeats(protocol: Protocol, raw: str, controls: str, text: str) -> None:
    assert replay(raw, protocol, parse_controls(controls)).text == text


@given(st.sampled_from(FORMS), st.data())
def test_watching_in_pieces_gives_the_replay(protocol: Protocol, data: st.DataObject) -> None:
    records = [Record(label, (number, 1, 2, 3)) for label in "ab" for number in data.draw(st.lists(st.integers(0, 2)))]
    raw = protocol.write(records)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    watch = ListWatch(protocol, Controls(repeat_stop=True))
    for start, end in pairwise([0, *cuts, len(raw)]):
        watch.feed(raw[start:end])
    watch.finish()
    assert (watch.text(), watch.stopped_by) == replay(raw, protocol)
    kept = [record.key for record in read_answer(watch.text(), protocol).records]
    assert kept == list(dict.fromkeys(kept))
