"""Records: when two of them are exact repeats."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boxlist.records import Record, normalise_label

BOX = (1, 2, 3, 4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("red circle", "Red Circle"),
        ("red circle", "  red \t\n circle "),
        ("red circle", "red\u00a0circle"),  # no-break space
        ("red circle", "red\u2003\u3000circle"),
        ("caf\u00e9", "cafe\u0301"),  # composed, and not
        ("CAFE\u0301", "caf\u00e9"),
        ("STRASSE", "stra\u00dfe"),  # folded, not just lower case
        ("\u1e9e", "ss"),
        ("\u0391\u03a3", "\u03b1\u03c2"),  # final sigma
        ("\u212b", "\u00e5"),  # Angstrom sign
        ("", "  \n"),
    ],
)
def test_labels_that_are_the_same(one: str, other: str) -> None:
    assert Record(one, BOX).key == Record(other, BOX).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("red circle", "redcircle"),
        ("red circle", "red-circle"),
        ("tree", "trees"),
        ("\ufb01g", "fig" + "\u200b"),  # a zero-width space is no white space
        ("x\u00b2", "x2"),  # NFC, not NFKC
        ("e\u0301", "e"),
    ],
)
def test_labels_that_are_not(one: str, other: str) -> None:
    assert Record(one, BOX).key != Record(other, BOX).key


@pytest.mark.parametrize("same", [(45.0, 1, 2, 3), (4.5e1, 1.0, 2.0, 3.0), (45, True, 2, 3)])
def test_coordinates_compare_by_value(same: tuple[float, ...]) -> None:
    assert Record("tree", (45, 1, 2, 3)).key == Record("tree", same).key
    assert hash(Record("tree", (45, 1, 2, 3)).key) == hash(Record("tree", same).key)


@pytest.mark.parametrize("other", [(1, 45, 2, 3), (45, 1, 2, 3.0000001), (45, 1, 2), (45, 1, 2, 3, 3)])
def test_coordinates_compare_in_order_and_exactly(other: tuple[float, ...]) -> None:
    assert Record("tree", (45, 1, 2, 3)).key != Record("tree", other).key


def test_zero_equals_minus_zero() -> None:
    assert Record("tree", (0, 0.0, -0.0, 1)).key == Record("tree", (0, 0, 0, 1)).key


@settings(deadline=None)
@given(st.text())
@example("\ud800")
@example("\u0345\u0301")
@example("\u01f0\u0323")
def test_a_normal_label_is_its_own_normal_form(label: str) -> None:
    normal = normalise_label(label)
    assert normalise_label(normal) == normal
    assert normal == normal.strip()
    assert normalise_label(label.replace(" ", "\n ")) == normal
    assert normalise_label(unicodedata.normalize("NFD", label)) == normal


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_way(label: str) -> None:
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", label).casefold())
    assert normalise_label(label) == " ".join(folded.split())
