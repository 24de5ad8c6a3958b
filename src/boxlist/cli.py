"""The command line: the table of commands, and what the shell hears of them.

Exit status: 0 done, 2 wrong input (one line on stderr), 130 stopped by Ctrl-C; `boxlist gate` adds 1 and 3.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import boxlist
from boxlist.commands import (
    adapter,
    by_objects,
    compare,
    data,
    demo,
    export,
    gate,
    leaderboard,
    replay,
    report,
    run,
    score,
    study,
    tasks_path,
    train,
)
from boxlist.commands.command import WRONG_INPUT, Command, say
from boxlist.errors import BoxlistError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INTERRUPTED = 130


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
        say(str(stop) or "stopped")
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
    say(message)
    return WRONG_INPUT


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


COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    run.COMMAND,
    score.COMMAND,
    replay.COMMAND,
    train.COMMAND,
    adapter.COMMAND,
    study.COMMAND,
    export.COMMAND,
    compare.COMMAND,
    leaderboard.COMMAND,
    gate.COMMAND,
    report.COMMAND,
    by_objects.COMMAND,
    data.COMMAND,
    tasks_path.COMMAND,
)
