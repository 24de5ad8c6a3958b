"""The data sets, built once a session: shapes is drawn, the trees' wheel is downloaded unless a local one is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from boxlist.tasks.datasets.catalog import build_dataset

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for data sets that lasts for the session."""
    return tmp_path_factory.mktemp("boxlist-data")


@pytest.fixture(autouse=True)
def _use_data_root(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here sees the user's own data, or another folder's of the tests."""
    monkeypatch.setenv("BOXLIST_DATA", str(data_root))


@pytest.fixture(scope="session")
def shapes(data_root: Path) -> Path:
    return _build("shapes", data_root)


@pytest.fixture(scope="session")
def trees(data_root: Path) -> Path:
    return _build("trees", data_root)


def _build(name: str, data_root: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOXLIST_DATA", str(data_root))
        return build_dataset(name)
