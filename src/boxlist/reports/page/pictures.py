"""Pictures small enough to be part of a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

ALL_PICTURES_BYTES = 4 << 20
_LARGEST_BYTES = 96 << 10
_SIDES_PX = (960, 720, 540, 400, 300, 200)
_QUALITY = 80


def data_uri(picture: Image.Image, n_pictures: int) -> str:
    """The picture as WebP in a `data:` address, made smaller until it takes no more than its share of the page."""
    allowed = min(_LARGEST_BYTES, ALL_PICTURES_BYTES // max(1, n_pictures))
    encoded = b""
    for side in _SIDES_PX:
        small = picture.copy()
        small.thumbnail((side, side))
        file = io.BytesIO()
        small.save(file, "WEBP", quality=_QUALITY)
        encoded = file.getvalue()
        if len(encoded) <= allowed:
            break
    return f"data:image/webp;base64,{base64.b64encode(encoded).decode('ascii')}"
