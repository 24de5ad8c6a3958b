"""`boxlist gate`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json, say

if TYPE_CHECKING:
    import argparse

    from boxlist.reports.gate.plan import GatePlan
    from boxlist.reports.gate.verdicts import GateResult
    from boxlist.reports.saved_runs import SavedRun


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Judge a run by a committed file. Exit status: 0 pass, 1 a line fails, 3 none fails but some cannot tell, "
        "2 wrong input."
    )
    parser.add_argument("gate", type=Path, metavar="GATE.yaml", help="margins, limits and the baseline")
    parser.add_argument("--run", type=Path, metavar="RUN", help="the run to judge (default: the file's run)")
    parser.add_argument("--accept", action="store_true", help="make the run the baseline, and judge nothing")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a Markdown summary there")
    add_json(parser)


def _gate(arguments: argparse.Namespace) -> int:
    from boxlist.errors import InputError
    from boxlist.reports.gate.baseline import read_baseline
    from boxlist.reports.gate.plan import read_plan
    from boxlist.reports.gate.verdicts import judge_run
    from boxlist.reports.output_files import check_output
    from boxlist.reports.saved_runs import read_saved_run

    plan = read_plan(arguments.gate)
    run_path = arguments.run or plan.run
    if run_path is None:
        raise InputError(str(plan.path), expected="a run to judge", got="none", remedy="Pass --run RUN.")
    inputs = [path for path in (plan.path, plan.baseline, run_path) if path is not None]
    for out in (arguments.junit, arguments.markdown):
        if out is not None:
            check_output(out, inputs)
    run = read_saved_run(run_path)
    if arguments.accept:
        return _accept(plan, run, as_json=arguments.json)
    result = judge_run(plan, read_baseline(plan.baseline) if plan.baseline else None, run)
    _report(result, arguments)
    return result.exit_status


def _accept(plan: GatePlan, run: SavedRun, *, as_json: bool) -> int:
    from boxlist.reports.gate.acceptance import accept_run
    from boxlist.reports.gate.texts import accepted_text

    changes = accept_run(plan, run)
    if as_json:
        print_json(
            {"baseline": str(plan.baseline), "run": run.name, "figures": [change._asdict() for change in changes]}
        )
    else:
        print(accepted_text(changes, run, plan.baseline))
    return 0


def _report(result: GateResult, arguments: argparse.Namespace) -> None:
    from boxlist.reports.gate.data import to_json, to_junit
    from boxlist.reports.gate.texts import few_images_text, github_annotations, to_markdown, to_terminal
    from boxlist.whole_files import write_text

    few = few_images_text(result)
    if few is not None:
        say(few)
    if arguments.junit:
        write_text(arguments.junit, to_junit(result))
    if arguments.markdown:
        write_text(arguments.markdown, to_markdown(result))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(to_markdown(result) + "\n")
    if arguments.json:
        print_json(to_json(result))
    else:
        print(to_terminal(result))
    if os.environ.get("GITHUB_ACTIONS") == "true":
        # the runner reads both streams; with --json stdout holds JSON and nothing else
        print("\n".join(github_annotations(result)), file=sys.stderr if arguments.json else sys.stdout)


COMMAND = Command("gate", "pass, fail or cannot tell: a run against its committed baseline", _add_arguments, _gate)
