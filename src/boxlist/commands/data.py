"""`boxlist data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.commands.command import WRONG_INPUT, Command, add_json, print_json

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("build", "check"), help="build: on first use; check: every file's hash")
    parser.add_argument("name", metavar="NAME", help="the data set")
    add_json(parser)


def _data(arguments: argparse.Namespace) -> int:
    from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset

    problems: list[str] = []
    if arguments.action == "build":
        build_dataset(arguments.name)
    else:
        problems = check_dataset(arguments.name)
    lines = problems or describe_dataset(arguments.name)
    if arguments.json:
        print_json({"data": arguments.name, "problems": problems, "splits": [] if problems else lines})
    else:
        print("\n".join(lines))
    return WRONG_INPUT if problems else 0


COMMAND = Command("data", "build or check a data set", _add_arguments, _data)
