"""Which images of a set are also asked about in What's Up: its COCO questions are about images of val2017."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from boxlist.errors import InputError
from boxlist.tasks.datasets.fingerprints import file_sha256
from boxlist.tasks.datasets.whatsup import SUBSETS, read_questions

if TYPE_CHECKING:
    from collections.abc import Collection

ABOUT_COCO = {subset.file.lower(): subset for subset in SUBSETS if subset.images == "val2017"}


class AskedImages(NamedTuple):
    """The names of the images that What's Up asks about, and the SHA-256 of each file that says so."""

    names: frozenset[str]
    files: dict[str, str]

    def shared(self, names: Collection[str]) -> list[str]:
        """Those of the names that are asked about, sorted."""
        return sorted(self.names.intersection(names))


def read_whatsup(place: str) -> AskedImages:
    """Read one of the files about COCO, or those in a folder, whatever the case of their names.

    Raises `InputError` where there is none, or it is another.
    """
    path = Path(place).expanduser()
    found = sorted(path.iterdir()) if path.is_dir() else [path]
    names: set[str] = set()
    hashes = {}
    for file in found:
        subset = ABOUT_COCO.get(file.name.lower())
        if subset is not None:
            names |= {question.image.rpartition("/")[2] for question in read_questions(file, subset)}
            hashes[file.name] = file_sha256(file)
    if not hashes:
        raise InputError(
            f"--option whatsup={place}",
            expected=f"the folder with {' and '.join(ABOUT_COCO)}, or one of them",
            got="neither",
            remedy="They come with the data of github.com/amitakamath/whatsup_vlms.",
        )
    return AskedImages(frozenset(names), hashes)


def overlap_note(asked: AskedImages | None, names: Collection[str], split: str) -> str:
    """A line for people: how many images of a split are asked about, or that nobody looked."""
    if asked is None:
        return "What's Up: not checked for shared images; --option whatsup=DIR says where its JSON files are"
    shared = asked.shared(names)
    if not shared:
        return f"What's Up: no image of the {split} split is asked about in {', '.join(asked.files)}"
    shown = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
    return (
        f"WARNING: What's Up asks about {len(shared)} of the {len(names)} images of the {split} split ({shown}; all in "
        "the manifest)"
    )
