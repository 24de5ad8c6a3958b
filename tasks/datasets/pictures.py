"""A document's picture, opened and checked."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from PIL import Image, ImageFile, UnidentifiedImageError

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boxlist.tasks.datasets.split_folder import Document

# What images come in. Pillow would also start Ghostscript for a file that says it is PostScript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")


@contextmanager
def whole_pictures_only() -> Iterator[None]:
    """Make Pillow refuse a cut file, as it does by itself: importing lmms-eval tells it to fill in grey instead."""
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def open_picture(document: Document) -> Image.Image:
    """The document's picture, RGB, read whole. Raises `InputError` when the file is no picture, or of another size."""
    where, remedy = document["file"], "Build the data again: boxlist data build NAME"
    expected = f"a picture of {document['width']}x{document['height']} pixels"
    try:
        with whole_pictures_only(), Image.open(where, formats=FORMATS) as image:
            size = image.size
            if size != (document["width"], document["height"]):
                raise InputError(where, expected=expected, got=f"{size[0]}x{size[1]}", remedy=remedy)
            return image.convert("RGB")
    except UnidentifiedImageError as error:
        raise InputError(where, expected=expected, got="no picture", remedy=remedy) from error
    except (OSError, Image.DecompressionBombError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise InputError(where, expected=expected, got=got, remedy=remedy) from error
