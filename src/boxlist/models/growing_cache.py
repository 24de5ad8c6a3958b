"""A key/value cache that is written in place: transformers' own copies all of it at every token.

Room is kept for half as many tokens again as there are, so writing n tokens moves O(n) of them in all, not O(n^2).
The tensors that attention sees hold the same numbers as with transformers' `DynamicCache`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

_LEAST_ROOM = 64


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped here
    """Keys and values `(B, heads, T, D)` as views of buffers with room for more tokens."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append tokens; all keys and all values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = key_states[:, :, :0], value_states[:, :, :0]
        length = self.get_seq_length()
        end = length + key_states.shape[-2]
        if end > self._buffers[0].shape[-2]:
            room = end + max(end // 2, _LEAST_ROOM)
            self._buffers = _with_room(self._buffers[0], length, room), _with_room(self._buffers[1], length, room)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, length:end] = states
        self.keys, self.values = (buffer[:, :, :end] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keep these rows only."""
        length = self.get_seq_length()
        if length:
            room = self._buffers[0].shape[-2]
            self._buffers = _with_room(self.keys[indices], length, room), _with_room(self.values[indices], length, room)
            self.keys, self.values = (buffer[:, :, :length] for buffer in self._buffers)


def growing_cache(config: PretrainedConfig) -> DynamicCache:
    """An empty cache for a model: full-attention layers grow in place, sliding windows and others are transformers'."""
    cache = DynamicCache(config=config)
    cache.layers = [GrowingLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def _with_room(states: torch.Tensor, length: int, room: int) -> torch.Tensor:
    """A buffer for `room` tokens that begins with `length` of `states`."""
    rows, heads, _, width = states.shape
    buffer = states.new_empty((rows, heads, room, width))
    buffer[:, :, :length] = states[:, :, :length]
    return buffer
