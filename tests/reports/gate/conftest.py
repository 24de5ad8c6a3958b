"""Gate files beside saved runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TASK = "boxlist_dense_bbox_shapes"
RULES = f"""
baseline: baseline.json
tasks:
  {TASK}:
    margins: {{f1@0.3: 0.05}}
    limits: {{parse_valid: {{at_least: 0.95}}, max_repeat: {{at_most: 4}}}}
"""


@pytest.fixture
def write_gate(tmp_path: Path) -> Callable[..., Path]:
    """`write_gate(text)`: a gate file; by default one margin and two limits against baseline.json."""

    def write(text: str = RULES) -> Path:
        path = tmp_path / "gate.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def _no_github(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run in somebody's workflow, whose summary is not theirs."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
