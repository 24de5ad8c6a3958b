"""Which runs a leaderboard reads, and where it may be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.reports.output_files import check_output
from boxlist.reports.saved_runs import find_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def find_all(given: Sequence[Path], out: Path | None = None) -> tuple[list[Path], list[str]]:
    """Every run once, in the given order, and a line for each place that holds none.

    An earlier leaderboard at `out` is no run. `InputError` where writing `out` would destroy one.
    """
    found: dict[Path, Path] = {}
    problems = []
    for path in given:
        try:
            for run in find_runs(path):
                found.setdefault(run.resolve(), run)
        except InputError as error:
            problems.append(str(error))
    if out is not None:
        check_output(out, given)
        found.pop(out.resolve(), None)
    return list(found.values()), problems
