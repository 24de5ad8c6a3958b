"""Charts as part of a page: colours, identifiers, escaping, and equal bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from boxlist.reports.page.ink import FAINT, charts, colour, marker, to_svg

if TYPE_CHECKING:
    from markupsafe import Markup


def drawn(name: str = "chart", text: str = "label") -> Markup:
    from matplotlib.figure import Figure

    with charts():
        figure = Figure(figsize=(2, 2))
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color=colour(0), marker="o")
        axes.set_title(text, color=FAINT)
        return to_svg(figure, name, f"says {text}")


def test_colours_are_the_pages_own() -> None:
    svg = drawn()
    assert "var(--s0)" in svg
    assert "var(--faint)" in svg
    assert not re.search("#0[0-9a-f]{5}", re.sub('(id|href|clip-path)="[^"]*"', "", svg))


def test_equal_input_gives_equal_bytes_without_a_date() -> None:
    assert drawn() == drawn()
    assert "<metadata" not in drawn()
    assert "dc:date" not in drawn()


def test_identifiers_are_the_charts_own() -> None:
    ids = [set(re.findall('id="([^"]+)"', drawn(name))) for name in ("a", "b")]
    assert ids[0]
    assert not ids[0] & ids[1]
    for reference in re.findall(r'(?:href="#|url\(#)([^")]+)', drawn("a")):
        assert reference in ids[0]


def test_no_style_is_for_the_whole_page() -> None:
    assert "<style" not in drawn()


def test_texts_are_escaped_and_no_formula() -> None:
    text = '</svg><script>alert(1)</script> $\\frac{1}{0}$ "x" 図'
    svg = drawn(text=text)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "$\\frac{1}{0}$" in svg


def test_sixteen_runs_look_different() -> None:
    assert len({(colour(number), marker(number)) for number in range(16)}) == 16
