"""Tables: what stands together, what is set apart and why, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from boxlist.errors import InputError
from boxlist.reports.leaderboard.conditions import read_condition
from boxlist.reports.leaderboard.entries import read_entries
from boxlist.reports.leaderboard.tables import build_tables

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.reports.leaderboard.tables import Table

HIGH, MIDDLE, LOW = [9, 8] * 20, [5, 6] * 20, [1, 0] * 20
GOOD, BAD = {"path": "org/good", "weights_sha256": "1"}, {"path": "org/bad", "weights_sha256": "2"}


def tables_of(*paths: Path, sort: str | None = None, **options: Any) -> list[Table]:
    read = read_entries(paths, sort)
    assert read.problems == []
    return build_tables(read.entries, **options)


def names(table: Table) -> list[list[str]]:
    return [[row.entry.name for row in group.rows] for group in table.groups]


def test_rows_are_grouped_by_base_and_ranked_across(save_run: Callable[..., Path]) -> None:
    paths = [
        save_run("bad-raw", LOW, base=BAD),
        save_run("bad-adapter", MIDDLE, base={**BAD, "path": "elsewhere/bad"}, adapter={"path": "a"}),
        save_run("good-raw", LOW, base=GOOD),
        save_run("good-adapter", HIGH, base=GOOD, adapter={"path": "b"}, controls={"budget": 8, "repeat_stop": True}),
    ]
    (table,) = tables_of(*paths)
    assert [group.base for group in table.groups] == ["org/good", "elsewhere/bad"]
    assert names(table) == [["good-adapter", "good-raw"], ["bad-adapter", "bad-raw"]]
    assert [row.standing.rank for row in table.rows] == [1, 3, 2, 3]
    assert [row.is_best for row in table.rows] == [True, False, False, False]
    assert [row.standing.is_different for row in table.rows] == [None, True, True, True]
    assert table.rows[0].entry.controls == "budget=8,repeat_stop"
    assert (table.comparisons, table.apart, table.n_images, table.few_images) == (3, None, 40, False)
    (flat,) = tables_of(*paths, by_base=False)
    assert names(flat) == [["good-adapter", "bad-adapter", "bad-raw", "good-raw"]]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": "pixel_xyxy"}, "other protocol (pixel_xyxy instead of norm1000_xyxy)"),
        ({"prompt": "q" * 64}, "other prompt (qqqqqqqq instead of pppppppp)"),
        ({"images": "e" * 64}, "other ground truth (eeeeeeee instead of dddddddd)"),
        ({"definitions": "old"}, "other definitions (old instead of "),
        ({"protocol": None}, "other protocol (not recorded instead of norm1000_xyxy)"),
        ({"image_ids": range(11, 51)}, "other images (40 instead of 40, 30 ids in common)"),
    ],
)
def test_what_is_not_comparable_is_set_apart_with_the_reason(
    change: dict[str, Any], reason: str, save_run: Callable[..., Path]
) -> None:
    paths = [save_run("other", HIGH, **change), save_run("a", MIDDLE), save_run("b", LOW)]
    main, apart = tables_of(*paths)
    assert (names(main), main.apart) == ([["a", "b"]], None)
    assert names(apart) == [["other"]]
    assert apart.apart is not None
    assert apart.apart.startswith(reason)
    assert apart.rows[0].standing.rank == 1


def test_a_shorter_run_is_not_ranked_among_longer_ones(save_run: Callable[..., Path]) -> None:
    main, apart = tables_of(save_run("short", HIGH[:10]), save_run("a", MIDDLE), save_run("b", LOW))
    assert apart.apart == "other images (10 instead of 40, 10 ids in common)"
    assert (apart.few_images, main.few_images) == (True, False)


def test_the_order_of_images_in_a_file_does_not_matter(save_run: Callable[..., Path]) -> None:
    tp = [*range(10), *range(10), *range(10), *range(10)]
    paths = [save_run("a", tp), save_run("b", tp[::-1], image_ids=range(40, 0, -1))]
    (table,) = tables_of(*paths)
    # image for image the same outcomes: no swap changes anything
    assert [row.standing.p for row in table.rows] == [None, 1.0]
    assert [row.standing[:3] for row in table.rows] == [(1, 1, 1), (1, 1, 1)]


def test_the_user_may_mix_protocols_and_is_told(save_run: Callable[..., Path]) -> None:
    paths = [save_run("a", HIGH), save_run("b", LOW, protocol="pixel_xyxy")]
    (table,) = tables_of(*paths, mixed=["protocol", "prompt"])
    assert names(table) == [["a", "b"]]
    assert table.mixed == ("protocol",)
    assert (table.terms.protocol, table.terms.prompt) == (None, "p" * 64)


def test_tasks_have_tables_of_their_own(save_run: Callable[..., Path]) -> None:
    tables = tables_of(save_run("a", HIGH), save_run("b", LOW, task="boxlist_dense_bbox_trees"))
    assert [(table.task, table.apart) for table in tables] == [
        ("boxlist_dense_bbox_shapes", None),
        ("boxlist_dense_bbox_trees", None),
    ]


def test_files_of_boxlist_score_share_a_table_whatever_their_answers_were_called(save_run: Callable[..., Path]) -> None:
    files = [save_run("one", HIGH, task="answers-1"), save_run("two", LOW, task="answers-2")]
    (table,) = tables_of(*(folder / "scores.json" for folder in files))
    assert (table.task, names(table)) == ("saved answers", [["one", "two"]])
    assert table.groups[0].base is None


def test_runs_of_one_name_are_called_by_their_paths(save_run: Callable[..., Path]) -> None:
    paths = [save_run("x/night", HIGH), save_run("y/night", LOW), save_run("day", LOW)]
    (table,) = tables_of(*paths)
    assert names(table) == [[str(paths[0]), str(paths[1]), "day"]]


def test_sorting_by_a_metric_that_is_better_when_lower(save_run: Callable[..., Path]) -> None:
    paths = [save_run("a", HIGH, max_repeat=[7] * 40), save_run("b", LOW, max_repeat=[2] * 40)]
    (table,) = tables_of(*paths, sort="max_repeat", columns=["parse_valid"])
    assert names(table) == [["b", "a"]]
    assert table.columns == ("max_repeat", "parse_valid")
    assert [row.is_best for row in table.rows] == [True, False]


def test_figures_that_are_not_those_of_the_images_are_refused(save_run: Callable[..., Path]) -> None:
    path = save_run("a", HIGH)
    text = (path / "scores.json").read_text()
    assert '"value": 0.85' in text
    (path / "scores.json").write_text(text.replace('"value": 0.85', '"value": 0.95'))
    read = read_entries([path])
    assert read.entries == []
    told = "task boxlist_dense_bbox_shapes: expected the f1@0.3 of its images, 0.85, got 0.95. Score the answers again."
    assert read.problems == [f"{path}: {told}"]


def test_a_run_without_the_metric_is_ranked_by_its_own(save_run: Callable[..., Path]) -> None:
    paths = [save_run("a", HIGH), save_run("b", LOW), save_run("c", LOW, metrics=["f1@0.3"])]
    main, apart = tables_of(*paths, sort="parse_valid")
    assert (main.sort, apart.sort, apart.apart) == ("parse_valid", "f1@0.3", "no parse_valid")


def test_a_run_without_a_metric_to_rank_by_says_what_it_has(save_run: Callable[..., Path]) -> None:
    read = read_entries([save_run("a", HIGH, metrics=["parse_valid"])], "max_repeat")
    assert "expected one of the metrics max_repeat, f1@0.3, target_shape_valid, choice_accuracy" in read.problems[0]
    assert "got parse_valid." in read.problems[0]


def test_hostile_rows_of_run_json_do_no_harm(save_run: Callable[..., Path]) -> None:
    path = save_run("a", HIGH, base=[1], adapter="x", controls=7, tasks=None, name="\x1b[31m" + "n" * 500)
    (table,) = tables_of(path)
    entry = table.rows[0].entry
    assert (entry.base, entry.adapter, entry.controls) == ("", "", "raw")
    assert entry.name.startswith(" [31mnnn")
    assert len(entry.name) == 120


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("parse_valid>=0.9", 0.9, True),
        ("parse_valid > 0.9", 0.9, False),
        (" parse_valid<1 ", 0.9, True),
        ("parse_valid<=.5", 0.9, False),
        ("parse_valid=0.9", 0.9, True),
        ("parse_valid!=0.9", 0.9, False),
        ("parse_valid>=0", None, False),
        ("f1@0.3>=0", 0.9, False),
    ],
)
def test_conditions(text: str, value: float | None, holds: bool) -> None:
    figure: Any = {"value": value}
    assert read_condition(text).holds({"parse_valid": figure}) is holds


@pytest.mark.parametrize("text", ["", "parse_valid", "parse_valid>=high", ">=1", "parse_valid>=1e9999", "a>=1>=2"])
def test_conditions_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"expected METRIC, one of >= <= > < == !=, and a number, got something else"):
        read_condition(text)
    with pytest.raises(InputError, match=r"metric 'parse_vald': .*Did you mean parse_valid"):
        read_condition("parse_vald>=1")
