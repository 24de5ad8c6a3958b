"""What a pocket model makes of a batch of packed questions, whichever its architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class Read(NamedTuple):
    """What a family's `read` returns."""

    hidden: Tensor  # (B, T, width), ready for the words' head
    attention: list[Tensor]  # of each watched layer, (B, heads, T, T), row to column
    sight: Tensor | None  # (B, image tokens, width), where what sees is trained along
    told: Tensor | None  # (B, T, width), behind the layers whose attention is told where to look


class Page(NamedTuple):
    """What a family's `read` takes."""

    ids: NDArray[np.int64]  # (B, T)
    images: NDArray[np.uint8]  # (B, 224, 224, 3)
    image_span: slice  # the places of the image tokens
    seen: NDArray[np.bool_]  # (B, T, T): may a token (row) see another (column)?
    positions: NDArray[np.int64]  # (3, B, T)
    watched: tuple[int, ...]  # the layers whose attention is wanted
