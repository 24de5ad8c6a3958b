"""The data sets, built once a session: shapes is drawn, the trees' wheel is downloaded unless a local one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.tasks.datasets.catalog import build_dataset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def shapes(data_root: Path) -> Path:
    return build_dataset("shapes")


@pytest.fixture(scope="session")
def trees(data_root: Path) -> Path:
    return build_dataset("trees")
