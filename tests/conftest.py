"""Fixtures for every test: the pocket checkpoint, a place for data sets, and a quiet, offline Hugging Face."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Threads that wait for work must not take the core from those that have some: on two cores it is tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

# No test asserts on wall time. The same examples every time, so that a change is judged by itself; `pytest
# --hypothesis-profile search` looks for new ones, and what it finds becomes an `@example`.
settings.register_profile("boxlist", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("boxlist")


@pytest.fixture(scope="session")
def pocket_base() -> Path:
    """The folder of the pocket checkpoint, as it is committed."""
    from boxlist.adapters_training.pocket import CHECKPOINT

    assert (CHECKPOINT / "model.safetensors").is_file(), f"the pocket checkpoint is missing: {CHECKPOINT}"
    return CHECKPOINT


@pytest.fixture(scope="session", autouse=True)
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Data sets are built once for all tests, and not in the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("boxlist-data")
        patch.setenv("BOXLIST_DATA", str(root))
        yield root
