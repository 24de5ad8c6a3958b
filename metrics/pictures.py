"""Which rows are about one picture: they are drawn together in every resample, and change places together.

A probe may ask one picture several questions, whose answers fail together; as if each had a picture of its own,
intervals would be too narrow. So the sums of the columns are added up by picture first, and then pictures are
resampled (a cluster bootstrap: Davison and Hinkley 1997, section 3.8). Rows say it in the key `picture`; rows without
it are a picture each, and nothing is added up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.columns import Columns
    from boxlist.metrics.inputs import ImageRow

PICTURE = "picture"
"""The key of a row that names its picture, and the column that numbers pictures."""


def number_pictures(names: Sequence[object]) -> NDArray[np.float64]:
    """A column that numbers the pictures that rows name; the numbers do not depend on the order of the rows.

    >>> number_pictures(["b", "a", "b"])
    array([1., 0., 1.])
    """
    numbers = {name: number for number, name in enumerate(sorted(set(names), key=str))}
    return np.array([numbers[name] for name in names], dtype=np.float64)


def picture_column(rows: Sequence[ImageRow]) -> Columns:
    """The column of the rows' pictures; none where a row does not say its own."""
    names = [row[PICTURE] for row in rows if PICTURE in row]
    return {PICTURE: number_pictures(names)} if names and len(names) == len(rows) else {}


def pictures_of(columns: Columns) -> NDArray[np.int64] | None:
    """The picture of each row, numbered from 0 without a gap, `(n_images,)`; None where no two rows share one."""
    if PICTURE not in columns:
        return None
    numbers, found = np.unique(columns[PICTURE], return_inverse=True)
    return found if len(numbers) < len(found) else None


def count_pictures(pictures: NDArray[np.int64] | None, chosen: NDArray[np.bool_]) -> int:
    """How many pictures the chosen rows are about; all rows are a picture each where `pictures` is None."""
    return int(np.count_nonzero(chosen)) if pictures is None else len(np.unique(pictures[chosen]))
