"""Where a report may be written: never over what it was made from, nor into a run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.runs.folder import RUN_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def check_output(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Raise `InputError` when `path` is a folder, in no folder or in a run folder, or one of the inputs."""
    if path.is_dir():
        raise InputError(str(path), expected="a file to write", got="a folder", remedy="Name a file in it.")
    if not path.parent.is_dir():
        raise InputError(
            str(path), expected="a file in a folder that exists", got="no such folder", remedy="Make the folder."
        )
    if path.resolve() in {given.resolve() for given in inputs} or (path.parent / RUN_FILE).exists():
        raise InputError(
            str(path),
            expected="a file of its own, outside run folders",
            got="a place of one of the inputs",
            remedy="Choose another.",
        )
