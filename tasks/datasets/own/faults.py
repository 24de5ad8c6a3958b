"""What can be wrong with annotated images, one row each: what it is, what to do about it, and which option decides."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple

from boxlist.errors import InputError

if TYPE_CHECKING:
    from boxlist.tasks.datasets.own.spec import OwnSpec

_SHOWN = 3
_SHOWN_CHARACTERS = 120


class Fault(NamedTuple):
    """One kind of fault. `option` is the one that decides whether it is refused."""

    name: str
    what: str
    remedy: str
    option: Literal["bad_boxes", "bad_images"]


_ROWS = (
    Fault("outside", "file names that lead out of the image folder", "Correct them", "bad_images"),
    Fault("missing", "image files that are not there", "Give the folder that holds them", "bad_images"),
    Fault("unreadable", "image files that cannot be read whole", "Get them again", "bad_images"),
    Fault("oversized", "images too large to open safely", "Make them smaller, with their boxes", "bad_images"),
    Fault("wrong_size", "images of another size than annotated", "Correct width and height", "bad_images"),
    Fault("same_picture", "pictures that occur twice", "Keep one of each", "bad_images"),
    Fault("in_both_splits", "training images that are test images too", "Take them out of one", "bad_images"),
    Fault("unknown_category", "boxes of a class that is not declared", "Declare it", "bad_boxes"),
    Fault("unknown_image", "boxes on an image that is not declared", "Declare it, or remove them", "bad_boxes"),
    Fault("no_extent", "boxes without four finite numbers and an extent", "Correct them", "bad_boxes"),
    Fault("outside_image", "boxes that reach outside their image", "Correct them", "bad_boxes"),
    Fault("same_box", "boxes that occur twice", "Keep one of each", "bad_boxes"),
)
FAULTS: dict[str, Fault] = {row.name: row for row in _ROWS}


class Tally:
    """Counts faults, with a few examples of each, and what was left out for other reasons."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}

    def add(self, fault: str, example: str) -> None:
        """Count a fault, a key of `FAULTS`."""
        self.counts[fault] += 1
        shown = self._examples.setdefault(fault, [])
        if len(shown) < _SHOWN:
            shown.append(example[:_SHOWN_CHARACTERS])

    def lines(self, remedy: str | None = None) -> list[str]:
        """Each kind of fault in one line: how many, examples, and what to do, or `remedy` for all of them."""
        return [_printable(self._line(name, remedy)) for name in FAULTS if self.counts[name]]

    def notes(self, spec: OwnSpec) -> list[str]:
        """What was left out, and of the faults what became of them, for the manifest."""
        faults = [f"{self.counts[name]} {row.what}: {_fate(row, spec)}" for name, row in FAULTS.items()]
        kept = [line for line, name in zip(faults, FAULTS, strict=True) if self.counts[name]]
        return [f"{count} {what}" for what, count in sorted(self.left_out.items())] + kept

    def refuse(self, where: str, spec: OwnSpec) -> None:
        """Raise `InputError` for the first kind of fault whose option says refuse."""
        refused = [n for n, row in FAULTS.items() if self.counts[n] and getattr(spec, row.option) == "refuse"]
        if not refused:
            return
        row = FAULTS[refused[0]]
        others = len(refused) - 1
        more = f", and {others} other kind{'s' if others > 1 else ''} of fault" if others else ""
        raise InputError(
            where,
            expected=f"no {row.what}",
            got=f"{self.counts[row.name]}, such as {'; '.join(self._examples[row.name])}{more}",
            remedy=f"{_remedy(row)}. boxlist data check, with the same options, lists them all.",
        )

    def _line(self, name: str, remedy: str | None) -> str:
        row = FAULTS[name]
        examples = "; ".join(self._examples[name])
        return f"{name}: {self.counts[name]} {row.what}, such as {examples}. {remedy or _remedy(row)}."


def _fate(row: Fault, spec: OwnSpec) -> str:
    chosen: str = getattr(spec, row.option)
    return "drop" if chosen == "clip" and row.name != "outside_image" else chosen


def _remedy(row: Fault) -> str:
    clip = "clip or " if row.name == "outside_image" else ""
    return f"{row.remedy}, or pass --{row.option.replace('_', '-')} {clip}drop"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
