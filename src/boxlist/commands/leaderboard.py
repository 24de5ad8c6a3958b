"""`boxlist leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import WRONG_INPUT, Command, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from boxlist.reports.leaderboard.conditions import Condition
    from boxlist.reports.leaderboard.tables import Table

ENDINGS = {".md": "markdown", ".csv": "csv", ".json": "json", ".html": "html", ".htm": "html"}
FORMATS = ("terminal", "markdown", "csv", "json", "html")
MIXABLE = ("prompt", "protocol")
MANY = 100


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUNS", help="run folders, scores files, or folders that hold some"
    )
    parser.add_argument("--sort", metavar="METRIC", help="rank by it (default: f1@0.3, or else target_shape_valid)")
    parser.add_argument(
        "--where", action="append", default=[], metavar="COND", help="only runs with, such as 'parse_valid>=0.9'"
    )
    parser.add_argument("--tasks", default="", metavar="T,...", help="only these")
    parser.add_argument("--group-by", choices=("base", "none"), default="base", help="(default: %(default)s)")
    parser.add_argument("--columns", metavar="M,...", help="the metrics to show beside the one that ranks")
    parser.add_argument(
        "--mix",
        action="append",
        default=[],
        choices=MIXABLE,
        help="rank together although this differs; tables say so",
    )
    parser.add_argument("--seed", type=int, default=0, help="of resamples and permutations (default: 0)")
    parser.add_argument("--format", choices=FORMATS, help="(default: by the ending of --out, or terminal)")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there, not to the terminal")


def _leaderboard(arguments: argparse.Namespace) -> int:
    from boxlist.reports.leaderboard.entries import read_entries
    from boxlist.reports.leaderboard.places import find_all
    from boxlist.reports.leaderboard.tables import build_tables

    conditions, columns = _read_choices(arguments)
    tasks = _words(arguments.tasks)
    paths, problems = find_all(arguments.runs, arguments.out)
    read = read_entries(_counted(paths), arguments.sort, tasks)
    problems += read.problems
    for problem in problems:
        say(problem)
    if not read.tasks:
        return WRONG_INPUT
    _check_tasks(tasks, read.tasks)
    passing = [entry for entry in read.entries if all(condition.holds(entry.figures) for condition in conditions)]
    if len(passing) < len(read.entries):
        say(f"--where leaves out {len(read.entries) - len(passing)} of {len(read.entries)} rows")
    tables = build_tables(
        passing, columns, by_base=arguments.group_by == "base", mixed=arguments.mix, seed=arguments.seed
    )
    _show(arguments, tables, problems)
    return 0


COMMAND = Command("leaderboard", "rank runs over the same images in one table", _add_arguments, _leaderboard)


def _read_choices(arguments: argparse.Namespace) -> tuple[list[Condition], list[str] | None]:
    """The conditions and columns; raises `InputError` for whatever is no metric, before anything is read."""
    from boxlist.errors import InputError, unknown_name
    from boxlist.metrics.table import METRICS
    from boxlist.reports.leaderboard.conditions import read_condition

    columns = _words(arguments.columns) if arguments.columns else None
    for metric in (*([arguments.sort] if arguments.sort else []), *(columns or ())):
        if metric not in METRICS:
            raise unknown_name("metric", metric, METRICS)
    if arguments.seed < 0:
        raise InputError("--seed", expected="0 or more", got=str(arguments.seed), remedy="Choose another.")
    return [read_condition(text) for text in arguments.where], columns


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _counted(paths: Sequence[Path]) -> Iterable[Path]:
    """With a bar on a terminal's stderr where reading takes long."""
    if len(paths) < MANY:
        return paths
    from tqdm import tqdm

    return tqdm(paths, desc="reading runs", unit="run", leave=False, disable=None)


def _check_tasks(asked: Sequence[str], there: set[str]) -> None:
    from boxlist.errors import unknown_name

    for name in asked:
        if name not in there:
            raise unknown_name("task", name, there)


def _show(arguments: argparse.Namespace, tables: Sequence[Table], problems: Sequence[str]) -> None:
    from boxlist.reports.leaderboard.data import to_csv, to_json
    from boxlist.reports.leaderboard.page import to_html
    from boxlist.reports.leaderboard.text import to_markdown, to_terminal
    from boxlist.whole_files import write_text

    out: Path | None = arguments.out
    writers: dict[str, Callable[[], str]] = {
        "terminal": lambda: to_terminal(tables),
        "markdown": lambda: to_markdown(tables),
        "csv": lambda: to_csv(tables),
        "json": lambda: to_json(tables, problems, arguments.seed),
        "html": lambda: to_html(tables, problems),
    }
    text = writers[arguments.format or (ENDINGS.get(out.suffix, "terminal") if out else "terminal")]()
    if out is None:
        print(text)
    else:
        write_text(out, text + "\n")
