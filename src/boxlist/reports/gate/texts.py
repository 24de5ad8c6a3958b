"""A gate's verdict for people: the terminal, a Markdown summary, and GitHub's annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.metrics.intervals import FEW_IMAGES
from boxlist.reports.comparison_text import figure, markdown_table, p_text, printable
from boxlist.reports.leaderboard.text import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.reports.gate.acceptance import Accepted
    from boxlist.reports.gate.verdicts import GateResult, Line
    from boxlist.reports.saved_runs import SavedRun

HEADS = ("verdict", "task", "metric", "rule", "baseline", "run", "worse by", "95% bound", "p", "detectable", "why")
_FIGURES = slice(4, 10)
LEGEND = (
    "A margin passes when the one-sided 95% bound of how much worse the run is lies within it, and fails when the run "
    "is worse by more, beyond chance (p, adjusted for all lines, at most 0.05, and the 95% interval leaves 0 out). "
    "Detectable: the true worsening at which the line fails four times in five."
)
_TITLES = {0: "passed", 1: "FAILED", 3: "cannot tell"}
# an annotation's kind by verdict; what passes is not annotated
_ANNOTATED = {"fail": "error", "cannot tell": "warning"}


def to_terminal(result: GateResult) -> str:
    """The verdict, then a table with a row a line."""
    rows = [HEADS, *(_cells(line) for line in result.lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    figures = range(*_FIGURES.indices(len(HEADS)))
    table = [
        "  ".join(
            cell.rjust(width) if place in figures else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([title(result), *_sources(result), "", *table, "", LEGEND])


def to_markdown(result: GateResult) -> str:
    """The same as Markdown; names of files, tasks and runs show as they are."""
    sources = "  \n".join(map(escape_markdown, _sources(result)))
    table = markdown_table(HEADS, [_cells(line) for line in result.lines])
    return f"### {escape_markdown(title(result))}\n\n{sources}\n\n{table}\n\n{LEGEND}\n"


def github_annotations(result: GateResult) -> list[str]:
    """GitHub's workflow commands, one for each line that does not pass."""
    return [
        f"::{_ANNOTATED[line.verdict]} file={_property(printable(result.plan.path))},"
        f"title={_property(f'boxlist gate: {line.verdict}')}::{_message(printable(line_text(line)))}"
        for line in result.lines
        if line.verdict in _ANNOTATED
    ]


def title(result: GateResult) -> str:
    """What came out, in one line."""
    counts = ((result.count(verdict), verdict) for verdict in ("fail", "cannot tell", "pass"))
    counted = ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
    return f"{printable(result.plan.path)}: {_TITLES[result.exit_status]} ({counted})"


def line_text(line: Line) -> str:
    """A line as a sentence.

    >>> from boxlist.reports.gate.verdicts import Line
    >>> line_text(Line("boxes", "max_repeat", "at most 4", "fail", "outside", 5.0, 80))
    'boxes: max_repeat 5, at most 4: outside'
    """
    figures = figure(line.run, line.metric)
    if line.baseline is not None:
        figures = f"{figure(line.baseline, line.metric)} -> {figures}"
    return f"{printable(line.task)}: {line.metric} {figures}, {line.rule}: {why(line)}"


def why(line: Line) -> str:
    """The reason, and how many images would settle what cannot be told."""
    if line.verdict != "cannot tell" or line.worse_by is None:
        return line.reason
    if line.images_needed is None:
        return f"{line.reason}; no number of images settles it at these figures"
    return f"{line.reason}; it would take about {line.images_needed:,} images, not {line.n_pictures:,}"


def few_images_text(result: GateResult) -> str | None:
    """A warning about lines that rest on so few images that they cannot pass; None when there is none."""
    lines = (line for line in result.lines if line.n_pictures < FEW_IMAGES)
    few = {f"{printable(line.task)} {line.metric} has {line.n_pictures}" for line in lines}
    return f"warning: under {FEW_IMAGES} images intervals are too narrow: {', '.join(sorted(few))}" if few else None


def accepted_text(changes: Sequence[Accepted], run: SavedRun, path: object) -> str:
    """What accepting a run changed."""
    changed = [
        f"  {printable(task)}: {metric} {'none' if old is None else figure(old, metric)} -> {figure(new, metric)}"
        for task, metric, old, new in changes
        if old != new
    ]
    return "\n".join([f"{printable(path)}: now holds {printable(run.name)}", *(changed or ["  no figure changed"])])


def _sources(result: GateResult) -> list[str]:
    named = (("baseline", result.baseline), ("run", result.run))
    return [f"{side}: {printable(run.name)} ({printable(run.path)})" for side, run in named if run is not None]


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.verdict,
        printable(line.task),
        line.metric,
        line.rule,
        figure(line.baseline, line.metric) if line.baseline is not None else "",
        figure(line.run, line.metric),
        figure(line.worse_by, line.metric, signed=True) if line.worse_by is not None else "",
        figure(line.bound, line.metric, signed=True) if line.bound is not None else "",
        p_text(line.p),
        figure(line.detectable, line.metric) if line.detectable is not None else "",
        why(line),
    )


def _message(text: str) -> str:
    """As GitHub's runner reads it back (actions/toolkit, command.ts)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
