"""Which samples make a step: the same for any number of processes, as accelerate deals out batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from boxlist.adapters_training.step_order import StepOrder

if TYPE_CHECKING:
    from boxlist.adapters_training.collator import EncodedSamples

SEED = 5


class Samples:
    """As many samples as an epoch has, and which epoch it is."""

    def __init__(self, count: int, epoch: int = 0) -> None:
        self.count, self.epoch = count, epoch

    def __len__(self) -> int:
        return self.count


def order(count: int, samples_per_step: int, epoch: int = 0, lengths: list[int] | None = None) -> list[int]:
    samples = cast("EncodedSamples", Samples(count, epoch))
    found = StepOrder(samples, samples_per_step, SEED, lengths)
    indices = list(found)
    assert len(found) == len(indices)
    return indices


def steps(indices: list[int], batch_size: int, processes: int, accumulation: int) -> list[list[int]]:
    """The samples of each step, sorted: `accumulation` batches of every process."""
    shares = [
        list(BatchSamplerShard(BatchSampler(indices, batch_size, drop_last=False), processes, rank))
        for rank in range(processes)
    ]
    assert len({len(share) for share in shares}) == 1
    return [
        sorted(index for share in shares for batch in share[start : start + accumulation] for index in batch)
        for start in range(0, len(shares[0]), accumulation)
    ]


@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.booleans())
def test_steps_are_full_and_the_same_for_any_number_of_processes(
    count: int, batch_size: int, processes: int, accumulation: int, grouped: bool
) -> None:
    per_step = batch_size * processes * accumulation
    lengths = [(index * 7) % 11 + 1 for index in range(count)] if grouped else None
    indices = order(count, per_step, lengths=lengths)
    several = steps(indices, batch_size, processes, accumulation)
    assert several == steps(indices, batch_size * processes, 1, accumulation)
    assert several == steps(indices, per_step, 1, 1)
    assert {len(step) for step in several} == {per_step}
    assert sorted(indices[:count]) == list(range(count))
    assert indices[count:] == [indices[place % count] for place in range(count, len(indices))]


@pytest.mark.parametrize("lengths", [None, [index + 1 for index in range(24)]])
def test_every_epoch_has_an_order_of_its_own_and_always_the_same(lengths: list[int] | None) -> None:
    first, second = (order(24, 4, epoch, lengths) for epoch in (0, 1))
    assert first != second
    assert order(24, 4, 1, lengths) == second


def test_grouped_steps_hold_samples_of_like_lengths() -> None:
    lengths = [index * 37 % 101 for index in range(96)]
    apart = {
        name: sum(
            max(step) - min(step)
            for step in ([lengths[index] for index in found[start : start + 8]] for start in range(0, 96, 8))
        )
        for name, found in (("grouped", order(96, 8, lengths=lengths)), ("drawn", order(96, 8)))
    }
    assert apart["grouped"] < apart["drawn"] / 2
