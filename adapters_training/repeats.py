"""Lists that teach against repetition: records that are only read, a repeat that is made unlikely, a heavier end.

They are written over the list that is taught, after its order is drawn, and drawn anew each epoch:

- **Noise records**, after Pix2Seq (arXiv 2109.10852): half of them are objects of the image that the list names
  elsewhere, with jittered boxes; half are random boxes with labels of the list. Pix2Seq puts them behind the list as a
  class of their own, which its decoding passes over. An answer that is taken as it is written has no such class, so
  here they stand between the records and carry no loss: the model learns to go on well after records that are wrong
  or said already, which it meets whenever it repeats itself.
- **A repeat made unlikely**, after unlikelihood training (arXiv 1908.04319): one record is said again at a random
  later place. The first token that no record still to come would write there gets the unlikelihood loss: it decides
  for the repeat. The rest of the repeat is only read.
- **The end** of the list, its closing and the end-of-turn token, counts more in the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from boxlist.scanner import RecordScanner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from boxlist.protocols import Protocol
    from boxlist.tasks.datasets.split_folder import Document, DocumentObject

_JITTER = 0.3  # of a box's width and height, at most, to either side
_LEAST_SIDE = 0.02  # of the image's, for random boxes


class Against(NamedTuple):
    """How lists are taught against repetition; the defaults do nothing.

    noise_records: how many a list gets. unlikely_repeats: what the telling token of a repeat counts, 0 for no repeat.
    end_weight: what the end of a list counts, where any other token counts 1.
    """

    noise_records: int = 0
    unlikely_repeats: float = 0.0
    end_weight: float = 1.0

    @property
    def adds_records(self) -> bool:
        """Whether lists hold more than is to be said, drawn anew each epoch."""
        return bool(self.noise_records or self.unlikely_repeats)


class Mark(NamedTuple):
    """What the characters from `start` to before `end` of an answer count in the loss; below 0 they become unlikely."""

    start: int
    end: int
    weight: float


class TaughtList(NamedTuple):
    """The text of a list, and its marks from left to right, which do not overlap."""

    text: str
    marks: tuple[Mark, ...]


class _Placed(NamedTuple):
    """An object of the list that is taught, or one that is only read; `repeats` says that it is an exact copy."""

    item: DocumentObject
    read_only: bool = False
    repeats: bool = False


def taught_list(
    objects: Sequence[DocumentObject],
    document: Document,
    write: Callable[[Sequence[DocumentObject]], str],
    protocol: Protocol,
    against: Against,
    rng: np.random.Generator,
) -> TaughtList:
    """The list of `objects`, in their order, with what `against` adds, drawn from `rng`.

    `write` gives the text of a list in the protocol, which writes flat lists: a record after the other.
    """
    placed = [_Placed(item) for item in objects]
    if objects:
        _put_noise_in(placed, document, against.noise_records, rng)
        if against.unlikely_repeats:
            _put_a_repeat_in(placed, rng)
    text = write([one.item for one in placed])
    scanner = RecordScanner(protocol)
    ends = [found.end for found in (*scanner.feed(text), *scanner.rest())]
    if len(ends) != len(placed):
        raise AssertionError(f"{protocol.name} reads {len(ends)} records where {len(placed)} were written")
    return TaughtList(text, tuple(_marks(placed, ends, text, against)))


def _put_noise_in(placed: list[_Placed], document: Document, count: int, rng: np.random.Generator) -> None:
    own = [one.item for one in placed]
    for number in range(count):
        source = own[int(rng.integers(len(own)))]
        box = _jittered(source["box_xyxy_px"], rng) if number % 2 == 0 else _anywhere(document, rng)
        noise: DocumentObject = {"label": source["label"], "box_xyxy_px": box}
        placed.insert(int(rng.integers(1, len(placed) + 1)), _Placed(noise, read_only=True))


def _put_a_repeat_in(placed: list[_Placed], rng: np.random.Generator) -> None:
    named = [place for place, one in enumerate(placed) if not one.read_only]
    source = named[int(rng.integers(len(named)))]
    at = int(rng.integers(source + 1, len(placed) + 1))
    placed.insert(at, _Placed(placed[source].item, read_only=True, repeats=True))


def _jittered(box_xyxy_px: Sequence[float], rng: np.random.Generator) -> list[float]:
    """Every corner moved by at most `_JITTER` of the sides, which never cross."""
    x1, y1, x2, y2 = box_xyxy_px
    by = rng.uniform(-_JITTER, _JITTER, size=4) * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
    return [float(side + move) for side, move in zip(box_xyxy_px, by, strict=True)]


def _anywhere(document: Document, rng: np.random.Generator) -> list[float]:
    """A random box within the image."""
    size = document["width"], document["height"]
    spans = [sorted(rng.uniform(0, 1 - _LEAST_SIDE, size=2)) for _ in size]
    (x1, x2), (y1, y2) = [
        (low * side, (high + _LEAST_SIDE) * side) for (low, high), side in zip(spans, size, strict=True)
    ]
    return [float(x1), float(y1), float(x2), float(y2)]


def _marks(placed: Sequence[_Placed], ends: Sequence[int], text: str, against: Against) -> list[Mark]:
    """What is only read goes from the end of the record before to its own end: to go on with it is a part of it."""
    starts = [0, *ends]
    stretches = [text[start:end] for start, end in zip(starts, ends, strict=False)]
    marks = []
    for place, one in enumerate(placed):
        if not one.read_only:
            continue
        start, end = starts[place], ends[place]
        tells = len(stretches[place])
        if one.repeats:
            to_come = [stretches[later] for later in range(place + 1, len(placed)) if not placed[later].read_only]
            tells = _telling(stretches[place], to_come or [text[ends[-1] :]])
        cut = start + tells
        told = min(cut + 1, end)
        marks += [Mark(start, cut, 0.0), Mark(cut, told, -against.unlikely_repeats), Mark(told, end, 0.0)]
    if against.end_weight != 1.0:
        marks.append(Mark(starts[-1], len(text), against.end_weight))
    return [mark for mark in marks if mark.start < mark.end]


def _telling(repeat: str, others: Sequence[str]) -> int:
    """The first character of a repeat that none of the others has there; its length where one of them is the same."""
    return max(_common(repeat, other) for other in others)


def _common(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
