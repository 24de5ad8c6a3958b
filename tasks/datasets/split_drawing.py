"""Drawing a split's images from candidates in an order: the files are read whole, and no picture is taken twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.tasks.datasets.image_files import read_image_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.image_files import ImageFile
    from boxlist.tasks.datasets.object_selection import Candidate


class Drawn(NamedTuple):
    """A split: its images with their files, in the order in which they were drawn; what was passed over because its
    picture was there before; and the candidates that were not reached."""

    images: list[tuple[Candidate, ImageFile]]
    repeated: list[str]
    rest: Sequence[Candidate]


def draw(
    candidates: Sequence[Candidate], count: int, root: Path, taken: dict[str, str], name: str
) -> Drawn:  # fmt: skip
    """The first `count` candidates whose picture no one has taken.

    `taken` maps the hash of a picture's pixels to the file that has it, and grows; a file may come again, in another
    record of the annotations. Raises `InputError` for a file that is missing, damaged or of another size, since
    another image in its place would make another data set, and where the candidates run out.
    """
    if count < 1:
        raise InputError(f"data {name}", expected="1 image or more in a split", got=str(count), remedy="Ask for some.")
    drawn = Drawn([], [], [])
    at = 0
    while len(drawn.images) < count and at < len(candidates):
        batch = candidates[at : at + count - len(drawn.images)]
        at += len(batch)
        files = _read(batch, root, name)
        for candidate in batch:
            file = files[candidate.image.file_name]
            place = f"{root.name}/{file.name}"
            first = taken.setdefault(file.pixels_sha256, place)
            if first == place:
                drawn.images.append((candidate, file))
            else:
                drawn.repeated.append(f"{place} is the same picture as {first}")
    if len(drawn.images) < count:
        raise InputError(
            f"data {name}",
            expected=f"{count} images that fit the choices",
            got=str(len(drawn.images)),
            remedy="Ask for fewer images, or choose otherwise: boxlist data list shows the options.",
        )
    return drawn._replace(rest=candidates[at:])


def _read(batch: Sequence[Candidate], root: Path, name: str) -> dict[str, ImageFile]:
    read = read_image_files(root, [candidate.image.file_name for candidate in batch], f"{name} {root.name}")
    if read.bad:
        bad = min(read.bad.values())
        more = f" (and {len(read.bad) - 1} more like it)" if len(read.bad) > 1 else ""
        raise InputError(
            f"{root}: {bad.name[:120]!r}",
            expected="an image file, as the annotations name it",
            got=f"{bad.fault}: {bad.detail}{more}",
            remedy="Get the images again; another choice in their place would be another data set.",
        )
    for candidate in batch:
        image, file = candidate.image, read.good[candidate.image.file_name]
        if (image.width, image.height) != (file.width, file.height):
            raise InputError(
                f"{root}: {file.name}",
                expected=f"{image.width}x{image.height} pixels, as the annotations say",
                got=f"{file.width}x{file.height}",
                remedy="Get the image as it was published: boxes are in its pixels.",
            )
    return read.good
