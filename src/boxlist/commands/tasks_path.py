"""`boxlist tasks-path`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.commands.command import Command

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes no arguments."""


def _tasks_path(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    from boxlist.tasks.probes import tasks_path

    print(tasks_path())
    return 0


COMMAND = Command("tasks-path", "print the folder for lmms-eval --include_path", _add_arguments, _tasks_path)
