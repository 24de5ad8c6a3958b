"""`boxlist by-objects`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json, say

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folders, or files of boxlist score")
    parser.add_argument(
        "--bins",
        metavar="N,...",
        help="the least number of objects of each bin, such as 0,1,5,20 (default: by what there is)",
    )
    add_json(parser)


def _by_objects(arguments: argparse.Namespace) -> int:
    from boxlist.metrics.intervals import FEW_IMAGES
    from boxlist.reports.object_curves import curves_json, curves_text, object_curves
    from boxlist.reports.saved_runs import find_runs, read_saved_run

    runs = [read_saved_run(path) for given in arguments.runs for path in find_runs(given)]
    curves = object_curves(runs, None if arguments.bins is None else _starts(arguments.bins))
    if any(each.n_images < FEW_IMAGES for curve in curves for each in curve.bins):
        say(f"warning: in bins of under {FEW_IMAGES} images intervals are narrower than they should be")
    if arguments.json:
        print_json({"curves": curves_json(curves)})
    else:
        print(curves_text(curves))
    return 0


def _starts(text: str) -> list[int]:
    from boxlist.errors import InputError

    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) <= 6 for word in words):
        got = repr(text[:40])
        raise InputError("--bins", expected="whole numbers, such as 0,1,5,20", got=got, remedy="Correct it.")
    return [int(word) for word in words]


COMMAND = Command("by-objects", "box figures against the number of objects in the picture", _add_arguments, _by_objects)
