"""Samples to batches: the training set, encoded on first use, and the one collator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.encoding import IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from boxlist.adapters_training.encoding import Encoded, Encoder
    from boxlist.adapters_training.lists import Sample

_CACHE_BYTES = 1 << 30
_PER_TOKEN_FILL = {"labels": IGNORE}  # keys whose padding is not 0; input_ids get the tokenizer's own


class _Kept(NamedTuple):
    """What is kept of a sample: its question encoded, and question and answer together."""

    sample: Sample
    prompt: Encoded
    whole: Encoded


class EncodedSamples:
    """The training set: encoded on first use, and kept while all kept ones fit into `cache_bytes`.

    `samples_of` gives the samples of an epoch, always of the same questions in the same order. Where an answer is
    another than in the epoch before, it alone is encoded again.
    """

    def __init__(
        self, samples_of: Callable[[int], Sequence[Sample]], encoder: Encoder, cache_bytes: int = _CACHE_BYTES
    ) -> None:
        self._samples_of, self.encoder = samples_of, encoder
        self.samples = samples_of(0)
        self.epoch = 0
        self._room = cache_bytes
        self._kept: dict[int, _Kept] = {}
        self.longest = 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Encoded:
        sample, kept = self.samples[index], self._kept.get(index)
        if kept is not None and kept.sample == sample:
            return kept.whole
        prompt = self.encoder.prompt(sample) if kept is None else kept.prompt
        whole = self.encoder(sample, prompt)
        self.longest = max(self.longest, whole.length)
        if kept is not None:
            self._kept[index] = _Kept(sample, prompt, whole)
        elif whole.nbytes <= self._room:
            self._room -= whole.nbytes
            self._kept[index] = _Kept(sample, prompt, whole)
        return whole

    def begin_epoch(self, epoch: int) -> None:
        """Go on to the samples of an epoch; a resumed training calls this with the epoch in which it goes on."""
        if epoch != self.epoch:
            self.epoch, self.samples = epoch, self._samples_of(epoch)


class Collator:
    """Pads samples on the right to one length and joins their images."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, batch: Sequence[Encoded]) -> dict[str, Any]:
        """Tensors `(B, L)` for per-token keys; image tensors joined along their first dimension."""
        import torch

        length = max(sample.length for sample in batch)
        joined: dict[str, Any] = {}
        for key in batch[0].per_token:
            fill = self.pad_id if key == "input_ids" else _PER_TOKEN_FILL.get(key, 0)
            rows = [sample.per_token[key] for sample in batch]
            joined[key] = torch.stack(
                [torch.nn.functional.pad(row, (0, length - len(row)), value=fill) for row in rows]
            )
        for key in batch[0].per_image:
            joined[key] = torch.cat([sample.per_image[key] for sample in batch])
        return joined
