"""Batches drawn by another process."""

from __future__ import annotations

import multiprocessing
from itertools import islice

import numpy as np

from boxlist.adapters_training.pocket.beside import drawn_beside


def test_batches_are_those_of_the_seed_in_their_order_and_the_process_ends() -> None:
    rng = np.random.default_rng(0)
    drawn = drawn_beside(lambda: int(rng.integers(1000)))
    assert list(islice(drawn, 6)) == np.random.default_rng(0).integers(1000, size=6).tolist()
    assert len(multiprocessing.active_children()) == 1
    del drawn
    assert multiprocessing.active_children() == []
