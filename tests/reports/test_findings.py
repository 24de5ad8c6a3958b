"""The two sentences say what the figures say, also when they say something else than the paper's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.reports.findings import ControlRows, findings

if TYPE_CHECKING:
    from boxlist.metrics.summary import MetricValue


def figure(value: float | None, half: float | None = None) -> MetricValue:
    ends = (None, None) if half is None or value is None else (value - half, value + half)
    return {"value": value, "ci_low": ends[0], "ci_high": ends[1], "n": 80, "interval": None, "few_images": False}


def row(f1: float, duplicates: float = 0.0, copies: float = 1, trigger: float = 0.0) -> dict[str, MetricValue]:
    return {
        "f1@0.3": figure(f1, 0.06),
        "duplicate_rate": figure(duplicates),
        "max_repeat": figure(copies),
        "parse_valid": figure(0.812),
        "trigger_rate": figure(trigger),
    }


def paper(**changes: object) -> ControlRows:
    rows: dict[str, object] = {
        "title": "q/k/v/o rank 32",
        "base": row(0.007),
        "raw": row(0.448, 0.080, 23),
        "budget": row(0.494, 0.021, 8),
        "stopped": row(0.490, trigger=0.0625),
        "shapes": {"inventory": (0.99, 1.0)},
    }
    return ControlRows(**{**rows, **changes})  # type: ignore[arg-type]  # any field of it


def test_the_papers_figures() -> None:
    assert findings([paper()]) == (
        "Training lifts F1@0.3 from 0.007 to 0.448 on 80 held-out images, and the raw adapter repeats itself "
        "(duplicate rate 0.080, one record up to 23 times, parse-valid 0.812). "
        "The budget does not clearly change F1@0.3 from 0.448 to 0.494 and takes the duplicate rate from 0.080 to "
        "0.021, and repeat-stop on top of it ends 6.2% of the answers and leaves no exact repeat, at F1@0.3 "
        "0.490; valid shape of the non-box answers, base to adapter: inventory 0.990 to 1.000."
    )


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (paper(raw=row(0.448)), "and the raw adapter repeats no record (duplicate rate 0.000). The budget"),
        (paper(raw=row(0.05)), "Training does not clearly change F1@0.3 from 0.007 to 0.050"),
        (paper(base=row(0.6), raw=row(0.1)), "Training lowers F1@0.3 from 0.600 to 0.100"),
        (paper(budget=row(0.2)), "The budget lowers F1@0.3 from 0.448 to 0.200"),
        (paper(budget=row(0.7)), "The budget lifts F1@0.3 from 0.448 to 0.700"),
        (paper(stopped=row(0.49)), "and repeat-stop on top of it never fires"),
        (paper(stopped=row(0.49, 0.1, 3, 0.1)), "leaves one record 3 times, at"),
        (paper(shapes={"inventory": (None, 1.0)}), "at F1@0.3 0.490."),
    ],
    ids=["no repeats", "no gain", "a loss", "budget hurts", "budget helps", "stop idle", "stop leaks", "no shapes"],
)
def test_other_figures_give_other_words(block: ControlRows, said: str) -> None:
    assert said in findings([block])


def test_an_undefined_interval_claims_nothing() -> None:
    base = {**row(0.0), "f1@0.3": figure(None)}
    assert findings([paper(base=base)]).startswith("Training takes F1@0.3 from 0.000 to 0.448")


def test_the_second_sentence_is_about_the_block_that_repeats_most() -> None:
    calm = paper(raw=row(0.6))
    loud = paper(title="rank 8, 40 steps", raw=row(0.3, 0.4, 31), budget=row(0.31, 0.1, 8))
    text = findings([calm, loud])
    assert "repeats no record (duplicate rate 0.000); rank 8, 40 steps: and the raw adapter repeats itself" not in text
    assert "rank 8, 40 steps: the raw adapter repeats itself (duplicate rate 0.400, one record up to 31 times" in text
    assert "For rank 8, 40 steps, the budget does not clearly change F1@0.3 from 0.300 to 0.310" in text
    assert text.count(". ") == 1
