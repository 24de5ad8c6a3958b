"""The command line: arguments in, one function called, what it found out. No work is done here.

Nothing heavy is imported before a command needs it. Exit status: 0 done, 2 wrong input (one line on stderr), 130
stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import boxlist
from boxlist.errors import BoxlistError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from boxlist.runs.engine import RunResult

WRONG_INPUT, INTERRUPTED = 2, 130
_SHOWN_IDS = 5


class Command(NamedTuple):
    """One command: its name, its line in the help, its arguments, and what it does."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    handler: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in given
    try:
        arguments = _parse(given)
        handler: Callable[[argparse.Namespace], int] = arguments.handler
        return handler(arguments)
    except BoxlistError as error:
        return _refuse(str(error), debug=debug)
    except KeyboardInterrupt as stop:
        _say(str(stop) or "stopped")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout has gone: `boxlist ... | head`
        sys.stdout = None
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _refuse(f"{error.filename}: {error.strerror}", debug=debug)


def _refuse(message: str, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    _say(message)
    return WRONG_INPUT


def _say(message: str) -> None:
    print(f"boxlist: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """argparse with one line for an error, as for all other wrong input."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{self.prog.removeprefix('boxlist ')}: {message} (see {self.prog} --help)")


class _UsageError(BoxlistError):
    """Arguments that cannot be read."""


def _parse(given: Sequence[str]) -> argparse.Namespace:
    parser = build_parser()
    name = next((word for word in given if not word.startswith("-")), None)
    known = [command.name for command in COMMANDS]
    if name is not None and name not in known:
        raise unknown_name("command", name, known)
    return parser.parse_args(given)


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command in `COMMANDS`."""
    parser = _Parser(prog="boxlist", description=boxlist.__doc__)
    parser.add_argument("--version", action="version", version=f"boxlist {boxlist.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what the libraries say")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.add_arguments(sub)
        sub.set_defaults(handler=command.handler)
    return parser


def _count(text: str) -> int:
    """A whole number above 0."""
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text[:40]!r}")
    return int(text)


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


# -- run


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="boxlist_hf", help="a boxlist model class (default: %(default)s)")
    parser.add_argument(
        "--model-args",
        required=True,
        metavar="K=V,...",
        help="pretrained=CHECKPOINT, and adapter=, protocol=, dtype=, device=, revision=, trust_remote_code=",
    )
    parser.add_argument("--tasks", required=True, metavar="A,B", help="the probes to ask")
    parser.add_argument("--controls", default="", metavar="C,...", help="such as budget=8,repeat_stop (default: raw)")
    parser.add_argument("--name", help="the run folder's name (default: from adapter or checkpoint, and controls)")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="where run folders lie (default: %(default)s)")
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N images of each task")
    parser.add_argument("--batch-size", type=_count, metavar="N", help="images at a time (default: 1)")
    parser.add_argument("--max-new-tokens", type=_count, metavar="N", help="instead of the task's own limit")
    parser.add_argument("--gen-kwargs", default="", metavar="K=V,...", help="other generation arguments")
    parser.add_argument("--seed", type=int, default=0, help="of sampling and of the intervals (default: 0)")
    parser.add_argument("--fresh", action="store_true", help="delete this run's answers and scores, and start again")
    _add_json(parser)


def _run(arguments: argparse.Namespace) -> int:
    from boxlist.controls.table import parse_controls
    from boxlist.runs.request import RunRequest, default_name, read_pairs, take_batch_size

    controls = parse_controls(arguments.controls)
    model_args = read_pairs(arguments.model_args, "--model-args")
    generation = read_pairs(arguments.gen_kwargs, "--gen-kwargs")
    if arguments.max_new_tokens is not None:
        generation["max_new_tokens"] = arguments.max_new_tokens
    batch_size = take_batch_size(model_args)
    request = RunRequest(
        tasks=tuple(filter(None, (name.strip() for name in arguments.tasks.split(",")))),
        name=arguments.name or default_name(model_args, controls),
        model_args=model_args,
        model=arguments.model,
        controls=controls,
        out=arguments.out,
        limit=arguments.limit,
        batch_size=arguments.batch_size or batch_size,
        seed=arguments.seed,
        generation_kwargs=generation,
        fresh=arguments.fresh,
    )
    _quiet(arguments)
    from boxlist.runs.engine import run

    return _print_run(run(request, _say), as_json=arguments.json)


def _print_run(result: RunResult, *, as_json: bool) -> int:
    more = {"run": str(result.path), "computed": result.computed}
    _print_scores(result.scores, more, as_json=as_json)
    if not as_json:
        print(f"\n{result.path}: {result.run['answers']} answers, {result.computed} of them new")
    return 0


def _print_scores(scores: Mapping[str, Any], more: Mapping[str, Any], *, as_json: bool) -> None:
    from boxlist.reports.scores_text import few_images_text, scores_text

    few = few_images_text(scores)
    if few is not None:
        _say(few)
    if as_json:
        tasks = {name: {"n": task["n"], "metrics": task["metrics"]} for name, task in scores["tasks"].items()}
        _print_json({**more, "tasks": tasks})
    else:
        print(scores_text(scores))


# -- score


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "answers", type=Path, metavar="ANSWERS", help='JSON lines: {"image_id": ..., "response": "..."}'
    )
    parser.add_argument("--ground-truth", type=Path, required=True, metavar="COCO", help="a COCO annotations file")
    parser.add_argument("--protocol", required=True, help="how the answers write boxes, such as pixel_xyxy")
    parser.add_argument("--out", type=Path, default=Path("scores.json"), help="the file to write (%(default)s)")
    parser.add_argument("--task", help="the task's name in it (default: the answers file's, without its ending)")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals (default: 0)")
    parser.add_argument("--drop-invalid", action="store_true", help="leave impossible ground-truth boxes out")
    _add_json(parser)


def _score(arguments: argparse.Namespace) -> int:
    import warnings

    from boxlist.metrics.intervals import FewImagesWarning
    from boxlist.reports.score_command import score_files

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewImagesWarning)  # said below, in one line
        scores = score_files(
            arguments.answers,
            arguments.ground_truth,
            arguments.protocol,
            arguments.out,
            arguments.seed,
            task=arguments.task,
            drop_invalid=arguments.drop_invalid,
        )
    for task in scores["tasks"].values():
        missing = task["missing_answers"]
        if missing:
            more = ", ..." if len(missing) > _SHOWN_IDS else ""
            ids = ", ".join(map(str, missing[:_SHOWN_IDS]))
            _say(f"{len(missing)} images have no answer and count as empty: {ids}{more}")
    _print_scores(scores, {"out": str(arguments.out)}, as_json=arguments.json)
    return 0


# -- replay


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished greedy run")
    parser.add_argument("--controls", required=True, metavar="C,...", help="what to add: repeat_stop")
    parser.add_argument("--name", help="the new run folder's name (default: RUN's, and +repeat_stop)")
    parser.add_argument("--out", type=Path, help="where the new run folder lies (default: beside RUN)")
    _add_json(parser)


def _replay(arguments: argparse.Namespace) -> int:
    from boxlist.controls.table import parse_controls
    from boxlist.runs.replay import replay

    source: Path = arguments.run
    name = arguments.name or f"{source.resolve().name}+repeat_stop"
    result = replay(source, parse_controls(arguments.controls), name, arguments.out or source.parent)
    return _print_run(result, as_json=arguments.json)


# -- train


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's YAML file, or the name of one that comes along")
    parser.add_argument("--out", type=Path, help="the adapter's folder (default: runs/adapters/RECIPE)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted training, or keep a finished")
    _add_json(parser)


def _train(arguments: argparse.Namespace) -> int:
    _quiet(arguments)
    from boxlist.adapters_training.train import train

    trained = train(arguments.recipe, arguments.out, resume=arguments.resume)
    last = trained.losses[-1] if trained.losses else None
    if arguments.json:
        _print_json({"adapter": str(trained.folder), "steps": len(trained.losses), "loss": last})
    else:
        print(f"{trained.folder}: {len(trained.losses)} steps" + ("" if last is None else f", loss {last:.3f}"))
    return 0


# -- data, tasks-path, demo


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("build", "check"), help="build: on first use; check: every file's hash")
    parser.add_argument("name", metavar="NAME", help="the data set")
    _add_json(parser)


def _data(arguments: argparse.Namespace) -> int:
    from boxlist.tasks.datasets.catalog import build_dataset, check_dataset, describe_dataset

    problems: list[str] = []
    if arguments.action == "build":
        build_dataset(arguments.name)
    else:
        problems = check_dataset(arguments.name)
    lines = problems or describe_dataset(arguments.name)
    if arguments.json:
        _print_json({"data": arguments.name, "problems": problems, "splits": [] if problems else lines})
    else:
        print("\n".join(lines))
    return WRONG_INPUT if problems else 0


def _add_tasks_path(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def _tasks_path(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    from boxlist.tasks.probes import tasks_path

    print(tasks_path())
    return 0


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="where all of it lands (%(default)s)")
    parser.add_argument("--limit", type=_count, metavar="N", help="only the first N images of each probe")
    parser.add_argument("--fresh", action="store_true", help="keep the adapter, delete the answers, and ask again")
    _add_json(parser)


def _demo(arguments: argparse.Namespace) -> int:
    _quiet(arguments)
    from boxlist.demo import demo

    result = demo(arguments.out, limit=arguments.limit, fresh=arguments.fresh, say=_say)
    if arguments.json:
        _print_json(result.to_json())
    else:
        print(result.text())
    return 0


def _quiet(arguments: argparse.Namespace) -> None:
    if not arguments.debug:
        from boxlist.runs.quiet import quiet_libraries

        quiet_libraries()


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, allow_nan=False))


COMMANDS = (
    Command("demo", "train a pocket adapter, run it under every control, and print one table", _add_demo, _demo),
    Command("run", "ask a model the probes' questions, under controls, and score the answers", _add_run, _run),
    Command("score", "score any model's saved answers against a COCO file", _add_score, _score),
    Command("replay", "make a repeat-stop row from the answers of a finished run", _add_replay, _replay),
    Command("train", "train a LoRA adapter from a recipe", _add_train, _train),
    Command("data", "build or check a data set", _add_data, _data),
    Command("tasks-path", "print the folder for lmms-eval --include_path", _add_tasks_path, _tasks_path),
)
