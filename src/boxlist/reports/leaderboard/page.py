"""A leaderboard as one static page: no server, no network, and a script that only sorts.

Every text is escaped, and the page's own policy lets nothing run or load but the two blocks that are hashed in it.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

import boxlist
from boxlist.metrics.table import METRICS
from boxlist.reports.leaderboard.cells import legend, terms, text_table, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.metrics.summary import MetricValue
    from boxlist.reports.leaderboard.cells import Cell, TextTable
    from boxlist.reports.leaderboard.tables import Row, Table

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>boxlist leaderboard</title>
<style>{style}</style>
</head>
<body>
<h1>Leaderboard</h1>
<p class="about">{about}</p>
{body}
<footer>Made by boxlist {version}.</footer>
<script>{script}</script>
</body>
</html>"""
_ABOUT = (
    "Figures are over the images that each table names. A table holds only runs over the same images, prompt, protocol "
    "and definitions; what differs has a table of its own that says why."
)


def to_html(tables: Sequence[Table], problems: Sequence[str] = ()) -> str:
    """The tables, and what could not be read, as a page of its own."""
    style, script = (files(__package__).joinpath(name).read_text("utf-8") for name in ("_page.css", "_page.js"))
    return _PAGE.format(
        policy=escape(
            f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; "
            "form-action 'none'"
        ),
        style=style,
        script=script,
        about=_ABOUT,
        body="\n".join([*map(_section, tables), _left_out(problems)]),
        version=escape(boxlist.__version__),
    )


def _section(table: Table) -> str:
    texts = text_table(table)
    parts = [f"<section>\n<h2>{escape(title(table))}</h2>"]
    if table.apart:
        parts.append(f'<p class="apart"><strong>Set apart:</strong> {escape(table.apart)}</p>')
    parts.append(f'<p class="terms">{escape(terms(table))}</p>')
    parts.append(f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(title(table))}">\n<table>')
    parts.append(f"<thead><tr>{''.join(_heads(table, texts))}</tr></thead>")
    scale = max((_top(row.entry.figures[table.sort]) for row in table.rows), default=1.0) or 1.0
    for group, (base, members) in zip(table.groups, texts.groups, strict=True):
        rows = [_row(table, texts, row, cells, scale) for row, cells in zip(group.rows, members, strict=True)]
        parts.append(f"<tbody>{_base(base, len(texts.heads))}{''.join(rows)}</tbody>")
    parts.append(f'</table>\n</div>\n<p class="legend">{escape(legend(table))}</p>\n</section>')
    return "\n".join(parts)


def _heads(table: Table, texts: TextTable) -> list[str]:
    """Heads; the first click on one puts what is better on top."""
    heads = []
    for head, numeric in zip(texts.heads, texts.numeric, strict=True):
        metric = METRICS.get(head.removesuffix(" [95%]"))
        first = "descending" if metric and metric.higher_is_better is not False else "ascending"
        sorted_by = f' aria-sort="{first}"' if metric and metric.name == table.sort else ""
        meaning = f' title="{escape(metric.definition)}"' if metric else ""
        heads.append(
            f'<th scope="col"{_class("n" if numeric else "")} data-first="{first}"{sorted_by}{meaning}>'
            f"{escape(head).replace('_', '_<wbr>')}</th>"
        )
    return heads


def _base(base: str | None, width: int) -> str:
    if base is None:
        return ""
    return f'<tr data-base="1"><th colspan="{width}" scope="rowgroup">base {escape(base)}</th></tr>'


def _row(table: Table, texts: TextTable, row: Row, cells: Sequence[Cell], scale: float) -> str:
    shown = []
    for head, numeric, cell in zip(texts.heads, texts.numeric, cells, strict=True):
        kind = "name" if head == "run" else "n p" if head == "p vs best" else "n" if numeric else ""
        number = f' data-n="{cell.number!r}"' if cell.number is not None else ""
        plot = _interval(row.entry.figures[table.sort], scale) if head == f"{table.sort} [95%]" else ""
        whole = f' title="{escape(row.entry.path)}"' if head == "run" else ""
        shown.append(f"<td{_class(kind)}{number}{whole}>{escape(cell.text)}{plot}</td>")
    like = "best like" if row.is_best else "like" if row.standing.is_different is False else ""
    return f"<tr{_class(like)}>{''.join(shown)}</tr>"


def _interval(figure: MetricValue, scale: float) -> str:
    """The figure and its interval on a line from 0 to the highest end in the table."""
    if figure["value"] is None or figure["ci_low"] is None or figure["ci_high"] is None:
        return ""
    at, low, high = (f"{100 * value / scale:.1f}" for value in (figure["value"], figure["ci_low"], figure["ci_high"]))
    return (
        '<svg viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="all" x1="0" x2="100" y1="6" y2="6"/>'
        f'<line class="ci" x1="{low}" x2="{high}" y1="6" y2="6"/>'
        f'<rect class="at" x="{at}" y="1" width="2" height="10"/></svg>'
    )


def _top(figure: MetricValue) -> float:
    return max(figure["value"] or 0.0, figure["ci_high"] or 0.0)


def _left_out(problems: Sequence[str]) -> str:
    if not problems:
        return ""
    lines = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<section class="left-out"><h2>Left out</h2><ul>{lines}</ul></section>'


def _class(names: str) -> str:
    return f' class="{names}"' if names else ""


def _hash(block: str) -> str:
    """What a content security policy calls an inline block by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}"
