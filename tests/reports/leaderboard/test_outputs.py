"""What a leaderboard is written as: every form holds the figures, and none lets a name do more than be read."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from boxlist.reports.leaderboard.data import to_csv, to_json
from boxlist.reports.leaderboard.entries import read_entries
from boxlist.reports.leaderboard.page import to_html
from boxlist.reports.leaderboard.tables import build_tables
from boxlist.reports.leaderboard.text import to_markdown, to_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.reports.leaderboard.tables import Table

HIGH, LOW = [9, 8] * 20, [1, 0] * 20
EVIL = '=HYPERLINK("x")</td><script>alert(1)</script>|`x`\x1b[2J\u202e'
TOLD = "~ not distinguishable from the best at 5%"


@pytest.fixture
def tables(save_run: Callable[..., Path]) -> list[Table]:
    """A main table with two runs that are alike and one far behind, and one that is set apart."""
    paths = [
        save_run("best", HIGH, adapter={"path": "adapters/a"}),
        save_run("alike", HIGH, controls={"budget": 8}),
        save_run("evil", LOW, name=EVIL, base={"path": "<b>@base"}, adapter={"path": "+1"}),
        save_run("other", LOW, protocol="pixel_xyxy"),
    ]
    return build_tables(read_entries(paths).entries)


def test_terminal(tables: list[Table]) -> None:
    main, apart = to_terminal(tables).split("\n\n")
    lines = main.splitlines()
    assert lines[0] == "boxlist_dense_bbox_shapes: 3 runs, 40 images, by f1@0.3"
    assert lines[1].startswith("protocol norm1000_xyxy, prompt pppppppp, ground truth dddddddd, definitions ")
    assert re.split(r"  +", lines[2].strip()) == [
        *("rank [95%]", "run", "adapter", "controls", "f1@0.3 [95%]", "p vs best"),
        *("parse_valid", "predictions_per_image", "max_repeat"),
    ]
    assert lines[4] == "base org/base"
    assert re.fullmatch(r" *1 \[1, 1\]  alike .* budget=8 +0\.850 \[0\.\d+, 0\.\d+\] +best .*", lines[5])
    assert " ~ 1.000 " in lines[6]
    assert lines[7] == "base <b>@base"
    assert "<0.001" in lines[8]
    assert f"Holm-adjusted over 2 comparisons, so never under 0.0002; {TOLD}." in lines[9]
    assert apart.splitlines()[1] == "set apart: other protocol (pixel_xyxy instead of norm1000_xyxy)"
    assert not re.search(r"[\x1b\u202e]", main)


def test_a_column_of_texts_that_says_nothing_is_left_out(tables: list[Table]) -> None:
    apart = to_terminal(tables).split("\n\n")[1]
    assert "adapter" not in apart
    assert "controls" not in apart
    assert "p vs best" not in apart


def test_markdown_has_one_cell_a_column_whatever_names_hold(tables: list[Table]) -> None:
    text = to_markdown(tables)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [len(re.split(r"(?<!\\)\|", row)) for row in rows]
    assert set(cells[:7]) == {11}
    assert "Set apart: other protocol (pixel\\_xyxy instead of norm1000\\_xyxy)." in text


def test_csv_computes_nothing_in_a_spreadsheet(tables: list[Table]) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(tables))))
    assert [row["table"] for row in rows] == ["1", "1", "1", "2"]
    assert rows[3]["set_apart"].startswith("other protocol")
    assert float(rows[0]["f1@0.3"]) > float(rows[0]["f1@0.3_low"]) > 0.8
    assert [row["distinguishable_from_best"] for row in rows] == ["", "False", "True", ""]
    assert rows[0]["max_repeat_low"] == ""
    assert (rows[2]["adapter"], rows[2]["run"][:2]) == ("'+1", "'=")
    for row in rows:
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values())


def test_json_holds_everything(tables: list[Table]) -> None:
    data = json.loads(to_json(tables, ["a line"], seed=3))
    assert (data["schema"], data["seed"], data["resamples"], data["left_out"]) == (1, 3, 1000, ["a line"])
    main = data["tables"][0]
    assert (main["comparisons"], main["permutations"], main["set_apart"]) == (2, 10_000, None)
    assert main["terms"]["protocol"] == "norm1000_xyxy"
    assert [row["rank"] for row in main["rows"]] == [1, 1, 3]
    assert main["rows"][0]["run"] == "alike"
    assert main["rows"][0]["p_vs_best"] is None
    assert main["rows"][2]["distinguishable_from_best"] is True
    assert main["rows"][0]["metrics"]["f1@0.3"]["ci_low"] < 0.9
    assert data["tables"][1]["permutations"] is None


class _Page(HTMLParser):
    """The elements of a page, and the text of its table cells."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def read_page(text: str) -> _Page:
    page = _Page()
    page.feed(text)
    return page


def test_the_page_shows_names_and_runs_nothing_of_them(tables: list[Table]) -> None:
    text = to_html(tables, ["runs/<half>: expected a finished run"])
    page = read_page(text)
    assert len(page.named("script")) == len(page.named("style")) == 1
    assert any(cell.startswith('=HYPERLINK("x")</td><script>') for cell in page.cells)
    assert "runs/&lt;half&gt;" in text
    assert not page.named("b")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert not any({"src", "href", "style"} & attributes.keys() for _, attributes in page.elements)


def test_the_page_may_load_nothing_and_run_its_own_script_only(tables: list[Table]) -> None:
    text = to_html(tables)
    (policy,) = [meta["content"] for meta in read_page(text).named("meta") if "http-equiv" in meta]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (block,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_the_page_says_how_it_is_sorted_and_marks_what_is_like_the_best(tables: list[Table]) -> None:
    page = read_page(to_html(tables))
    heads = [head for head in page.named("th") if head.get("scope") == "col"]
    assert [head.get("aria-sort") for head in heads].count("descending") == 2  # one a table
    assert [row.get("class") for row in page.named("tr")[1:6]] == [None, "best like", "like", None, None]
    numbers = [cell["data-n"] for cell in page.named("td") if "data-n" in cell]
    assert all(isinstance(float(number or ""), float) for number in numbers)
