"""The scanner: what a record is, what a status is, and that neither depends on how the text arrives."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxlist import json_list, plain_list
from boxlist.found import MAX_DEPTH, MAX_RECORD_CHARS, MAX_RETAINED, SLACK_CHARS
from boxlist.protocols import BOX_KEYS, LABEL_KEYS, PROTOCOLS
from boxlist.records import Record
from boxlist.scanner import Answer, FoundRecord, RecordScanner, close_list, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from boxlist.protocols import Protocol

NORM = PROTOCOLS["norm1000_xyxy"]
LOC = PROTOCOLS["loc1024_yxyx"]

RED = '{"bbox_2d": [1, 2, 3, 4], "label": "red"}'
BLUE = '{"bbox_2d": [5, 6, 7, 8], "label": "blue"}'
OF_RED, OF_BLUE = Record("red", (1, 2, 3, 4)), Record("blue", (5, 6, 7, 8))
DIGITS = "1" * 5000

# text, status, records, with what is wrong above each group
ANSWERS: list[tuple[str, str, list[Record]]] = [
    # nothing is wrong: lists, the empty list, white space, fences, other keys, extra fields, numbers of any notation
    (f"[{RED}, {BLUE}]", "valid", [OF_RED, OF_BLUE]),
    (" \n[\n] ", "valid", []),
    (f"\u00a0\n[\t{RED}\r\n,{BLUE}]\n\n", "valid", [OF_RED, OF_BLUE]),
    (f"```json\n[{RED}]\n```\n", "valid", [OF_RED]),
    (f"```[{RED}]```", "valid", [OF_RED]),
    ("```json\n[]\n```", "valid", []),
    ('[{"class": "red", "box": [1, 2, 3, 4]}]', "valid", [OF_RED]),
    ('[{"id": null, "label": "red", "t": [{}, [true]], "bbox": [1, 2, 3, 4]}]', "valid", [OF_RED]),
    ('[{"bbox_2d": [1e0, 2.0, 3, -4.5E-1], "label": ""}]', "valid", [Record("", (1.0, 2.0, 3, -0.45))]),
    # a record within a record is a record too, first because it closes first
    (f'[{{"parts": [{BLUE}], "bbox_2d": [1, 2, 3, 4], "label": "red"}}]', "valid", [OF_BLUE, OF_RED]),
    # braces, brackets and quotes in labels
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "}{][, \\"x\\" \\\\"}]', "valid", [Record('}{][, "x" \\', (1, 2, 3, 4))]),
    # surrogates: a pair is one character, a lone one stays as the model wrote it
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "\\ud83c\\udf33"}]', "valid", [Record("\U0001f333", (1, 2, 3, 4))]),
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "\\ud83c"}]', "valid", [Record("\ud83c", (1, 2, 3, 4))]),
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "\udcff"}]', "valid", [Record("\udcff", (1, 2, 3, 4))]),
    # no answer at all
    ("", "empty", []),
    (" \t\r\n\u2003", "empty", []),
    ("```json\n```", "empty", []),
    ("```\n", "empty", []),
    # cut inside a number: 551 must not become 55
    (f'[{RED}, {{"bbox_2d": [239, 20, 805, 55', "truncated", [OF_RED]),
    # cut inside a label, inside an escape, inside a key, after a comma, after the opening
    (f'[{RED}, {{"bbox_2d": [5, 6, 7, 8], "label": "bl', "truncated", [OF_RED]),
    (f'[{RED}, {{"bbox_2d": [5, 6, 7, 8], "label": "\\u00', "truncated", [OF_RED]),
    (f'[{RED}, {{"bbox', "truncated", [OF_RED]),
    (f"[{RED}, ", "truncated", [OF_RED]),
    ("[", "truncated", []),
    # cut just before the closing brace: complete in content, yet not closed
    (f"[{RED}, {BLUE[:-1]}", "truncated", [OF_RED]),
    # never closed, and then prose
    (f"[{RED}\nThat is all.", "truncated", [OF_RED]),
    # the fence is not closed, or not whole; the list is, or is not
    (f"```json\n[{RED}]", "truncated", [OF_RED]),
    (f"```json\n[{RED}]\n``", "truncated", [OF_RED]),
    ("```json\n[]", "truncated", []),
    (f"```json\n[{RED}, ", "truncated", [OF_RED]),
    # a fence closed that was never opened; two fences; a word after the fence
    (f"[{RED}]\n```", "malformed", [OF_RED]),
    (f"``````\n[{RED}]\n``````", "malformed", [OF_RED]),
    (f"```json\n[{RED}]\n``` done", "malformed", [OF_RED]),
    # two lists; the second cut
    (f"[{RED}]\n[{BLUE}]", "malformed", [OF_RED, OF_BLUE]),
    (f"[{RED}]\n[{BLUE}", "truncated", [OF_RED, OF_BLUE]),
    # no more than one list is open, whatever a label holds, and however many braces follow
    (f"Sure: [{RED.replace('red', 'a [ b')}]", "malformed", [Record("a [ b", (1, 2, 3, 4))]),
    (f"[{'{' * (MAX_DEPTH + 8)}", "truncated", []),
    # prose before, after, with a stray quote, bracket or brace in it
    (f"Here it is: [{RED}]", "malformed", [OF_RED]),
    (f"[{RED}] I hope this helps!", "malformed", [OF_RED]),
    (f'A 5" pipe, {{see}} [1]: [{RED}]', "malformed", [OF_RED]),
    (f'A 5" {{ pipe: [{RED}]', "malformed", [OF_RED]),
    (f"Cut after prose: [{RED}, ", "truncated", [OF_RED]),
    ("I like turtles", "malformed", []),
    # nested lists, a list in an object, an object alone, records without a list
    (f"[[{RED}], [{BLUE}]]", "malformed", [OF_RED, OF_BLUE]),
    (f'{{"objects": [{RED}, {BLUE}]}}', "malformed", [OF_RED, OF_BLUE]),
    (RED, "malformed", [OF_RED]),
    (f"{RED}\n{BLUE}", "malformed", [OF_RED, OF_BLUE]),
    # missing comma, two commas, trailing comma, comma first
    (f"[{RED} {BLUE}]", "malformed", [OF_RED, OF_BLUE]),
    (f"[{RED},, {BLUE}]", "malformed", [OF_RED, OF_BLUE]),
    (f"[{RED}, {BLUE},]", "malformed", [OF_RED, OF_BLUE]),
    (f"[,{RED}]", "malformed", [OF_RED]),
    # elements that are no records: numbers, a string, null, the box alone
    ("[1, 2, 3, 4]", "malformed", []),
    (f'[{RED}, "blue", null, [5, 6, 7, 8]]', "malformed", [OF_RED]),
    # no number is not finite
    (f'[{RED}, {{"bbox_2d": [NaN, 6, 7, 8], "label": "blue"}}]', "malformed", [OF_RED]),
    (f'[{RED}, {{"bbox_2d": [5, 6, Infinity, 8], "label": "blue"}}]', "malformed", [OF_RED]),
    (f'[{RED}, {{"bbox_2d": [5, 6, 7, -Infinity], "label": "blue"}}]', "malformed", [OF_RED]),
    (f'[{RED}, {{"bbox_2d": [5, 6, 7, 1e999], "label": "blue"}}]', "malformed", [OF_RED]),
    (f'[{RED}, {{"bbox_2d": [-1e999, 6, 7, 1e999], "label": "blue"}}]', "malformed", [OF_RED]),
    # 5,000 digits are beyond Python's integers, 400 beyond float64; as decimals they are a number like any other
    (f'[{RED}, {{"bbox_2d": [5, 6, 7, {DIGITS}], "label": "blue"}}]', "malformed", [OF_RED]),
    (f'[{RED}, {{"bbox_2d": [5, 6, 7, {DIGITS[:400]}], "label": "blue"}}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [1, 2, 3, 0.{DIGITS}], "label": "red"}}]', "valid", [Record("red", (1, 2, 3, 1 / 9))]),
    (f"[{DIGITS}]", "malformed", []),
    # three coordinates, five, none, nested, in strings, null
    (f'[{{"bbox_2d": [5, 6, 7], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [5, 6, 7, 8, 9], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [[5, 6, 7, 8]], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": ["5", "6", "7", "8"], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": "5678", "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": null, "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    ('[{"bbox_2d": {"a": 1, "b": 2, "c": 3, "d": 4}, "label": "blue"}]', "malformed", []),
    # booleans are no numbers, labels no numbers
    (f'[{{"bbox_2d": [true, 6, 7, 8], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [5, 6, 7, 8], "label": 3}}, {RED}]', "malformed", [OF_RED]),
    # no label, no box, nothing
    (f'[{{"bbox_2d": [5, 6, 7, 8]}}, {{"label": "blue"}}, {{}}, {RED}]', "malformed", [OF_RED]),
    # a key twice: one of two lost braces, most often; which value counts is anybody's guess
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "red", "bbox_2d": [5, 6, 7, 8], "label": "blue"}]', "malformed", []),
    (f'[{{"bbox_2d": [1, 2, 3, 4], "bbox_2d": [1, 2, 3, 4]}}, {RED}]', "malformed", [OF_RED]),
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "red", "l\\u0061bel": "blue"}]', "malformed", []),
    # two keys for one thing are told apart: the protocol's own first, then the table's order
    ('[{"name": "blue", "label": "red", "box": [5, 6, 7, 8], "bbox_2d": [1, 2, 3, 4]}]', "valid", [OF_RED]),
    ('[{"category": 3, "name": "red", "bbox_2d": [1, 2, 3, 4]}]', "malformed", []),
    # not JSON: single quotes, no quotes, a trailing comma, a comment, a raw line break or NUL in a label
    ("[{'bbox_2d': [1, 2, 3, 4], 'label': 'red'}]", "malformed", []),
    ("[{bbox_2d: [1, 2, 3, 4], label: red}]", "malformed", []),
    (f'[{{"bbox_2d": [5, 6, 7, 8,], "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f"[{RED}, // the first\n{BLUE}]", "malformed", [OF_RED, OF_BLUE]),
    (f'[{{"bbox_2d": [5, 6, 7, 8], "label": "bl\nue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [5, 6, 7, 8], "label": "bl\x00ue"}}, {RED}]', "malformed", [OF_RED]),
    (f"\x00[{RED}]\x00", "malformed", [OF_RED]),
    # escaped as a whole, as a model that quotes JSON does
    (json.dumps(f"[{RED}]"), "malformed", []),
    # a quote is missing: the records after it are whole
    (f'[{{"bbox_2d": [5, 6, 7, 8], "label": "blue}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [5, 6, 7, 8], label": "blue"}}, {RED}, {BLUE}]', "malformed", [OF_RED, OF_BLUE]),
    # a bracket is missing within a record: the others are whole
    (f'[{{"bbox_2d": [5, 6, 7, 8, "label": "blue"}}, {RED}]', "malformed", [OF_RED]),
    (f'[{{"bbox_2d": [5, 6, 7, 8], "label": "blue", {RED}]', "malformed", [OF_RED]),
]


def scan(pieces: Iterable[str], protocol: Protocol = NORM) -> tuple[list[FoundRecord], str]:
    scanner = RecordScanner(protocol)
    found = [one for piece in pieces for one in scanner.feed(piece)]
    assert scanner.retained <= MAX_RETAINED
    return found + scanner.rest(), scanner.finish()


@pytest.mark.parametrize(("text", "status", "records"), ANSWERS)
def test_answer_of_the_table(text: str, status: str, records: list[Record]) -> None:
    assert read_answer(text, NORM) == Answer(status, tuple(records))  # type: ignore[arg-type]
    found, by_character = scan(text)
    assert ([one.record for one in found], by_character) == (records, status)
    assert scan([text]) == (found, status)


def test_end_is_just_past_the_closing_brace() -> None:
    text = f"Sure:\n[{RED} ,{BLUE}]"
    assert [text[: one.end] for one in scan(text)[0]] == [f"Sure:\n[{RED}", f"Sure:\n[{RED} ,{BLUE}"]


@pytest.mark.parametrize("key", [*BOX_KEYS])
@pytest.mark.parametrize("label_key", [*LABEL_KEYS])
def test_all_keys_are_read_under_every_protocol(key: str, label_key: str) -> None:
    text = json.dumps([{key: [1, 2, 3, 4], label_key: "red"}])
    for protocol in PROTOCOLS.values():
        if protocol.syntax == "json" and not protocol.writes_points:
            assert read_answer(text, protocol) == Answer("valid", (OF_RED,))


def test_a_protocols_own_keys_come_first() -> None:
    text = '[{"bbox_2d": [5, 6, 7, 8], "where": [1, 2, 3, 4], "label": "blue", "what": "red"}]'
    own = replace(NORM, box_key="where", label_key="what")
    assert read_answer(text, own) == Answer("valid", (OF_RED,))
    assert read_answer('[{"where": [1, 2, 3, 4], "what": "red"}]', own) == Answer("valid", (OF_RED,))


# --- properties ---------------------------------------------------------------------------------------------------

_PARTS = [
    *(text for text, _, _ in ANSWERS if len(text) < 200),
    *(
        RED,
        BLUE,
        '{"bbox_2d": [1, 2, 3, 4], "label": "{"}',
        '{"objects": [',
        '{"box": [1,2,3,4],"label":"[[","x":[[{}]]}',
    ),
    *("[", "]", "{", "}", '"', "\\", ",", ":", " ", "\n", "```", "```json\n", "prose", '"label"', "[1, 2, 3, 4]", "`"),
]
TEXTS = st.lists(st.sampled_from(_PARTS) | st.text(max_size=4), max_size=10).map("".join)
RECORDS = st.builds(
    Record,
    st.text(max_size=12),
    st.lists(st.integers(-9999, 9999) | st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4).map(
        tuple
    ),
)


def every_record(text: str, max_chars: int = MAX_RECORD_CHARS, max_depth: int = MAX_DEPTH) -> list[FoundRecord]:
    """The definition, word for word: every substring that is a JSON object and a record, by its end. Quadratic."""
    found = []
    for start in (match.start() for match in re.finditer("{", text)):
        try:
            value, end = json.JSONDecoder(object_pairs_hook=pairs_or_nothing).raw_decode(text, start)
        except ValueError:
            continue
        record = record_of(value)
        if record is not None and end - start <= max_chars and depth_of(text[start:end]) <= max_depth:
            found.append(FoundRecord(record, end))
    return sorted(found, key=lambda one: one.end)


def depth_of(json_text: str) -> int:
    brackets = re.findall(r'"(?:[^"\\]|\\.)*"|([\[{]|[\]}])', json_text)
    depths = list(accumulate({"": 0, "[": 1, "{": 1}.get(bracket, -1) for bracket in brackets))
    return max(depths)


def pairs_or_nothing(pairs: list[tuple[str, Any]]) -> dict[str, Any] | None:
    return dict(pairs) if len({key for key, _ in pairs}) == len(pairs) else None


def record_of(value: object, protocol: Protocol = NORM) -> Record | None:
    if not isinstance(value, dict):
        return None
    box = next((value[key] for key in (protocol.box_key, *BOX_KEYS) if key in value), None)
    label = next((value[key] for key in (protocol.label_key, *LABEL_KEYS) if key in value), None)
    if not isinstance(label, str) or not isinstance(box, list) or len(box) != 4:
        return None
    for number in box:
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= 1.7976931348623157e308:
            return None
    return Record(label, tuple(box))


def strictly_valid(text: str) -> bool:
    """Parse-valid by the design's words, with nothing but `json`."""
    fenced = re.fullmatch(r"\s*```[\w+-]*(.*)```\s*", text, re.DOTALL)
    try:
        value = json.loads((fenced.group(1) if fenced else text).strip(), object_pairs_hook=pairs_or_nothing)
    except ValueError:
        return False
    return isinstance(value, list) and all(record_of(element) is not None for element in value)


@settings(deadline=None, max_examples=400)
@given(text=TEXTS, data=st.data())
def test_records_and_status_depend_on_the_text_alone(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found, status = scan(pieces)
    assert found == every_record(text)
    assert (found, status) == scan([text]) == scan(text)
    assert read_answer(text, NORM) == Answer(status, tuple(one.record for one in found))  # type: ignore[arg-type]
    assert (status == "valid") == strictly_valid(text)


@settings(deadline=None, max_examples=200)
@given(
    text=TEXTS,
    limits=st.tuples(st.integers(30, 90), st.integers(2, 4)),
    slack=st.sampled_from([0, 10]),
    blanks=st.sampled_from([0, 20, 100]),
)
def test_limits_do_not_depend_on_the_pieces(text: str, limits: tuple[int, int], slack: int, blanks: int) -> None:
    text = " " * blanks + text.replace("\n", " " * blanks)
    with pytest.MonkeyPatch.context() as patch:
        for module in (json_list, plain_list):
            patch.setattr(module, "MAX_RECORD_CHARS", limits[0])
        patch.setattr(json_list, "MAX_DEPTH", limits[1])
        patch.setattr(json_list, "SLACK_CHARS", slack)
        found, status = scan(text)
        assert scan([text]) == (found, status)
        assert read_answer(text, NORM) == Answer(status, tuple(one.record for one in found))  # type: ignore[arg-type]
        assert found == every_record(text, *limits)


@settings(deadline=None, max_examples=200)
@given(text=TEXTS, more=TEXTS)
def test_more_text_never_changes_earlier_records(text: str, more: str) -> None:
    found, _ = scan([text])
    assert scan([text + more])[0][: len(found)] == found
    assert all(one.end > len(text) for one in scan([text + more])[0][len(found) :])


@settings(deadline=None)
@given(records=st.lists(RECORDS, max_size=6), ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
@example(records=[Record("label", (0, 0, 0, 0))], ascii_only=False, indent=None)
@example(records=[Record("a: b", (0.0, -0.0, 1e308, 1e308))], ascii_only=False, indent=None)
def test_a_written_list_is_read_back(records: list[Record], ascii_only: bool, indent: int | None) -> None:
    elements = [{"bbox_2d": record.coordinates, "label": record.label} for record in records]
    text = json.dumps(elements, ensure_ascii=ascii_only, indent=indent)
    assert read_answer(text, NORM) == Answer("valid", tuple(records))
    assert read_answer(f"```json\n{text}\n```", NORM) == Answer("valid", tuple(records))
    assert [one.record for one in scan([text])[0]] == records


@settings(deadline=None, max_examples=200)
@given(text=TEXTS)
def test_a_list_closed_after_a_record_is_valid_if_the_whole_was(text: str) -> None:
    found, _ = scan([text])
    for one in found:
        closed = close_list(text, one.end, NORM)
        assert closed.startswith(text[: one.end])
        kept = [other.record for other in found if other.end <= one.end]
        assert list(read_answer(closed, NORM).records)[: len(kept)] == kept
        if strictly_valid(text):
            assert strictly_valid(closed) or "parts" in text  # within a record, that record is cut


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        (f"[{RED}, {BLUE}]", f"[{RED}]"),
        (f"[\n\t{RED},\n\t{BLUE}\n]", f"[\n\t{RED}]"),
        (f"```json\n[\n{RED},\n{BLUE}\n]\n```", f"```json\n[\n{RED}]\n```"),
        (f"Sure:\n```\n[{RED}, {BLUE}", f"Sure:\n```\n[{RED}]\n```"),
        (f"```\nx\n```\n[{RED}, {BLUE}", f"```\nx\n```\n[{RED}]"),
        (f'{{"objects": [{RED}, {BLUE}]}}', f'{{"objects": [{RED}]}}'),
        (f"{RED}\n{BLUE}", RED),
        (f"[{RED.replace('red', '```')}, {BLUE}]", f"[{RED.replace('red', '```')}]"),
    ],
)
def test_close_list_after_the_first_record(text: str, closed: str) -> None:
    assert close_list(text, scan([text])[0][0].end, NORM) == closed


# --- work and memory ----------------------------------------------------------------------------------------------

MEGA = 1_000_000


@pytest.mark.parametrize(
    ("text", "status"),
    [("{" * 10 * MEGA, "malformed"), ("[" * 10 * MEGA, "truncated"), ('"' * 10 * MEGA, "malformed")],
    ids=["{", "[", '"'],
)
def test_ten_megabytes_of_one_mark(text: str, status: str) -> None:
    assert read_answer(text, NORM) == Answer(status, ())  # type: ignore[arg-type]
    assert scan([text, f"[{RED}"]) == ([FoundRecord(OF_RED, len(text) + 1 + len(RED))], "truncated")


@pytest.mark.parametrize(
    "unit", ["[{", '{"a":', '{"', '["', "{[", "\\", '\\"', "}", "]", "```", "[[{", '{"a":[1],', " "]
)
def test_a_megabyte_of_anything_is_bounded_in_memory_and_work(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = unit * (MEGA // len(unit))
    parsed = count_parsed(monkeypatch)
    scanner = RecordScanner(NORM)
    for start in range(0, len(text), 4096):
        assert scanner.feed(text[start : start + 4096]) == []
        assert scanner.retained <= MAX_RETAINED
    assert scanner.finish() in {"truncated", "malformed", "empty"}
    assert [one.record for one in scanner.feed(f" [{RED}]")] == [OF_RED]
    assert sum(parsed) <= 2 * len(text)


def test_work_grows_with_the_text_and_not_with_its_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects in objects are parsed once at every depth that a record may have, which is the worst there is."""
    parsed = count_parsed(monkeypatch)
    for n in (1_000, 4_000):
        nest = '{"a":' * 40 + f"[{'1,' * n}1]" + "}" * 40
        parsed.clear()
        scan([nest * 4])
        assert 0 < sum(parsed) <= MAX_DEPTH * len(nest) * 4


def count_parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the characters that the C parser reads, failures up to where they fail."""
    parsed: list[int] = []
    parse_at = json_list.parse_at

    def counting(text: str, start: int) -> tuple[Any, int]:
        try:
            value, end = parse_at(text, start)
        except json.JSONDecodeError as error:
            parsed.append(error.pos - start)
            raise
        parsed.append(end - start)
        return value, end

    monkeypatch.setattr(json_list, "parse_at", counting)
    return parsed


def test_a_string_that_never_ends_is_not_kept() -> None:
    scanner = RecordScanner(NORM)
    scanner.feed('[{"label": "')
    for _ in range(200):
        scanner.feed("x" * 1000)
        assert scanner.retained <= MAX_RETAINED
    assert (scanner.feed('", "bbox_2d": [1, 2, 3, 4]}]'), scanner.finish()) == ([], "malformed")


def test_a_long_record_is_one_up_to_the_limit() -> None:
    text = json.dumps([{"bbox_2d": [1, 2, 3, 4], "label": ""}])
    fits = text.replace('""', '"' + "x" * (MAX_RECORD_CHARS - len(text) + 2) + '"')
    beyond = text.replace('""', '"' + "x" * (MAX_RECORD_CHARS - len(text) + 3) + '"')
    assert len(read_answer(fits, NORM).records) == len(scan(fits)[0]) == 1
    assert read_answer(beyond, NORM) == Answer("malformed", ())
    assert scan(beyond) == scan([beyond]) == ([], "malformed")


def test_a_deep_record_is_one_up_to_the_limit() -> None:
    def nested(depth: int) -> str:  # the object itself is one level
        return f'[{{"bbox_2d": [1, 2, 3, 4], "label": "red", "x": {"[" * depth}{"]" * depth}}}]'

    assert read_answer(nested(MAX_DEPTH - 1), NORM) == Answer("valid", (OF_RED,))
    assert read_answer(nested(MAX_DEPTH), NORM) == Answer("malformed", ())
    assert read_answer(nested(100_000), NORM) == Answer("malformed", ())


def test_white_space_before_an_answer_is_unlimited_and_within_it_is_not() -> None:
    blank = " " * (MAX_RECORD_CHARS + 1)
    for text, status in [
        (f"{blank}[{RED}]", "valid"),
        (f"[{blank}{RED}]", "malformed"),
        (f"[{RED}]{blank}", "malformed"),
    ]:
        assert read_answer(text, NORM) == Answer(status, (OF_RED,))  # type: ignore[arg-type]
        assert scan(text) == scan([text])
    assert read_answer(blank, NORM) == Answer("empty", ())


def test_tokens_are_fed_at_a_cost_that_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = count_parsed(monkeypatch)
    scanner = RecordScanner(NORM)
    scanner.feed("[")
    most = 0
    for _ in range(3000):
        for piece in re.findall("..?.?", RED + ", "):
            scanner.feed(piece)
            most = max(most, scanner.retained)
    assert most < 2 * SLACK_CHARS
    assert parsed == [len(RED)] * 3000


# --- location tokens ----------------------------------------------------------------------------------------------

CAT = "<loc0001><loc0002><loc0003><loc0004> cat"
DOG = "<loc0005><loc0006><loc0007><loc1023> dog"
OF_CAT, OF_DOG = Record("cat", (1, 2, 3, 4)), Record("dog", (5, 6, 7, 1023))

LOC_ANSWERS: list[tuple[str, str, list[Record]]] = [
    (f"{CAT} ; {DOG}", "valid", [OF_CAT, OF_DOG]),
    (f"\n{CAT};{DOG}\n", "valid", [OF_CAT, OF_DOG]),
    (CAT.replace("><", "> <"), "valid", [OF_CAT]),
    # how this syntax writes an empty list cannot be told from no answer
    ("", "empty", []),
    (" \n", "empty", []),
    # cut within a token, between tokens, before the label, after the separator
    (f"{CAT} ; <loc00", "truncated", [OF_CAT]),
    (f"{CAT} ; <", "truncated", [OF_CAT]),
    (f"{CAT} ; <loc0005><loc0006>", "truncated", [OF_CAT]),
    (f"{CAT} ; <loc0005><loc0006><loc0007><loc1023> ", "truncated", [OF_CAT]),
    (f"{CAT} ; ", "truncated", [OF_CAT]),
    # cut within the label: the text does not show it
    (f"{CAT} ; {DOG[:-1]}", "valid", [OF_CAT, Record("do", (5, 6, 7, 1023))]),
    # three tokens, five, one beyond 1023, three digits, five digits
    (f"<loc0001><loc0002><loc0003> cat ; {DOG}", "malformed", [OF_DOG]),
    (f"<loc0000>{CAT} ; {DOG}", "malformed", [OF_DOG]),
    (f"{CAT.replace('0001', '1024')} ; {DOG}", "malformed", [OF_DOG]),
    (f"{CAT.replace('0001', '001')} ; {DOG}", "malformed", [OF_DOG]),
    (f"{CAT.replace('0001', '00001')} ; {DOG}", "malformed", [OF_DOG]),
    # no separator, a new line for one, two of them, one in front
    (f"{CAT} {DOG}", "malformed", [OF_CAT, OF_DOG]),
    (f"{CAT}\n{DOG}", "malformed", [OF_CAT, OF_DOG]),
    (f"{CAT}\n ; {DOG}", "valid", [OF_CAT, OF_DOG]),
    (f"{CAT} ; ; {DOG}", "malformed", [OF_CAT, OF_DOG]),
    (f"; {CAT}", "malformed", [OF_CAT]),
    # prose before and after, another protocol's answer
    (f"Sure: {CAT}\nThat is all.", "malformed", [OF_CAT]),
    (f"{CAT} ; and a dog", "malformed", [OF_CAT]),
    (f"[{RED}]", "malformed", []),
    (f"{CAT}<seg001> ; {DOG}", "malformed", [OF_CAT, OF_DOG]),
    (f"{CAT}< ; {DOG}", "malformed", [OF_CAT, OF_DOG]),
]


@pytest.mark.parametrize(("text", "status", "records"), LOC_ANSWERS)
def test_location_answer_of_the_table(text: str, status: str, records: list[Record]) -> None:
    assert read_answer(text, LOC) == Answer(status, tuple(records))  # type: ignore[arg-type]
    found, by_character = scan(text, LOC)
    assert ([one.record for one in found], by_character) == (records, status)
    for one in found:
        assert text[: one.end].endswith(one.record.label)
        assert close_list(text, one.end, LOC) == text[: one.end]


_LOC_PARTS = [
    CAT,
    DOG,
    "<loc0001>",
    "<loc",
    "<loc00",
    "12>",
    "<",
    ";",
    " ; ",
    "\n",
    " ",
    "cat",
    "é",
    "loc0001>",
    "<loc2000>",
]


@settings(deadline=None, max_examples=300)
@given(text=st.lists(st.sampled_from(_LOC_PARTS), max_size=12).map("".join), data=st.data())
def test_location_records_depend_on_the_text_alone(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert scan(pieces, LOC) == scan([text], LOC) == scan(text, LOC)
    strict = re.fullmatch(r"\s*(?:(?:<loc\d{4}>\s*){4}[^\s<;][^<;]*(?:;\s*(?=<)|$))+", text)
    if scan([text], LOC)[1] == "valid":
        assert strict


@settings(deadline=None)
@given(
    records=st.lists(
        st.builds(
            Record,
            st.from_regex(r"[^\s<;]([^<;\n]*[^\s<;])?", fullmatch=True),
            st.tuples(*[st.integers(0, 1023)] * 4),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_written_location_list_is_read_back(records: list[Record]) -> None:
    assert read_answer(LOC.write(records), LOC) == Answer("valid", tuple(records))


@pytest.mark.parametrize("unit", ["<loc0001>", "<loc", "x", ";", "<", f"{CAT} ", "\n"])
def test_a_megabyte_of_location_text_is_bounded_in_memory(unit: str) -> None:
    scanner = RecordScanner(LOC)
    text = CAT[:36] + unit * (MEGA // len(unit))
    for start in range(0, len(text), 1000):
        scanner.feed(text[start : start + 1000])
        assert scanner.retained <= MAX_RETAINED
    assert [one.record for one in scanner.feed(f"\n;{DOG};")][-1:] == [OF_DOG]
