"""Image files that stay where they are: found inside their folder and nowhere else, read whole, and hashed.

File names come out of other people's annotations, so none may lead out of the folder: no absolute name, no `..`, and
no symbolic link to elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Literal, NamedTuple

from PIL import Image, UnidentifiedImageError

from boxlist.errors import InputError
from boxlist.progress import Progress
from boxlist.tasks.datasets.fingerprints import pixels_sha256
from boxlist.tasks.datasets.pictures import FORMATS, whole_pictures_only

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST_PIXELS = 89_478_485  # where Pillow begins to speak of a decompression bomb
LARGEST_BYTES = 512 * 2**20
_THREADS = 4
_AT_ONCE = 256  # handed to the threads, so that the first is seen before the last is asked for
_TOLD_FROM = 500  # fewer files are done before a progress line could be read
# What Pillow's readers raise on a damaged file, each seen or documented; anything else is a fault of ours.
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)

Fault = Literal["outside", "missing", "unreadable", "oversized"]


class ImageFile(NamedTuple):
    """One image file as it is: its name under the folder, bytes, and the size and hash of its pixels."""

    name: str
    size: int
    sha256: str
    pixels_sha256: str
    width: int
    height: int


class BadImage(NamedTuple):
    """An image file that cannot be used, and why; `detail` is for people."""

    name: str
    fault: Fault
    detail: str


class ImageFiles(NamedTuple):
    """What became of the names: those that are whole images, and the others."""

    good: dict[str, ImageFile]
    bad: dict[str, BadImage]


class ImageRoot:
    """A folder of images. `find` is quick: a folder's own links are followed once, not once a file."""

    def __init__(self, root: Path | str) -> None:
        self.path = os.path.realpath(root)
        self._folders: dict[str, bool] = {}

    def find(self, name: str) -> str | BadImage:
        """Where the file `name` lies, as an absolute path that is inside; it need not exist."""
        if leads_out(name):
            return BadImage(name, "outside", "an absolute name, or one with .. or a control character")
        path = os.path.join(self.path, *name.split("/"))  # noqa: PTH118 - 100,000 names: plain strings
        if not self._is_inside(os.path.dirname(path)):  # noqa: PTH120
            return BadImage(name, "outside", "in a folder that is a link out of the image folder")
        if os.path.islink(path) and not self._is_inside(os.path.realpath(path)):  # noqa: PTH114
            return BadImage(name, "outside", "a link out of the image folder")
        return path

    def locate(self, name: str) -> str:
        """As `find`; `InputError` for a name that leads out of the folder."""
        found = self.find(name)
        if isinstance(found, BadImage):
            remedy = "Correct the annotations, or give the folder that really holds the image."
            raise InputError(
                f"{self.path}: file name {name[:80]!r}", expected="a file inside", got=found.detail, remedy=remedy
            )
        return found

    def _is_inside(self, path: str) -> bool:
        known = self._folders.get(path)
        if known is None:
            real = os.path.realpath(path)
            known = self._folders[path] = os.path.commonpath((self.path, real)) == self.path
        return known


def leads_out(name: str) -> bool:
    """Whether a file name could lead out of its folder, on any system, or is none at all.

    >>> [leads_out(name) for name in ("a/b.jpg", "../b.jpg", "/b.jpg", "C:b.jpg", "")]
    [False, True, True, True, True]
    """
    parts = name.replace("\\", "/").split("/")
    return (
        not name
        or any(part in {"", ".", ".."} for part in parts)
        or bool(PureWindowsPath(name).drive)
        or not name.isprintable()
    )


def read_image_files(root: Path | str, names: Iterable[str], label: str) -> ImageFiles:
    """Read each named image under `root` once, whole, and hash bytes and pixels; `label` says what in the progress.

    A few threads; at most that many images in memory. The order of the results is that of the sorted names.
    """
    place = ImageRoot(root)
    wanted = sorted(set(names))
    result = ImageFiles({}, {})
    with (
        warnings.catch_warnings(),
        whole_pictures_only(),
        ThreadPoolExecutor(_THREADS) as pool,
        Progress(label, len(wanted)) if len(wanted) >= _TOLD_FROM else nullcontext() as progress,
    ):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, len(wanted), _AT_ONCE):
            for file in pool.map(lambda name: read_image_file(place, name), wanted[start : start + _AT_ONCE]):
                if isinstance(file, BadImage):
                    result.bad[file.name] = file
                else:
                    result.good[file.name] = file
                if progress is not None:
                    progress.advance()
    return result


def read_image_file(root: ImageRoot, name: str) -> ImageFile | BadImage:
    """One image file, or what is wrong with it."""
    found = root.find(name)
    if isinstance(found, BadImage):
        return found
    try:
        if os.path.getsize(found) > LARGEST_BYTES:  # noqa: PTH202
            return BadImage(name, "oversized", f"more than {LARGEST_BYTES >> 20} MiB")
        content = Path(found).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return BadImage(name, "missing", "no such file")
    except OSError as error:
        return BadImage(name, "unreadable", error.strerror or str(error))
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
            if width * height > LARGEST_PIXELS:
                return BadImage(name, "oversized", f"{width}x{height} pixels, more than {LARGEST_PIXELS}")
            pixels = pixels_sha256(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return BadImage(name, "oversized", f"more than {LARGEST_PIXELS} pixels")
    except _DAMAGED as error:
        got = "no image of a known format" if isinstance(error, UnidentifiedImageError) else str(error)[:120]
        return BadImage(name, "unreadable", got or type(error).__name__)
    return ImageFile(name, len(content), hashlib.sha256(content).hexdigest(), pixels, width, height)
