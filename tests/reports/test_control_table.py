"""The control table reproduces a row of the paper, leaves the undefined blank, and lines up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.reports.control_table import SHAPE_TARGET, TableBlock, TableRow, to_markdown, to_terminal

if TYPE_CHECKING:
    from boxlist.metrics.summary import MetricValue


def figure(value: float | None, low: float | None = None, high: float | None = None) -> MetricValue:
    return {"value": value, "ci_low": low, "ci_high": high, "n": 80, "interval": None, "few_images": False}


STOPPED = {
    "parse_valid": figure(1.0, 0.95, 1.0),
    "predictions_per_image": figure(4.7875, 4.3, 5.2),
    "f1@0.3": figure(0.4896, 0.4274, 0.5549),
    "f1@0.5": figure(0.385, 0.3, 0.4),
    "duplicate_rate": figure(0.0, 0.0, 0.046),
    "max_repeat": figure(1.0),
    "trigger_rate": figure(0.0625, 0.02, 0.13),
}
BLOCK = TableBlock(
    "q/k/v/o rank 32",
    [
        TableRow("base", {"f1@0.3": figure(None), "trigger_rate": figure(0.0)}),
        TableRow("budget 8 + repeat-stop", STOPPED, stops=True),
        TableRow("base: inventory", {"target_shape_valid": figure(0.9875, 0.93, 0.998)}, target=SHAPE_TARGET),
    ],
)


def test_markdown_has_the_papers_row() -> None:
    assert to_markdown([BLOCK]).splitlines() == [
        "**q/k/v/o rank 32**",
        "",
        "| row | parse-valid | pred/img | F1@0.3 or shape [95%] | F1@0.5 | dup. rate | max repeat | trigger |",
        "|---|---|---|---|---|---|---|---|",
        "| base |  |  |  |  |  |  |  |",
        "| budget 8 + repeat-stop | 1.000 | 4.787 | 0.490 [0.427, 0.555] | 0.385 | 0.000 | 1 | 0.062 |",
        "| base: inventory |  |  | 0.988 [0.930, 0.998] |  |  |  |  |",
    ]


def test_the_trigger_is_shown_only_where_repeat_stop_was_on() -> None:
    raw = TableBlock("", [TableRow("raw", STOPPED)])
    assert to_markdown([raw]).splitlines()[-1].endswith("| 1 |  |")


def test_terminal_columns_line_up_over_blocks() -> None:
    other = TableBlock("another", [TableRow("a row with a much longer name than the others", STOPPED, stops=True)])
    lines = to_terminal([BLOCK, other]).splitlines()
    heads = [line for line in lines if line.startswith("row ")]
    assert len(heads) == 2
    assert heads[0] == heads[1]
    ends = {line.index("[0.427, 0.555]") for line in lines if "[0.427" in line}
    assert ends == {heads[0].index("[95%]") + len("[95%]") - len("[0.427, 0.555]")}


def test_no_blocks_are_no_text() -> None:
    assert to_terminal([]) == to_markdown([]) == ""
