"""The size of an image from its header, for annotations that are in shares of it."""

from __future__ import annotations

from PIL import Image, UnidentifiedImageError

from boxlist.tasks.datasets.image_files import BadImage, ImageRoot
from boxlist.tasks.datasets.pictures import FORMATS

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm"})


def size_of_image(root: ImageRoot, name: str) -> tuple[int, int]:
    """Width and height in pixels; (0, 0) for a file that is no image, which is found again when it is read."""
    path = root.find(name)
    if isinstance(path, BadImage):
        return (0, 0)
    try:
        with Image.open(path, formats=FORMATS) as image:
            return image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return (0, 0)
