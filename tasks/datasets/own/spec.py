"""What a set of the user's own is made from, and how: the words of a command line, kept beside the data."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

Form = Literal["coco", "yolo", "voc"]
Part = Literal["test", "train", "all"]
CROWD = ("drop", "keep", "drop-image")
BAD_BOXES = ("refuse", "clip", "drop")
BAD_IMAGES = ("refuse", "drop")
PARTS = ("test", "train", "all")

_PATHS = frozenset({"annotations", "images", "train_annotations", "train_images"})
_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,59}")


@dataclass(frozen=True)
class OwnSpec:
    """Where the annotations and images lie, and every choice. Paths are absolute.

    `annotations` is a COCO file, or the folder of a YOLO or VOC set, whose images lie inside. `split_share` is the
    share of the images that goes to train, 0 for none. `part` says which images the probe asks about: those of the
    test split, those of the train split, or all; but for "test" there is no train split then.
    """

    form: Form
    annotations: str
    images: str | None = None
    train_annotations: str | None = None
    train_images: str | None = None
    classes: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    min_area: float = 0.0
    min_objects: int = 0
    max_objects: int | None = None
    crowd: str = "drop"
    bad_boxes: str = "refuse"
    bad_images: str = "refuse"
    split_share: float = 0.0
    split_seed: int = 0
    part: Part = "test"

    def __post_init__(self) -> None:
        if not 0 <= self.split_share < 1:
            _refuse("--split-share", "a share from 0 to below 1, which goes to train", f"{self.split_share:g}")
        if self.train_annotations is not None and self.split_share:
            _refuse("--split-share", "one way to split", "--train-coco too")
        if self.max_objects is not None and self.max_objects < self.min_objects:
            _refuse("--max-objects", f"at least {self.min_objects}, the fewest", str(self.max_objects))

    def choices(self) -> dict[str, Any]:
        """Everything but the paths, as JSON: what a manifest may hold wherever the files lie."""
        return {name: value for name, value in _plain(asdict(self)).items() if name not in _PATHS}

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return _plain(asdict(self))


def spec_from_json(values: Mapping[str, Any]) -> OwnSpec:
    """The spec that `to_json` wrote."""
    known = {field.name for field in fields(OwnSpec)}
    given = {name: value for name, value in values.items() if name in known}
    given["classes"] = tuple(given["classes"])
    given["aliases"] = tuple((old, new) for old, new in given["aliases"])
    return OwnSpec(**given)


def check_own_name(name: str) -> str:
    """The name of a set is part of a folder's and a task's name."""
    if not _NAME.fullmatch(name):
        _refuse(f"name {name[:80]!r}", "small letters, digits and _, at most 60", "something else")
    return name


def automatic_name(spec: OwnSpec, source_sha256: Mapping[str, str]) -> str:
    """A name from the annotations' own and from everything that decides the content."""
    path = Path(spec.annotations)
    stem = re.sub(r"[^a-z0-9]+", "_", (path.stem if path.suffix == ".json" else path.name).lower()).strip("_")[:40]
    decided = json.dumps([spec.choices(), dict(source_sha256)], sort_keys=True).encode("ascii")
    return f"{stem or 'set'}_{hashlib.sha256(decided).hexdigest()[:10]}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def _refuse(where: str, expected: str, got: str) -> None:
    raise InputError(where, expected=expected, got=got, remedy="Correct it.")
