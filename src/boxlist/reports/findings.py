"""What a control table shows, in two sentences worked out from its figures, whatever they are.

"Rises" and "falls" are said only where the two 95% intervals do not overlap: a cautious rule, stricter than a paired
comparison of the same images would be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from boxlist.metrics.summary import MetricValue

    Metrics = Mapping[str, MetricValue]

F1 = "f1@0.3"


class ControlRows(NamedTuple):
    """The rows of one adapter that the sentences are about, as `metrics` of `scores.json`.

    `shapes` holds target-shape validity of base and adapter by probe, for the answers that are no box lists.
    """

    title: str
    base: Metrics
    raw: Metrics
    budget: Metrics
    stopped: Metrics
    shapes: Mapping[str, tuple[float | None, float | None]]


def findings(blocks: Sequence[ControlRows]) -> str:
    """Two sentences: what training gave and whether the answers repeat; and what the controls change.

    The blocks share a base, and the first is the main one. The second sentence is about the block whose raw answers
    repeat most.
    """
    main = blocks[0]
    loudest = max(blocks, key=lambda block: (_value(block.raw, "duplicate_rate"), _value(block.raw, "max_repeat")))
    first = f"{_acquisition(main)}, and {_repetition(main)}"
    if loudest is not main:
        first += f"; {loudest.title}: {_repetition(loudest)}"
    where = "" if loudest is main else f"For {loudest.title}, "
    second = f"{where}{_budget(loudest)}, {_stop(loudest)}{_structure(main)}"
    return f"{_sentence(first)} {_sentence(second)}"


def _acquisition(block: ControlRows) -> str:
    n = block.raw[F1]["n"]
    return (
        f"training {_moves(block.base, block.raw)} F1@0.3 {_from_to(block.base, block.raw, F1)} on {n} held-out images"
    )


def _repetition(block: ControlRows) -> str:
    rate, copies = _value(block.raw, "duplicate_rate"), _value(block.raw, "max_repeat")
    if copies <= 1:
        return "the raw adapter repeats no record (duplicate rate 0.000)"
    return (
        f"the raw adapter repeats itself (duplicate rate {rate:.3f}, one record up to {copies:.0f} times, "
        f"parse-valid {_value(block.raw, 'parse_valid'):.3f})"
    )


def _budget(block: ControlRows) -> str:
    return (
        f"the budget {_moves(block.raw, block.budget)} F1@0.3 {_from_to(block.raw, block.budget, F1)} and takes the "
        f"duplicate rate {_from_to(block.raw, block.budget, 'duplicate_rate')}"
    )


def _stop(block: ControlRows) -> str:
    fired = _value(block.stopped, "trigger_rate")
    if fired == 0:
        return "and repeat-stop on top of it never fires"
    copies = _value(block.stopped, "max_repeat")
    left = "no exact repeat" if copies <= 1 else f"one record {copies:.0f} times"
    return (
        f"and repeat-stop on top of it ends {fired:.1%} of the answers and leaves {left}, "
        f"at F1@0.3 {_value(block.stopped, F1):.3f}"
    )


def _structure(block: ControlRows) -> str:
    known = [
        f"{probe} {before:.3f} to {after:.3f}"
        for probe, (before, after) in block.shapes.items()
        if before is not None and after is not None
    ]
    return f"; valid shape of the non-box answers, base to adapter: {', '.join(known)}" if known else ""


def _moves(before: Metrics, after: Metrics) -> str:
    """The verb for a change of F1@0.3."""
    old, new = before[F1], after[F1]
    bounds = (old["ci_low"], old["ci_high"], new["ci_low"], new["ci_high"])
    if any(bound is None for bound in bounds):
        return "takes"
    low_old, high_old, low_new, high_new = (bound or 0.0 for bound in bounds)
    if low_new > high_old:
        return "lifts"
    return "lowers" if high_new < low_old else "does not clearly change"


def _from_to(before: Metrics, after: Metrics, metric: str) -> str:
    return f"from {_value(before, metric):.3f} to {_value(after, metric):.3f}"


def _value(metrics: Metrics, name: str) -> float:
    """A figure; what is undefined counts as 0, as nothing was found."""
    return metrics[name]["value"] or 0.0


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
