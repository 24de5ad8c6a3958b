"""`boxlist study`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.commands.command import Command, add_json, print_json, quiet, say, whole_number

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from boxlist.studies.grid import Grid
    from boxlist.studies.pool import Pool
    from boxlist.studies.study import StudyResult


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="NAME", help="a study that comes along, or a YAML file")
    parser.add_argument("--model", default="pocket", help="a model that the study names (default: %(default)s)")
    parser.add_argument("--adapter", action="append", default=[], metavar="ROLE=PATH", help="your adapter for a role")
    parser.add_argument("--task", action="append", default=[], metavar="ROLE=TASK", help="another task for a role")
    parser.add_argument(
        "--model-args", default="", metavar="K=V,...", help="pretrained=, protocol=, dtype=, device=, ..."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/studies"), help="where runs and adapters lie (%(default)s)"
    )
    parser.add_argument("--limit", type=whole_number, metavar="N", help="only the first N images of each task")
    parser.add_argument("--batch-size", type=whole_number, metavar="N", help="images at a time (default: the study's)")
    parser.add_argument("--replay", action="store_true", help="make repeat-stop rows from raw answers")
    parser.add_argument("--fresh", action="store_true", help="keep adapters, delete this study's answers, ask again")
    parser.add_argument("--dry-run", action="store_true", help="print what would be trained and run")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table to a file too")
    add_json(parser)


def _study(arguments: argparse.Namespace) -> int:
    grid, pool = _asked(arguments)
    if arguments.dry_run:
        from boxlist.studies.study import plan_text

        print(plan_text(grid, pool, replayed=arguments.replay))
        return 0
    _check_markdown(arguments.markdown)
    quiet(arguments)
    from boxlist.studies.study import do_study

    result = do_study(grid, pool, replayed=arguments.replay, say=say)
    if arguments.markdown is not None:
        from boxlist.whole_files import write_text

        write_text(arguments.markdown, result.markdown(_command(arguments)))
    _print(result, as_json=arguments.json)
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[Grid, Pool]:
    import dataclasses

    from boxlist.runs.request import read_pairs
    from boxlist.studies.grid import plan_grid, with_overrides
    from boxlist.studies.pool import Pool
    from boxlist.studies.study_file import load_study, model_of

    study = load_study(arguments.study)
    model = with_overrides(
        model_of(study, arguments.model),
        adapters=_roles(arguments.adapter, "--adapter"),
        tasks=_roles(arguments.task, "--task"),
        model_args=read_pairs(arguments.model_args, "--model-args"),
    )
    if arguments.batch_size is not None:
        model = dataclasses.replace(model, batch_size=arguments.batch_size)
    return plan_grid(study, model), Pool(arguments.out, model, arguments.limit, arguments.fresh)


def _roles(given: Sequence[str], where: str) -> dict[str, str]:
    """ROLE=VALUE pairs, each role once."""
    from boxlist.errors import InputError

    pairs: dict[str, str] = {}
    for text in given:
        role, _, value = text.partition("=")
        if not value or role in pairs:
            got = "it twice" if role in pairs else "neither"
            raise InputError(
                f"{where} {text[:80]!r}", expected="ROLE=VALUE, a role once", got=got, remedy="Correct it."
            )
        pairs[role] = value
    return pairs


def _check_markdown(file: Path | None) -> None:
    """Said before hours of work, not after them."""
    from boxlist.errors import InputError

    if file is not None and (file.is_dir() or not file.parent.is_dir()):
        raise InputError(f"--markdown {file}", expected="a file in a folder that exists", got="none", remedy="Make it.")


def _command(arguments: argparse.Namespace) -> str:
    """The words that decide the table."""
    words = ["boxlist study", arguments.study, "--model", arguments.model]
    words += [f"--adapter {pair}" for pair in arguments.adapter] + [f"--task {pair}" for pair in arguments.task]
    words += [f"--model-args {arguments.model_args}"] if arguments.model_args else []
    words += [f"--limit {arguments.limit}"] if arguments.limit else []
    return " ".join([*words, *(["--replay"] if arguments.replay else [])])


def _print(result: StudyResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result.to_json())
    else:
        print(result.text())


COMMAND = Command(
    "study", "make one of the paper's tables, or your own, running what is missing", _add_arguments, _study
)
