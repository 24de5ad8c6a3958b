"""Hashes: of a file's bytes, and of a picture's pixels whatever file they came from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pixels_sha256(image: Image) -> str:
    """SHA-256 of a picture's size and RGB pixels, in hex: equal pictures have equal hashes in any file format.

    This is how two splits, or training images and an evaluation split, are shown to share no picture.
    """
    pixels = np.asarray(image.convert("RGB"))
    digest = hashlib.sha256(f"{image.width}x{image.height} RGB\n".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()
