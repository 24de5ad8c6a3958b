"""From entries to tables: what may stand together does, ranked; what may not is set apart, and says why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from boxlist.metrics.intervals import FEW_IMAGES
from boxlist.metrics.summary import by_picture
from boxlist.metrics.table import METRICS
from boxlist.reports.comparable import MIXABLE
from boxlist.reports.leaderboard.ranks import Standing, permutations_for, standings

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from boxlist.metrics.inputs import ImageId
    from boxlist.reports.leaderboard.entries import Entry
    from boxlist.reports.saved_runs import Terms

DEFAULT_COLUMNS = (
    *("f1@0.3", "f1@0.5", "target_shape_valid", "count_exact", "count_mae", "spatial_accuracy"),
    *("choice_accuracy", "referring_iou", "referring_acc@0.5"),
    *("parse_valid", "predictions_per_image", "duplicate_rate", "max_repeat", "trigger_rate"),
)
_TERMS = {"images": "ground truth", "prompt": "prompt", "protocol": "protocol", "definitions": "definitions"}
_SHOWN_DIGITS = 8


class Row(NamedTuple):
    """An entry and where it stands."""

    entry: Entry
    standing: Standing
    is_best: bool = False


class Group(NamedTuple):
    """Rows that share a base; `base` is None where rows are not grouped."""

    base: str | None
    rows: Sequence[Row]


@dataclass(frozen=True)
class Table:
    """Entries over the same images under the same terms, best first.

    `apart` says why they are not in the task's main table; None for the main table itself. `terms` holds None where
    entries differ in what the user allowed to be mixed, which `mixed` names. `n_pictures` is less than `n_images` where
    several questions are about one picture.
    """

    task: str
    sort: str
    columns: tuple[str, ...]
    terms: Terms
    n_images: int
    n_pictures: int
    groups: Sequence[Group]
    apart: str | None
    mixed: tuple[str, ...]

    @property
    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]

    @property
    def comparisons(self) -> int:
        """How many runs were held against the best."""
        return sum(row.standing.p is not None for row in self.rows)

    @property
    def permutations(self) -> int:
        return permutations_for(self.comparisons)

    @property
    def few_images(self) -> bool:
        return self.n_pictures < FEW_IMAGES


class _Key(NamedTuple):
    """What must be equal for entries to share a table."""

    task: str
    sort: str
    terms: Terms
    image_ids: tuple[ImageId, ...]


def build_tables(
    entries: Sequence[Entry],
    columns: Sequence[str] | None = None,
    *,
    by_base: bool = True,
    mixed: Collection[str] = (),
    seed: int = 0,
) -> list[Table]:
    """A main table for each task, the one with the most runs, and behind it those that are set apart."""
    together: dict[_Key, list[Entry]] = {}
    for entry in _with_names_of_their_own(entries):
        terms = replace(entry.terms, **dict.fromkeys(mixed))
        together.setdefault(_Key(entry.task, entry.sort, terms, entry.image_ids), []).append(entry)
    tables = []
    for task in dict.fromkeys(key.task for key in together):
        keys = sorted((key for key in together if key.task == task), key=lambda key: -len(together[key]))
        for key in keys:
            apart = None if key is keys[0] else _difference(keys[0], key)
            groups = _groups(_ranked(together[key], seed), by_base=by_base)
            tables.append(
                Table(
                    task=_title(together[key]),
                    sort=key.sort,
                    columns=_columns(together[key], key.sort, columns),
                    terms=replace(key.terms, **{name: _shared(together[key], name) for name in mixed}),
                    n_images=len(key.image_ids),
                    n_pictures=_n_pictures(together[key]),
                    groups=groups,
                    apart=apart,
                    mixed=tuple(name for name in MIXABLE if name in mixed and len(_given(together[key], name)) > 1),
                )
            )
    return tables


def _ranked(entries: Sequence[Entry], seed: int) -> list[Row]:
    """Best first, undefined last, equal ones by name. A metric without a better end goes from high to low."""
    metric = METRICS[entries[0].sort]
    sign = 1 if metric.higher_is_better is False else -1
    ordered = sorted(entries, key=lambda e: (e.value is None, sign * (e.value or 0.0), e.name, e.path))
    pictures = _pictures(entries)
    parts = [by_picture(entry.parts, pictures) for entry in ordered]
    places = standings(metric, [entry.value for entry in ordered], parts, seed)
    return [
        Row(entry, place, place.rank == 1 and place.p is None) for entry, place in zip(ordered, places, strict=True)
    ]


def _pictures(entries: Sequence[Entry]) -> NDArray[np.int64] | None:
    """Which images of a table are about one picture, if any run says so."""
    return next((entry.pictures for entry in entries if entry.pictures is not None), None)


def _n_pictures(entries: Sequence[Entry]) -> int:
    pictures = _pictures(entries)
    return len(entries[0].image_ids) if pictures is None else int(pictures.max()) + 1


def _groups(rows: Sequence[Row], *, by_base: bool) -> list[Group]:
    """Rows by base, the base of the best first; not grouped where no run says its base."""
    if not by_base or not any(row.entry.base for row in rows):
        return [Group(None, rows)]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.entry.base_key, []).append(row)
    return [Group(members[0].entry.base or "not recorded", members) for members in groups.values()]


def _columns(entries: Sequence[Entry], sort: str, columns: Sequence[str] | None) -> tuple[str, ...]:
    """The metric that is sorted by, then those asked for, or the default ones that any entry has."""
    if columns is None:
        there = {name for entry in entries for name in entry.figures}
        columns = [name for name in DEFAULT_COLUMNS if name in there]
    return tuple(dict.fromkeys((sort, *columns)))


def _with_names_of_their_own(entries: Sequence[Entry]) -> list[Entry]:
    """Runs of the same name in different places are called by their paths."""
    places = {(entry.name, entry.path) for entry in entries}
    names = Counter(name for name, _ in places)
    return [replace(entry, name=entry.path) if names[entry.name] > 1 else entry for entry in entries]


def _title(entries: Sequence[Entry]) -> str:
    names = {entry.task_name for entry in entries}
    return names.pop() if len(names) == 1 else entries[0].task


def _given(entries: Sequence[Entry], term: str) -> set[str | None]:
    return {getattr(entry.terms, term) for entry in entries}


def _shared(entries: Sequence[Entry], term: str) -> str | None:
    """What all entries have; None where they differ."""
    given = _given(entries, term)
    return given.pop() if len(given) == 1 else None


def _difference(main: _Key, other: _Key) -> str:
    """Why these are not in the main table."""
    reasons = []
    if main.image_ids != other.image_ids:
        shared = len(set(main.image_ids) & set(other.image_ids))
        reasons.append(
            f"other images ({len(other.image_ids)} instead of {len(main.image_ids)}, {shared} ids in common)"
        )
    for name, term in _TERMS.items():
        theirs, ours = getattr(other.terms, name), getattr(main.terms, name)
        if theirs != ours:
            reasons.append(f"other {term} ({term_text(theirs)} instead of {term_text(ours)})")
    if main.sort != other.sort:
        reasons.append(f"no {main.sort}")
    return "; ".join(reasons)


def term_text(term: str | None) -> str:
    """A term as it is shown: hashes by their first digits.

    >>> term_text("d486fb265f603e9d582e4dc87a03cf9e"), term_text("pixel_xyxy"), term_text(None)
    ('d486fb26', 'pixel_xyxy', 'not recorded')
    """
    if term is None:
        return "not recorded"
    printable = "".join(char if char.isprintable() else " " for char in term[:40])
    return printable[:_SHOWN_DIGITS] if len(term) >= 32 else printable
