"""One boxlist at a time in a folder: an advisory lock that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from typing import IO, TYPE_CHECKING

from boxlist.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

LOCK_FILE = ".lock"


def lock_folder(folder: Path, *, what: str, remedy: str) -> IO[str]:
    """Take the lock of a folder that exists; it holds until the file that comes back is closed.

    Raises `InputError` naming the process that holds it.
    """
    file = (folder / LOCK_FILE).open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(20).strip()
        file.close()
        raise InputError(
            str(folder),
            expected=f"no other boxlist at work in this {what}",
            got=f"process {holder}" if holder.isdigit() else "another process",
            remedy=remedy,
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
