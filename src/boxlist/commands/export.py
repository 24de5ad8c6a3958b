"""`boxlist export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, or lmms-eval's *_samples_TASK.jsonl")
    parser.add_argument("--format", required=True, help="coco, fiftyone, model-card, or scores (for boxlist itself)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (default: beside RUN)")
    parser.add_argument("--task", help="which task of the run, or of the samples")
    parser.add_argument("--protocol", help="how samples of another model write boxes (default: as boxlist's tasks ask)")
    add_json(parser)


def _export(arguments: argparse.Namespace) -> int:
    from boxlist.reports.exports.formats import export

    file, notes = export(
        arguments.run, arguments.format, arguments.out, task=arguments.task, protocol=arguments.protocol
    )
    if arguments.json:
        print_json({"out": str(file), "format": arguments.format, "notes": notes})
    else:
        print("\n".join([str(file), *notes]))
    return 0


COMMAND = Command("export", "write a run in the formats of other tools", _add_arguments, _export)
