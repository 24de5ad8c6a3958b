from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxlist.tasks.datasets.absent_classes import name_classes

KNOWN = [f"class {number}" for number in range(12)]


@given(
    st.integers(0, 2**32),
    st.sets(st.sampled_from(KNOWN)),
    st.sets(st.sampled_from(KNOWN)),
    st.integers(0, 4),
    st.integers(0, 4),
)
def test_so_many_present_and_absent_classes_each_once(
    seed: int, present: set[str], near: set[str], n_present: int, n_absent: int
) -> None:
    found = name_classes(np.random.default_rng(seed), present, KNOWN, n_present, n_absent, near)
    if found is None:
        assert len(present) < n_present or len(KNOWN) - len(present) < n_absent
        return
    assert len(set(found.asked)) == len(found.asked) == n_present + n_absent
    assert set(found.absent) == set(found.asked) - present
    assert len(found.absent) == n_absent
    assert len(near & set(found.absent)) >= min(n_absent // 2, len(near - present))


def test_the_same_seed_names_the_same_in_any_order_of_what_is_present() -> None:
    first, again = (
        name_classes(np.random.default_rng(7), present, KNOWN, 2, 2)
        for present in ({"class 1", "class 5", "class 9"}, ["class 9", "class 1", "class 5"])
    )
    assert first == again
