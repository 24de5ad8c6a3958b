"""A key/value cache that is written in place: new tokens behind the old ones, new rows in the places of finished rows.

transformers' own copies all of it at every token. Here room is kept for half as many tokens again as there are, so
writing n tokens moves O(n) of them in all, not O(n^2). What attention sees holds the same numbers as with
transformers' `DynamicCache`. Rows are padded on the left and end together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

_LEAST_ROOM = 64


class GrowingLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped here
    """Keys and values `(B, heads, T, D)` as views of buffers with room for more tokens."""

    keys: torch.Tensor
    values: torch.Tensor

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        super().lazy_initialization(key_states, value_states)
        self._settle(key_states[:, :, :0], value_states[:, :, :0])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append tokens; all keys and all values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        tokens = key_states.shape[-2]
        if self._end + tokens > self._buffers[0].shape[-2]:
            self._settle(_with_room(self.keys, tokens), _with_room(self.values, tokens), length=self.get_seq_length())
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, self._end : self._end + tokens] = states
        self._show(self._begin, self._end + tokens)
        return self.keys, self.values

    def select(self, indices: torch.Tensor) -> None:
        """Keep these rows only."""
        keys, values = self.keys[indices], self.values[indices]
        self._settle(_with_room(keys), _with_room(values), length=keys.shape[-2])

    def fit(self, width: int) -> None:
        """Have `width` tokens: drop some in front, or put empty ones there."""
        length = self.get_seq_length()
        if width <= length:
            self._show(self._end - width, self._end)
        else:
            self._settle(_with_room(_fitted(self.keys, width)), _with_room(_fitted(self.values, width)), length=width)

    def _settle(self, keys: torch.Tensor, values: torch.Tensor, length: int = 0) -> None:
        self._buffers = keys, values
        self._show(0, length)

    def _show(self, begin: int, end: int) -> None:
        self._begin, self._end = begin, end
        self.keys, self.values = (buffer[:, :, begin:end] for buffer in self._buffers)


class WindowLayer(DynamicSlidingWindowLayer):  # type: ignore[misc]  # transformers is untyped here
    """The last tokens of a sliding window, as transformers keeps them, with rows that can change."""

    keys: torch.Tensor
    values: torch.Tensor

    def select(self, indices: torch.Tensor) -> None:
        """Keep these rows only."""
        self.keys, self.values = self.keys[indices], self.values[indices]

    def fit(self, width: int) -> None:
        """Have `width` tokens, of which the window shows the last."""
        shown = min(width, self.sliding_window - 1)
        self.keys, self.values = _fitted(self.keys, shown), _fitted(self.values, shown)
        self.cumulative_length = width


class GrowingCache(DynamicCache):  # type: ignore[misc]  # transformers is untyped here
    """A cache for generation whose full-attention layers grow in place."""

    layers: list[Any]

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config=config)
        self.layers = [_own(layer) for layer in self.layers]

    @property
    def can_change(self) -> bool:
        """Whether rows can be kept, dropped and replaced: whether every kind of layer is known."""
        return all(isinstance(layer, GrowingLayer | WindowLayer) for layer in self.layers)

    def select(self, indices: torch.Tensor) -> None:
        """Keep these rows only, `(n,)` indices in their new order."""
        for layer in self.layers:
            layer.select(indices)

    def fit(self, width: int) -> None:
        """Have `width` tokens; what is dropped in front must be padding, what is put there is zeros."""
        for layer in self.layers:
            layer.fit(width)

    def replace(self, places: torch.Tensor, other: GrowingCache) -> None:
        """Write the rows of `other`, which has at most as many tokens, over the rows at `places`.

        In front of a shorter row stays what was there: attention must not look at it.
        """
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            tokens = theirs.keys.shape[-2]
            first = mine.keys.shape[-2] - tokens
            mine.keys[places, :, first:] = theirs.keys
            mine.values[places, :, first:] = theirs.values


def _own(layer: Any) -> Any:
    """A layer of ours in the place of one of transformers'; kinds that are not known stay."""
    if type(layer) is DynamicLayer:
        return GrowingLayer()
    if type(layer) is DynamicSlidingWindowLayer:
        return WindowLayer(layer.sliding_window)
    return layer


def _fitted(states: torch.Tensor, width: int) -> torch.Tensor:
    """`(B, heads, T, D)` with `width` tokens: the last ones, behind zeros where there are fewer."""
    rows, heads, length, depth = states.shape
    if width <= length:
        return states[:, :, length - width :]
    fitted = states.new_zeros((rows, heads, width, depth))
    fitted[:, :, width - length :] = states
    return fitted


def _with_room(states: torch.Tensor, tokens: int = 0) -> torch.Tensor:
    """A buffer that begins with `states` and has room for `tokens` more, and some."""
    rows, heads, length, depth = states.shape
    wanted = length + tokens
    buffer = states.new_empty((rows, heads, wanted + max(wanted // 2, _LEAST_ROOM), depth))
    buffer[:, :, :length] = states
    return buffer
