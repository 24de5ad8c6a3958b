"""`boxlist demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json, quiet, say, whole_number

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where all of it lands (%(default)s)")
    parser.add_argument("--limit", type=whole_number, metavar="N", help="only the first N images of each probe")
    parser.add_argument("--fresh", action="store_true", help="keep the adapters, delete the answers, and ask again")
    add_json(parser)


def _demo(arguments: argparse.Namespace) -> int:
    quiet(arguments)
    from boxlist.demo import demo

    result = demo(arguments.out, limit=arguments.limit, fresh=arguments.fresh, say=say)
    if arguments.json:
        print_json(result.to_json())
    else:
        print(result.text())
    return 0


COMMAND = Command(
    "demo",
    "train adapters of two pocket models, run them under every control, and print one table",
    _add_arguments,
    _demo,
)
