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
    from boxlist.studies.study_file import Study


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="NAME", help="a study that comes along, or a YAML file")
    parser.add_argument(
        "--model", default="pocket", metavar="A,B", help="models that the study names (default: %(default)s)"
    )
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
    asked = _asked(arguments)
    if arguments.dry_run:
        from boxlist.studies.study import plan_text

        print("\n\n".join(plan_text(grid, pool, replayed=arguments.replay) for grid, pool in asked))
        return 0
    _check_markdown(arguments.markdown)
    quiet(arguments)
    from boxlist.studies.study import do_study, markdown_page

    results = [do_study(grid, pool, replayed=arguments.replay, say=say) for grid, pool in asked]
    if arguments.markdown is not None:
        from boxlist.whole_files import write_text

        write_text(arguments.markdown, markdown_page(results, _command(arguments)))
    _print(results, as_json=arguments.json)
    return 0


def _asked(arguments: argparse.Namespace) -> list[tuple[Grid, Pool]]:
    """What is asked of each model; all of them are looked at before anything runs."""
    from boxlist.studies.study_file import load_study

    study = load_study(arguments.study)
    names = list(dict.fromkeys(arguments.model.split(",")))
    _refuse_one_models_words(arguments, names)
    return [_asked_of(study, name, arguments) for name in names]


def _asked_of(study: Study, name: str, arguments: argparse.Namespace) -> tuple[Grid, Pool]:
    import dataclasses

    from boxlist.runs.request import read_pairs
    from boxlist.studies.grid import plan_grid, with_overrides
    from boxlist.studies.pool import Pool
    from boxlist.studies.study_file import model_of

    model = with_overrides(
        model_of(study, name),
        adapters=_roles(arguments.adapter, "--adapter"),
        tasks=_roles(arguments.task, "--task"),
        model_args=read_pairs(arguments.model_args, "--model-args"),
    )
    if arguments.batch_size is not None:
        model = dataclasses.replace(model, batch_size=arguments.batch_size)
    grid = plan_grid(study, model)
    return grid, Pool(arguments.out, grid.model, arguments.limit, arguments.fresh)


def _refuse_one_models_words(arguments: argparse.Namespace, names: Sequence[str]) -> None:
    """An adapter or checkpoint fits one model, so with several it would be unclear whose it is."""
    from boxlist.errors import InputError

    if len(names) > 1 and (arguments.adapter or arguments.task or arguments.model_args):
        raise InputError(
            "--adapter, --task and --model-args",
            expected="one --model",
            got=",".join(names)[:80],
            remedy="Ask of each model by itself.",
        )


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


def _print(results: Sequence[StudyResult], *, as_json: bool) -> None:
    """As JSON one model is an object, several are `{"models": [object, ...]}`."""
    if as_json:
        found = [result.to_json() for result in results]
        print_json(found[0] if len(found) == 1 else {"models": found})
    else:
        print("\n\n".join(result.text() for result in results))


COMMAND = Command(
    "study", "make one of the paper's tables, or your own, running what is missing", _add_arguments, _study
)
