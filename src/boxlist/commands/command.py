"""What every command is, and how commands speak: results on stdout, everything else on stderr."""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boxlist.runs.engine import RunResult

WRONG_INPUT = 2


class Command(NamedTuple):
    """One command: its name, its line in the help, its arguments, and what it does, giving the exit status."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    handler: Callable[[argparse.Namespace], int]


def say(message: str) -> None:
    """One line for the user, on stderr."""
    print(f"boxlist: {message}", file=sys.stderr)


def whole_number(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text[:40]!r}")
    return int(text)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def print_json(value: object) -> None:
    print(json.dumps(value, indent=1, allow_nan=False))


def quiet(arguments: argparse.Namespace) -> None:
    """Keep other libraries' talk off the terminal, unless `--debug` was given."""
    if not arguments.debug:
        from boxlist.runs.quiet import quiet_libraries

        quiet_libraries()


def print_scores(scores: Mapping[str, Any], more: Mapping[str, Any], *, as_json: bool) -> None:
    """The figures of a `scores.json` as a table, or with `more` as JSON."""
    from boxlist.reports.scores_text import few_images_text, scores_text

    few = few_images_text(scores)
    if few is not None:
        say(few)
    if as_json:
        tasks = {name: {"n": task["n"], "metrics": task["metrics"]} for name, task in scores["tasks"].items()}
        print_json({**more, "tasks": tasks})
    else:
        print(scores_text(scores))


def print_run(result: RunResult, *, as_json: bool) -> int:
    """A finished run's figures, and where it lies; the exit status."""
    more = {"run": str(result.path), "computed": result.computed}
    print_scores(result.scores, more, as_json=as_json)
    if not as_json:
        print(f"\n{result.path}: {result.run['answers']} answers, {result.computed} of them new")
    return 0
