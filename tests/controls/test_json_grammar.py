"""The grammar of a protocol's list, on the pocket's own tokenizer: what it lets pass, and what it does not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from boxlist.controls.json_grammar import JsonGrammar
from boxlist.errors import BoxlistError, InputError
from boxlist.list_schema import list_schema
from boxlist.protocols import protocol_named
from boxlist.scanner import read_answer

if TYPE_CHECKING:
    from pathlib import Path

RECORD = '{"bbox_2d": [1, 20, 300, 1000], "label": "red circle"}'


@pytest.fixture(scope="module")
def tokenizer(pocket_base: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(pocket_base)


@pytest.fixture(scope="module")
def grammar(tokenizer: Any) -> JsonGrammar:
    return JsonGrammar.of(protocol_named("norm1000_xyxy"), tokenizer, [tokenizer.eos_token_id], len(tokenizer))


def refused_at(grammar: JsonGrammar, tokenizer: Any, text: str, *, end: bool = True) -> str | None:
    """What of a text was let pass when a token was refused; None when all of it and the end of turn was."""
    place, passed = grammar.begin(), ""
    for token in [*tokenizer.encode(text), *([tokenizer.eos_token_id] if end else [])]:
        if not place.allowed()[token]:
            return passed
        place.take(token)
        passed += tokenizer.decode([token])
    return None


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        f"[{RECORD}]",
        f"[{RECORD}, {RECORD}]",  # a grammar cannot forbid repeats
        f"[\n  {RECORD},\n  {RECORD}\n]",
        RECORD.join("[]").replace(" ", ""),
    ],
)
def test_lists_in_the_protocol_pass(grammar: JsonGrammar, tokenizer: Any, text: str) -> None:
    assert refused_at(grammar, tokenizer, text) is None
    jsonschema.validate(json.loads(text), list_schema(protocol_named("norm1000_xyxy")))
    assert read_answer(text, protocol_named("norm1000_xyxy")).status == "valid"


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("```json\n[]", ""),  # a fence
        ("Here are the boxes: []", ""),  # prose
        (f"[{RECORD}", f"[{RECORD}"),  # an end of turn inside the list
        (f"[{RECORD}] and", f"[{RECORD}]"),  # anything behind it
        ('[{"bbox_2d": [1, 2, 3, 1001], "label": "x"}]', '[{"bbox_2d": [1, 2, 3, 100'),  # out of range
        ('[{"bbox_2d": [1, 2, 3], "label": "x"}]', '[{"bbox_2d": [1, 2, 3'),  # three numbers
        ('[{"bbox_2d": [1, 2, 3, 4.5], "label": "x"}]', '[{"bbox_2d": [1, 2, 3, 4'),  # not whole
        ('[{"bbox_2d": [1, 2, 3, 4]}]', '[{"bbox_2d": [1, 2, 3, 4]'),  # no label
        ('[{"bbox_2d": [1, 2, 3, 4], "label": ""}]', '[{"bbox_2d": [1, 2, 3, 4], "label": "'),  # an empty label
        ("[" + " " * 30 + "]", "[" + " " * 20),  # white space without end
    ],
)
def test_anything_else_is_refused_at_its_first_wrong_token(
    grammar: JsonGrammar, tokenizer: Any, text: str, passed: str
) -> None:
    got = refused_at(grammar, tokenizer, text)
    assert got is not None
    assert passed.startswith(got), "tokens may be longer than what is wrong about them"
    assert len(passed) - len(got) < 8


def test_behind_the_end_of_turn_it_no_longer_matters(grammar: JsonGrammar, tokenizer: Any) -> None:
    place = grammar.begin()
    for token in [*tokenizer.encode("[]"), tokenizer.eos_token_id]:
        place.take(token)
    assert place.allowed().all()
    place.take(5)
    assert place.allowed().shape == (len(tokenizer),)


def test_rows_are_apart(grammar: JsonGrammar, tokenizer: Any) -> None:
    first, second = grammar.begin(), grammar.begin()
    first.take(tokenizer.encode("[")[0])
    assert not np.array_equal(first.allowed(), second.allowed())


def test_a_token_that_was_not_allowed_is_an_error(grammar: JsonGrammar, tokenizer: Any) -> None:
    with pytest.raises(BoxlistError, match="llguidance"):
        grammar.begin().take(tokenizer.encode("]")[0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pixel_xyxy", '[{"bbox_2d": [1, 20, 3000, 4000], "label": "x"}]'),
        ("norm1_xyxy", '[{"bbox_2d": [0.1, 0.25, 1, 0.5], "label": "x"}]'),
        ("norm1000_xyxy+label_first", '[{"label": "x", "bbox_2d": [1, 2, 3, 4]}]'),
    ],
)
def test_other_protocols(tokenizer: Any, name: str, text: str) -> None:
    grammar = JsonGrammar.of(protocol_named(name), tokenizer, [tokenizer.eos_token_id], len(tokenizer))
    assert refused_at(grammar, tokenizer, text) is None
    assert refused_at(grammar, tokenizer, '[{"bbox": [1, 2, 3, 4], "label": "x"}]') is not None


def test_a_protocol_without_json() -> None:
    with pytest.raises(InputError) as caught:
        list_schema(protocol_named("loc1024_yxyx"))
    assert str(caught.value) == (
        "control json_only under protocol loc1024_yxyx: expected a protocol that writes a JSON list with one object a "
        "record, got one that writes <loc y1><loc x1><loc y2><loc x2> label, separated by ' ; '. Leave json_only out, "
        "or choose another protocol."
    )
