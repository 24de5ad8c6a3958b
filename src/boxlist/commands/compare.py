"""`boxlist compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json, say

if TYPE_CHECKING:
    import argparse

MIXABLE = ("prompt", "protocol")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", type=Path, metavar="A", help="a run folder, or a file of boxlist score")
    parser.add_argument("b", type=Path, metavar="B", help="another over the same images; differences are B - A")
    parser.add_argument("--tasks", default="", metavar="T,...", help="only these (default: all; both must have them)")
    parser.add_argument(
        "--mix", action="append", default=[], choices=MIXABLE, help="compare although this differs, as between families"
    )
    parser.add_argument("--by", metavar="METRIC", help="which images changed most (default: the task's first metric)")
    parser.add_argument("--images", type=int, default=10, metavar="N", help="how many of them to list (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of resamples and permutations (default: 0)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the comparison there as Markdown too")
    add_json(parser)


def _compare(arguments: argparse.Namespace) -> int:
    from boxlist.errors import InputError
    from boxlist.metrics.intervals import FEW_IMAGES
    from boxlist.reports.comparison import compare_runs
    from boxlist.reports.comparison_text import to_json, to_markdown, to_terminal
    from boxlist.reports.output_files import check_output
    from boxlist.reports.saved_runs import read_saved_run
    from boxlist.whole_files import write_text

    for name, value in (("--seed", arguments.seed), ("--images", arguments.images)):
        if value < 0:
            raise InputError(name, expected="0 or more", got=str(value), remedy="Choose another.")
    if arguments.markdown:
        check_output(arguments.markdown, (arguments.a, arguments.b))
    comparison = compare_runs(
        read_saved_run(arguments.a),
        read_saved_run(arguments.b),
        [name.strip() for name in arguments.tasks.split(",") if name.strip()],
        mixed=arguments.mix,
        by=arguments.by,
        seed=arguments.seed,
        n_images=arguments.images,
    )
    few = [f"{task.name} has {task.n_pictures}" for task in comparison.tasks if task.few_images]
    if few:
        say(f"warning: under {FEW_IMAGES} images intervals are narrower than they should be: {', '.join(few)}")
    if arguments.markdown:
        write_text(arguments.markdown, to_markdown(comparison) + "\n")
    if arguments.json:
        print_json(to_json(comparison))
    else:
        print(to_terminal(comparison))
    return 0


COMMAND = Command("compare", "compare two runs over the same images", _add_arguments, _compare)
