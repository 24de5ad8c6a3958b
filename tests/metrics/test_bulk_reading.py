"""Reading in bulk gives what the scanner gives, answer by answer, for any text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxlist.metrics.bulk_reading import LabelNumbers, read_answers
from boxlist.metrics.canonical_lists import MAX_CHARS, read_canonical
from boxlist.protocols import PROTOCOLS, protocol_named
from boxlist.records import Record, normalise_label
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from collections.abc import Sequence

PIXELS = protocol_named("pixel_xyxy")
RECORD = '{"bbox_2d": [1, 20, 300, 4000], "label": "red circle"}'
CANONICAL = [
    f"[{RECORD}]",
    f"[{RECORD}, {RECORD}]",
    '[{"bbox_2d": [0, 0, 0, 0], "label": ""}]',
    '[{"bbox_2d": [-1, 20, -0, 123456], "label": "a"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "a label of thirty-two bytes, huh"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "café 食べ物 🌲"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "a}, {b: [1]"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "lone \ud800"}]',
]
# near misses, each for another reason; what they are is the scanner's business
OTHERS = [
    "",
    " \n",
    "[]",
    "```json\n[]\n```",
    f" [{RECORD}]",
    f"```json\n[{RECORD}]\n```",
    f"[{RECORD},{RECORD}]",
    f"[{RECORD}; {RECORD}]",
    f"[{RECORD}, {RECORD}",
    f"[{RECORD}, {RECORD[:30]}",
    f"[{RECORD}, {RECORD[:40]}",
    f"[{RECORD}, ",
    f"[{RECORD}] and that is all",
    f"[{RECORD}]]",
    f"[{RECORD}]\n",
    f"[{RECORD}, [{RECORD}]",
    f"[{RECORD}] [{RECORD}]",
    f"[{RECORD}}}]",
    '[{"label": "x", "bbox_2d": [1, 2, 3, 4]}]',
    '[{"bbox": [1, 2, 3, 4], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 4, 5], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 04], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, -04], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, -], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, --4], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 4.5], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 4e2], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 1234567], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 1' + "0" * 400 + '], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 1' + "0" * 200 + '], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, NaN], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, ٤], "label": "x"}]',
    '[{"bbox_2d": [1,2,3,4], "label": "x"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "tab\there"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "null\0here"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "quote \\" here"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "' + "long" * 20 + '"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x", "score": "1"}]',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x"}, {"bbox_2d": [1, 2, 3, 4], "label": "a[b',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "[{"}, {"bbox_2d": [1, 2, 3, 4], "label": "a',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "]"}, ] ',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x"}' + "[" * 50,
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x"}' + "{" * 50,
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x"} \\ ] ',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x"}, "]" ',
    '[{"bbox_2d": [1, 2, 3, 4], "label": "x"}' + " " * 20_000,
    "[" + ", ".join([RECORD] * 500) + "]",  # more than MAX_CHARS
]


def assert_same(texts: Sequence[str], protocol_name: str = "pixel_xyxy") -> None:
    protocol = protocol_named(protocol_name)
    numbers = LabelNumbers()
    read = read_answers(texts, protocol, numbers)
    expected = [read_answer(text, protocol) for text in texts]
    assert read.statuses == [answer.status for answer in expected]
    assert read.counts.tolist() == [len(answer.records) for answer in expected]
    records = [record for answer in expected for record in answer.records]
    assert read.labels.tolist() == [numbers[record.label] for record in records]
    wanted = np.array([[float(c) for c in record.coordinates] for record in records]).reshape(-1, 4)
    np.testing.assert_array_equal(read.coordinates, wanted)


@pytest.mark.parametrize("text", CANONICAL + OTHERS)
def test_one_answer(text: str) -> None:
    assert_same([text])


@pytest.mark.parametrize("protocol", [name for name, row in PROTOCOLS.items() if row.n_coordinates == 4])
def test_every_box_protocol_reads_what_it_writes(protocol: str) -> None:
    records = [Record("red circle", (1, 2, 30, 400)), Record("x", (0, 0, 1, 1))]
    text = protocol_named(protocol).write(records)
    assert_same([text, text[:-9], ""], protocol)


def test_answers_do_not_spoil_each_other() -> None:
    texts = [text for pair in zip(CANONICAL * 8, OTHERS, strict=False) for text in pair]
    assert_same(texts)
    assert_same(texts[::-1])


def test_what_is_canonical_is_read_at_once() -> None:
    """Otherwise all of this would only be slow. `[]` has no quotes to go by."""
    plain = read_canonical(CANONICAL + OTHERS, PIXELS, LabelNumbers().__getitem__)
    assert plain.readable.tolist() == [True] * len(CANONICAL) + [False] * len(OTHERS)


def test_no_answers() -> None:
    assert_same([])


def test_long_answers_are_left_to_the_scanner() -> None:
    text = "[" + ", ".join([RECORD] * (MAX_CHARS // len(RECORD) + 1)) + "]"
    assert not read_canonical([text], PIXELS, LabelNumbers().__getitem__).readable[0]
    assert_same([text])


def test_labels_are_numbered_as_they_are_normalised() -> None:
    numbers = LabelNumbers()
    texts = [PIXELS.write([Record(label, (1, 2, 3, 4))]) for label in ("Red  Circle", "red circle", "RED CIRCLE ", "b")]
    labels = read_answers(texts, PIXELS, numbers).labels.tolist()
    assert labels[0] == labels[1] == labels[2] != labels[3]
    assert numbers["red\tcircle"] == labels[0]
    assert normalise_label("RED CIRCLE ") == "red circle"


plain_record = st.builds(
    lambda box, label: json.dumps({"bbox_2d": box, "label": label}, ensure_ascii=False),
    st.lists(st.integers(-20, 10**8) | st.floats(-10, 10), min_size=3, max_size=5),
    st.text(alphabet='ab "\\[]{},é🌲\t', max_size=12),
)


@st.composite
def damaged_answers(draw: st.DrawFn) -> str:
    """A list of records, usually whole, else cut, or with some piece of it replaced."""
    text = "[" + ", ".join(draw(st.lists(plain_record | st.just(RECORD), max_size=4))) + "]"
    kind = draw(st.integers(0, 3))
    if kind == 1:
        text = text[: draw(st.integers(0, len(text)))]
    if kind >= 2 and text:
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 4)))
        text = text[:start] + draw(st.text(alphabet='{}[]",: 1\\`-x\n', max_size=4)) + text[end:]
    if kind == 3:
        text = text[: draw(st.integers(0, len(text)))]
    return text


@given(st.lists(damaged_answers(), max_size=5))
@settings(deadline=None, max_examples=150)
@example(['[{"bbox_2d": [1, 2, 3, 4], "label": "x"}, {"bbox_2d": [5, 6'])
def test_any_answers(texts: list[str]) -> None:
    assert_same(texts)
