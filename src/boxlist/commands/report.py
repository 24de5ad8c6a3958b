"""`boxlist report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import WRONG_INPUT, Command, say, whole_number

if TYPE_CHECKING:
    import argparse

    from boxlist.reports.page.answered import Answered
    from boxlist.reports.saved_runs import SavedRun


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run folders, scores files, or folders of them"
    )
    parser.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help="(default: %(default)s)")
    parser.add_argument(
        "--images",
        type=whole_number,
        default=80,
        metavar="N",
        help="how many pictures, the worst (default: %(default)s)",
    )
    parser.add_argument("--answers", type=Path, metavar="FILE", help="what boxlist score read, to show its pictures")
    parser.add_argument("--ground-truth", type=Path, metavar="COCO", help="likewise, with --answers")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="where that ground truth's pictures lie")


def _report(arguments: argparse.Namespace) -> int:
    from boxlist.reports.leaderboard.places import find_all
    from boxlist.reports.page.document import make_report
    from boxlist.whole_files import write_text

    paths, problems = find_all(arguments.runs, arguments.out)
    runs = _read(paths, problems)
    for problem in problems:
        say(problem)
    if not runs:
        return WRONG_INPUT
    page = make_report(runs, given=_given(arguments, runs), n_images=arguments.images, problems=problems, say=say)
    write_text(arguments.out, page)
    print(f"{arguments.out}: {len(runs)} run{'s' * (len(runs) != 1)}, {len(page) / 1e6:.1f} MB")
    return 0


COMMAND = Command(
    "report", "runs as one HTML page: figures, and answers drawn on the pictures", _add_arguments, _report
)


def _read(paths: list[Path], problems: list[str]) -> list[SavedRun]:
    """The runs that can be read; a line for each of the others."""
    from boxlist.errors import InputError
    from boxlist.reports.saved_runs import read_saved_run

    runs = []
    for path in paths:
        try:
            runs.append(read_saved_run(path))
        except InputError as error:
            problems.append(str(error))
    return runs


def _given(arguments: argparse.Namespace, runs: list[SavedRun]) -> dict[int, Answered]:
    """The answers that the three options name, for the one file of `boxlist score` among the runs."""
    from boxlist.errors import InputError
    from boxlist.reports.page.saved_files import Files, from_files

    named = (arguments.answers, arguments.ground_truth, arguments.pictures)
    if not any(named):
        return {}
    scored = [place for place, run in enumerate(runs) if not run.run]
    if not all(named) or len(scored) != 1:
        raise InputError(
            "--answers, --ground-truth, --pictures",
            expected="all three, and one file of boxlist score",
            got=f"{sum(map(bool, named))} of them, {len(scored)} such files",
            remedy="Make a report of each scores file.",
        )
    return {scored[0]: from_files(runs[scored[0]], Files(*named))}
