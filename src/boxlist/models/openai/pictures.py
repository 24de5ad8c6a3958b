"""Images as data URLs: the file's own bytes where every decoder shows the same, else a PNG of the pixels."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from boxlist.errors import InputError
from boxlist.models.prompts import open_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_BYTES = 20 << 20
_MEDIA = {"PNG": "image/png", "JPEG": "image/jpeg"}
_ORIENTATION = 0x0112


def image_url_part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    """An image part of a chat message, as OpenAI writes it: the pixels are those that `boxlist_hf` would see.

    Raises `InputError` for images that cannot be read, and for those of more than 20 MiB.
    """
    image = open_rgb(part["url"], where)
    source = part.get("file") or (part["url"] if isinstance(part["url"], str | Path) else "")
    found = _own_bytes(Path(source), image) if source else None
    media, content = found or ("image/png", _png(image))
    if len(content) > LARGEST_BYTES:
        raise InputError(
            f"{where}: {source}" if source else where,
            expected=f"an image of at most {LARGEST_BYTES >> 20} MiB",
            got=f"{len(content) / (1 << 20):.1f} MiB as {media}",
            remedy="Tile it, or make it smaller.",
        )
    url = f"data:{media};base64,{base64.b64encode(content).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _own_bytes(path: Path, image: Image.Image) -> tuple[str, bytes] | None:
    """Media type and bytes of the file that an RGB image came from; None where a server might see another picture.

    That is one with transparency, more than one frame or an orientation to be applied, or a file that has changed.
    """
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as opened:
            plain = (
                opened.format in _MEDIA
                and opened.mode in {"RGB", "L"}
                and "transparency" not in opened.info
                and getattr(opened, "n_frames", 1) == 1
                and opened.getexif().get(_ORIENTATION, 1) == 1
            )
            same = plain and opened.size == image.size and opened.convert("RGB").tobytes() == image.tobytes()
            return (_MEDIA[str(opened.format)], content) if same else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()
