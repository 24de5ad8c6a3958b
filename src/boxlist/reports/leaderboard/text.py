"""A leaderboard for the terminal and in Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from boxlist.reports.leaderboard.cells import legend, terms, text_table, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.reports.leaderboard.tables import Table

# what Markdown (CommonMark, GitHub's tables) reads as more than text
_MARKUP = re.compile(r"([\\`*_\[\]|~])")


def to_terminal(tables: Sequence[Table]) -> str:
    """The tables as text, a line a run, under their titles."""
    return "\n\n".join(_terminal_table(table) for table in tables)


def to_markdown(tables: Sequence[Table]) -> str:
    """The tables in Markdown, with names escaped."""
    return "\n\n".join(_markdown_table(table) for table in tables)


def escape_markdown(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> escape_markdown("a|b_c <img>")
    'a\\|b\\_c &lt;img&gt;'
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", escaped)


def _terminal_table(table: Table) -> str:
    texts = text_table(table)
    rows = [[cell.text for cell in row] for _, members in texts.groups for row in members]
    widths = [max(map(len, column)) for column in zip(texts.heads, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(cells, widths, texts.numeric, strict=True)
        )
        return "  ".join(aligned).rstrip()

    lines = [title(table), terms(table)]
    if table.apart:
        lines.insert(1, f"set apart: {table.apart}")
    lines += [line(texts.heads), line(["-" * width for width in widths])]
    for base, members in texts.groups:
        lines += [f"base {base}"] if base is not None else []
        lines += [line([cell.text for cell in row]) for row in members]
    return "\n".join([*lines, legend(table)])


def _markdown_table(table: Table) -> str:
    texts = text_table(table)
    heading = [f"**{escape_markdown(title(table))}**"]
    if table.apart:
        heading.append(f"Set apart: {escape_markdown(table.apart)}.")
    heading.append(f"{escape_markdown(terms(table))}.")
    lines = [_markdown_row(texts.heads), f"|{'|'.join('---:' if numeric else '---' for numeric in texts.numeric)}|"]
    for base, members in texts.groups:
        if base is not None:
            lines.append(_markdown_row(["", f"base {base}", *[""] * (len(texts.heads) - 2)], bold=True))
        lines += [_markdown_row([cell.text for cell in row]) for row in members]
    return "\n\n".join([*heading, "\n".join(lines), escape_markdown(legend(table))])


def _markdown_row(cells: Sequence[str], *, bold: bool = False) -> str:
    shown = (escape_markdown(cell) for cell in cells)
    return f"| {' | '.join(f'**{cell}**' if bold and cell else cell for cell in shown)} |"
