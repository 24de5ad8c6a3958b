"""Files that are written whole or not at all: beside the place, flushed to the disk, then renamed."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def write_bytes(path: Path, content: bytes) -> None:
    """Readers of `path` see the old file or the new one, whole; a kill leaves at most a hidden `.NAME.*` beside it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Text in UTF-8; what UTF-8 cannot hold (a lone surrogate in a model's answer) is written as `\\udXXX`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, data: Mapping[str, object]) -> None:
    """JSON in ASCII, which holds whatever a model or a file name says; NaN and infinity raise ValueError."""
    write_bytes(path, json.dumps(data, indent=1, allow_nan=False).encode("ascii") + b"\n")
