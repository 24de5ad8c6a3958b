"""Which samples make a step: the same, however a step is cut into micro-batches and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from boxlist.adapters_training.collator import EncodedSamples


class StepOrder(Sampler[int]):
    """The samples of the training set's epoch, in the order in which they are trained.

    Drawn anew each epoch from `seed`; with `lengths` such that those of a step are about as long. Every step is full:
    the last of an epoch is filled up from the epoch's beginning. Processes take consecutive micro-batches in turn, so
    that 2 of them with batches of b train the same steps as one with batches of 2 b.
    """

    def __init__(
        self, data: EncodedSamples, samples_per_step: int, seed: int, lengths: Sequence[int] | None = None
    ) -> None:
        self.data, self.samples_per_step, self.seed, self.lengths = data, samples_per_step, seed, lengths

    def __len__(self) -> int:
        return -(-len(self.data) // self.samples_per_step) * self.samples_per_step

    def __iter__(self) -> Iterator[int]:
        count = len(self.data)
        generator = torch.Generator().manual_seed(self.seed + self.data.epoch)
        if self.lengths is None:
            order = torch.randperm(count, generator=generator).tolist()
        else:
            order = get_length_grouped_indices(list(self.lengths), self.samples_per_step, generator=generator)
        return (order[place % count] for place in range(len(self)))
