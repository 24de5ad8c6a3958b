"""A comparison of two runs for the terminal, in Markdown and as JSON. Names and image ids are escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.metrics.intervals import RESAMPLES
from boxlist.metrics.paired import PERMUTATIONS, is_beyond_chance
from boxlist.metrics.table import METRICS
from boxlist.reports.leaderboard.text import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.metrics.paired import Difference
    from boxlist.reports.comparison import Comparison, TaskComparison

SCHEMA = 1
HEADS = ("metric", "A", "B", "B - A", "95% interval", "p", "would show", "")
LEGEND = (
    f"B - A with its 95% interval from {RESAMPLES:,} resamples of the same images for both runs; p: paired swap "
    f"permutation ({PERMUTATIONS:,}), two-sided, not adjusted for the number of metrics; would show: the smallest true "
    "difference that so many images show four times in five. Better or worse is said where p is at most 0.05 and the "
    "interval leaves 0 out."
)
_MAX_TEXT = 200


def to_terminal(comparison: Comparison) -> str:
    """Head, then for each task a table of its metrics and the images that changed most."""
    parts = ["\n".join(_head(comparison))]
    for task in comparison.tasks:
        rows = [HEADS, *(_cells(name, found) for name, found in task.metrics.items())]
        lines = [_title(task), *_aligned(rows), "", _changed_title(task)]
        lines += [f"  {image}  {effect}  {why}" for image, effect, why in _padded(_changed_cells(task))]
        parts.append("\n".join(lines).rstrip())
    return "\n\n".join([*parts, LEGEND])


def to_markdown(comparison: Comparison) -> str:
    """The same as Markdown."""
    parts = ["  \n".join(map(escape_markdown, _head(comparison)))]
    for task in comparison.tasks:
        parts.append(f"**{escape_markdown(_title(task))}**")
        parts.append(markdown_table(HEADS, [_cells(name, found) for name, found in task.metrics.items()]))
        parts.append(escape_markdown(_changed_title(task)))
        if task.changed_most:
            parts.append(markdown_table(("image", "effect", "why"), _changed_cells(task)))
    return "\n\n".join([*parts, escape_markdown(LEGEND)])


def to_json(comparison: Comparison) -> dict[str, Any]:
    """The same for programs; undefined figures are null."""
    return {
        "schema": SCHEMA,
        **{side: {"name": run.name, "path": str(run.path)} for side, run in (("a", comparison.a), ("b", comparison.b))},
        "differs": comparison.differs,
        "seed": comparison.seed,
        "resamples": RESAMPLES,
        "permutations": PERMUTATIONS,
        "tasks": {
            task.name: {
                "n": task.n,
                **({} if task.pictures is None else {"pictures": task.pictures}),
                "few_images": task.few_images,
                "metrics": task.metrics,
                "changed_images": task.n_changed,
                "changed_most_by": task.by,
                "changed_most": [image._asdict() for image in task.changed_most],
            }
            for task in comparison.tasks
        },
    }


def markdown_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose cells show what they hold, whatever that is.

    >>> print(markdown_table(("image", "why"), [("a|b", "<b>")]))
    | image | why |
    |---|---|
    | a\\|b | &lt;b&gt; |
    """
    lines = [f"| {' | '.join(map(escape_markdown, map(printable, row)))} |" for row in (heads, *rows)]
    lines.insert(1, f"|{'---|' * len(heads)}")
    return "\n".join(lines)


def printable(value: object) -> str:
    r"""A name or id of someone else's on one line, without what steers a terminal.

    >>> printable("a\x1b[31m\nb")
    'a [31m b'
    """
    return "".join(char if char.isprintable() else " " for char in str(value)[:_MAX_TEXT])


def figure(value: float | None, metric: str, *, signed: bool = False) -> str:
    """A metric's figure as it is shown; copies are whole."""
    if value is None:
        return "undefined"
    decimals = 0 if METRICS[metric].over_images == "maximum" else 3
    shown = round(value, decimals) + 0.0  # not -0.000
    return f"{shown:{'+' if signed else ''}.{decimals}f}"


def p_text(p: float | None) -> str:
    return "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _head(comparison: Comparison) -> list[str]:
    lines = [
        f"{side}: {printable(run.name)} ({printable(run.path)})"
        for side, run in (("A", comparison.a), ("B", comparison.b))
    ]
    return [*lines, *(f"differs: {printable(text)}" for text in comparison.differs)]


def _title(task: TaskComparison) -> str:
    return f"{printable(task.name)}: {task.n} images, {task.n_changed} changed"


def _changed_title(task: TaskComparison) -> str:
    if not task.changed_most:
        return "No image changed."
    return f"Changed most, by what they add to the difference of {task.by}:"


def _cells(name: str, found: Difference) -> tuple[str, ...]:
    low, high = found["ci_low"], found["ci_high"]
    return (
        name,
        figure(found["a"], name),
        figure(found["b"], name),
        figure(found["difference"], name, signed=True),
        f"[{figure(low, name, signed=True)}, {figure(high, name, signed=True)}]"
        if low is not None and high is not None
        else "",
        p_text(found["p"]),
        figure(found["detectable"], name) if found["detectable"] is not None else "",
        _verdict(name, found),
    )


def _verdict(name: str, found: Difference) -> str:
    """Which run is better, where it is beyond chance and the metric has a better end."""
    if not is_beyond_chance(found):
        return ""
    better = METRICS[name].higher_is_better
    if better is None:
        return "differs"
    return "B better" if ((found["difference"] or 0.0) > 0) == better else "B worse"


def _changed_cells(task: TaskComparison) -> list[tuple[str, str, str]]:
    return [(printable(image.image_id), f"{image.effect:+.4f}", "; ".join(image.why)) for image in task.changed_most]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names and the last column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    edge = (0, len(widths) - 1)
    return [
        "  ".join(
            cell.ljust(width) if place in edge else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _padded(rows: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    width = max((len(row[0]) for row in rows), default=0)
    return [(image.ljust(width), effect.rjust(8), why) for image, effect, why in rows]
