"""Pairs of equal keys, against every pair."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxlist.metrics import pairs
from boxlist.metrics.pairs import earlier_pairs, equal_key_pairs

# close together, far apart, negative: by table, and renumbered
keys = st.lists(st.integers(0, 4) | st.sampled_from([10**15, -7]), max_size=12)


@given(keys, keys, st.sampled_from([1, 3, 1000]))
@settings(deadline=None)
def test_every_pair_of_equal_keys_in_order(left: list[int], right: list[int], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CHUNK_PAIRS", chunk)
        parts = list(equal_key_pairs(np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)))
    found = [pair for part in parts for pair in zip(part.left.tolist(), part.right.tolist(), strict=True)]
    assert found == [(i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a == b]
    for part in parts:
        assert len(part.left) <= chunk or len(set(part.left.tolist())) == 1


@given(keys, st.sampled_from([1, 3, 1000]))
@settings(deadline=None)
def test_every_earlier_one_of_equal_key(given_keys: list[int], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CHUNK_PAIRS", chunk)
        parts = list(earlier_pairs(np.array(given_keys, dtype=np.int64)))
    found = {pair for part in parts for pair in zip(part.left.tolist(), part.right.tolist(), strict=True)}
    assert found == {
        (later, earlier)
        for later, key in enumerate(given_keys)
        for earlier in range(later)
        if given_keys[earlier] == key
    }
