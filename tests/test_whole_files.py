"""Files appear whole or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from boxlist.whole_files import write_bytes, write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_new_content_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"label": "old"})
    write_json(path, {"label": "caf\u00e9 \ud800"})
    assert json.loads(path.read_text(encoding="ascii")) == {"label": "caf\u00e9 \ud800"}
    assert names(tmp_path) == ["a.json"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_lone_surrogates_in_text_are_shown_not_fatal(tmp_path: Path) -> None:
    write_text(tmp_path / "a.md", "caf\u00e9 \ud800")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "caf\u00e9 \\ud800"


def test_nothing_is_left_when_the_data_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        write_json(tmp_path / "a.json", {"f1": float("nan")})
    assert names(tmp_path) == []


def test_an_interrupt_while_writing_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(path, b"new")
    assert (path.read_bytes(), names(tmp_path)) == (b"old", ["a.bin"])
