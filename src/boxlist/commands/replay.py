"""`boxlist replay`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_run

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished greedy run")
    parser.add_argument("--controls", required=True, metavar="C,...", help="what to add, such as repeat_stop")
    parser.add_argument("--name", help="the new run folder's name (default: RUN's, and the controls)")
    parser.add_argument("--out", type=Path, help="where the new run folder lies (default: beside RUN)")
    add_json(parser)


def _replay(arguments: argparse.Namespace) -> int:
    from boxlist.controls.table import parse_controls
    from boxlist.runs.replay import replay

    source: Path = arguments.run
    controls = parse_controls(arguments.controls)
    name = arguments.name or f"{source.resolve().name}+{controls.name.replace(',', '+')}"
    result = replay(source, controls, name, arguments.out or source.parent)
    return print_run(result, as_json=arguments.json)


COMMAND = Command(
    "replay", "make the row of another control from the answers of a finished run", _add_arguments, _replay
)
