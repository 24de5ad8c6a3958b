from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from boxlist.errors import InputError
from boxlist.tasks.datasets.wheel import PinnedWheel, read_members

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "BOXLIST_TEST_WHEEL"


def a_wheel(path: Path) -> PinnedWheel:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pkg/data.txt", "hello")
        archive.writestr("../outside.txt", "never unpacked")
    return PinnedWheel("pkg", "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), 0.1, VARIABLE)


def test_members_of_a_local_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pkg.whl"
    monkeypatch.setenv(VARIABLE, str(path))
    assert read_members(a_wheel(path), ["pkg/data.txt"], 5) == {"pkg/data.txt": b"hello"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pkg.whl"]


def test_another_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pkg.whl"
    monkeypatch.setenv(VARIABLE, str(path))
    pinned = a_wheel(path)
    path.write_bytes(path.read_bytes() + b" ")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(InputError) as caught:
        read_members(pinned, ["pkg/data.txt"], 5)
    assert str(caught.value) == (
        f"{path}: expected sha256 {pinned.sha256}, got {found}. "
        f"Set {VARIABLE} to an unchanged pkg==1.0 wheel, or unset it to download one."
    )


def test_a_wheel_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.whl"))
    with pytest.raises(
        InputError, match=r"none\.whl: expected the wheel pkg==1\.0, got no such file\. Set BOXLIST_TEST"
    ):
        read_members(PinnedWheel("pkg", "1.0", "0" * 64, 0.1, VARIABLE), [], 5)


def test_members_are_bounded_and_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pkg.whl"
    monkeypatch.setenv(VARIABLE, str(path))
    pinned = a_wheel(path)
    with pytest.raises(InputError, match=r"pkg\.whl: pkg/data\.txt: expected 4 bytes at most, got more"):
        read_members(pinned, ["pkg/data.txt"], 4)
    with pytest.raises(InputError, match=r"pkg\.whl: expected a member pkg/none\.txt, got none"):
        read_members(pinned, ["pkg/none.txt"], 4)


def test_the_download_is_one_pip_command_without_a_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    seen: list[list[str]] = []

    def fail(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        assert "shell" not in options
        return subprocess.CompletedProcess(
            command, 1, "", "warning\nERROR: No matching distribution found for pkg==1.0\n"
        )

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(InputError) as caught:
        read_members(PinnedWheel("pkg", "1.0", "0" * 64, 0.1, VARIABLE), ["a"], 5)
    assert str(caught.value) == (
        "pip download pkg==1.0: expected a wheel, got 'ERROR: No matching distribution found for pkg==1.0'. "
        f"Check the network, or download pkg==1.0 elsewhere and set {VARIABLE} to the file."
    )
    assert seen[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in seen[0]
    assert seen[0][-1] == "pkg==1.0"


def test_a_download_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    def hang(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        raise subprocess.TimeoutExpired(command, 900)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(InputError, match=r"pip download pkg==1\.0: expected a wheel, got none in 900 s"):
        read_members(PinnedWheel("pkg", "1.0", "0" * 64, 0.1, VARIABLE), ["a"], 5)
