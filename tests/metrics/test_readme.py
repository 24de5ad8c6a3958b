"""The README's table names every metric, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from boxlist.metrics.table import METRICS
from boxlist.tasks.kinds import KINDS

README = Path(__file__).parents[2] / "metrics" / "README.md"


def test_the_table_is_complete() -> None:
    rows = [line.split("|")[1] for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert sorted(named) == sorted(METRICS)


def test_every_file_is_named() -> None:
    text = README.read_text(encoding="utf-8")
    files = {path.name for path in README.parent.glob("*.py")} - {"__init__.py"}
    assert {name for name in files if name not in text} == set()


def test_every_metric_belongs_to_a_probe() -> None:
    assert {name for kind in KINDS.values() for name in kind.metrics} == set(METRICS)
