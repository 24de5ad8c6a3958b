"""Training on the pocket checkpoint, kept small: eight images, float32, a few steps."""

from __future__ import annotations

import dataclasses
import io
import os
import secrets
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from boxlist.adapters_training import train as training
from boxlist.adapters_training.recipe import Recipe
from boxlist.tasks.datasets.catalog import documents

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boxlist.adapters_training.train import TrainedAdapter
    from boxlist.tasks.datasets.split_folder import Document

IMAGES = 8
RECIPE = Recipe(
    base="pocket:qwen3vl",
    task="boxlist_dense_bbox_shapes",
    steps=4,
    learning_rate=2e-3,
    rank=4,
    alpha=8,
    batch_size=2,
    dtype="float32",
    seed=3,
    schedule="cosine",
    warmup_steps=1,
    checkpoint_every=2,
)


@pytest.fixture(scope="session")
def shapes(data_root: Path) -> list[Document]:
    """The whole training split."""
    return documents("shapes", "train")


@pytest.fixture(scope="session")
def small_recipe() -> Recipe:
    """What `train_small` trains."""
    return RECIPE


@pytest.fixture
def draw() -> np.random.Generator:
    """Draws anew in every run; a failing test shows the seed, and BOXLIST_TEST_SEED gives it again."""
    seed = int(os.environ.get("BOXLIST_TEST_SEED") or secrets.randbelow(2**32))
    sys.stderr.write(f"BOXLIST_TEST_SEED={seed}\n")
    return np.random.default_rng(seed)


@pytest.fixture(scope="session")
def train_small(shapes: list[Document]) -> Callable[..., TrainedAdapter]:
    """`train_small(out, resume=..., progress=..., **changes to RECIPE)` on the first eight images."""

    def run(
        out: Path, *, resume: bool = False, progress: io.TextIOBase | None = None, **changes: object
    ) -> TrainedAdapter:
        recipe = dataclasses.replace(RECIPE, **changes)  # type: ignore[arg-type]  # any key of a recipe
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "documents", lambda *_: shapes[:IMAGES])
            return training.train(recipe, out, resume=resume, progress=progress or io.StringIO())  # type: ignore[arg-type]

    return run


@pytest.fixture(scope="session")
def trained(train_small: Callable[..., TrainedAdapter], tmp_path_factory: pytest.TempPathFactory) -> TrainedAdapter:
    """An adapter of four steps, trained without a break."""
    return train_small(tmp_path_factory.mktemp("adapters") / "unbroken")
