"""The options that say which annotated images of the user's own are meant, for `boxlist run` and `boxlist data`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError
from boxlist.tasks.datasets.own.spec import BAD_BOXES, BAD_IMAGES, CROWD, PARTS, Form, OwnSpec

if TYPE_CHECKING:
    import argparse

FORMS: tuple[Form, ...] = ("coco", "yolo", "voc")


def add_own_data(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command's parser."""
    group = parser.add_argument_group(
        "your own images", "one of --coco with --images, --yolo, --voc; the rest is choice"
    )
    group.add_argument("--coco", metavar="FILE", help="a COCO file")
    group.add_argument("--images", metavar="DIR", help="the folder that its file names count from")
    group.add_argument("--train-coco", metavar="FILE", help="another COCO file, for the train split")
    group.add_argument("--train-images", metavar="DIR", help="its folder, if it is another")
    group.add_argument("--yolo", metavar="DIR", help="a folder with data.yaml, images/ and labels/")
    group.add_argument("--voc", metavar="DIR", help="a folder with Annotations/ and JPEGImages/")
    group.add_argument("--classes", default="", metavar="A,B", help="only these (default: all that have a box)")
    group.add_argument("--alias", action="append", default=[], metavar="OLD=NEW", help="another name for a class")
    group.add_argument("--min-area", type=float, default=0.0, metavar="PX", help="leave smaller boxes out")
    group.add_argument("--min-objects", type=int, default=0, metavar="N", help="leave images with fewer boxes out")
    group.add_argument("--max-objects", type=int, metavar="N", help="leave images with more boxes out")
    group.add_argument("--crowd", choices=CROWD, default="drop", help="crowd regions (default: %(default)s)")
    group.add_argument("--bad-boxes", choices=BAD_BOXES, default="refuse", help="(default: %(default)s)")
    group.add_argument("--bad-images", choices=BAD_IMAGES, default="refuse", help="(default: %(default)s)")
    group.add_argument(
        "--split-share", type=float, default=0.0, metavar="S", help="the share that goes to train (default: none)"
    )
    group.add_argument("--split-seed", type=int, default=0, metavar="N", help="of the split (default: 0)")
    group.add_argument("--part", choices=PARTS, default="test", help="which images are asked about (default: test)")


def read_own_data(arguments: argparse.Namespace) -> OwnSpec | None:
    """What the options say, with absolute paths; None where none of them names annotations."""
    named = [form for form in FORMS if getattr(arguments, form) is not None]
    if not named:
        return None
    if len(named) > 1 or (named != ["coco"] and (arguments.images or arguments.train_coco or arguments.train_images)):
        got = ", ".join(f"--{form}" for form in named) + (" and --images or --train-..." if len(named) == 1 else "")
        raise InputError("your own images", expected="one of --coco, --yolo, --voc", got=got, remedy="Drop the others.")
    return OwnSpec(
        form=named[0],
        annotations=_absolute(getattr(arguments, named[0])) or "",
        images=_absolute(arguments.images),
        train_annotations=_absolute(arguments.train_coco),
        train_images=_absolute(arguments.train_images),
        classes=tuple(filter(None, (name.strip() for name in arguments.classes.split(",")))),
        aliases=tuple(sorted(map(_alias, arguments.alias))),
        **{name: getattr(arguments, name) for name in _CHOICES},
    )


_CHOICES: tuple[str, ...] = (
    *("min_area", "min_objects", "max_objects", "crowd", "bad_boxes", "bad_images"),
    *("split_share", "split_seed", "part"),
)


def _absolute(path: Any) -> str | None:
    return None if path is None else str(Path(path).expanduser().resolve())


def _alias(text: str) -> tuple[str, str]:
    old, equals, new = (part.strip() for part in text.partition("="))
    if not old or not equals or not new:
        raise InputError(f"--alias {text[:80]!r}", expected="OLD=NEW", got="no such pair", remedy="Write OLD=NEW.")
    return old, new
