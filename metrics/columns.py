"""Per-image columns: arrays for computing, rows for JSON, and the way between them.

A column holds one number an image, as float64, int64 or bool; NaN in a float column means undefined, which is None
in a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from boxlist.metrics.inputs import ImageRow

Columns: TypeAlias = "dict[str, NDArray[Any]]"


def to_rows(names: Mapping[str, Sequence[object]], columns: Columns) -> list[ImageRow]:
    """Rows with the plain values of `names` (image id, status) first, then a value of each column."""
    values = [*names.values(), *(_plain(column) for column in columns.values())]
    keys = (*names, *columns)
    return [dict(zip(keys, row, strict=True)) for row in zip(*values, strict=True)]


def to_columns(rows: Sequence[ImageRow], names: Iterable[str]) -> Columns:
    """The named columns of rows, as float64 with NaN for None. A row without one is an `InputError`."""
    columns: Columns = {}
    for name in names:
        try:
            columns[name] = np.array([row[name] for row in rows], dtype=np.float64)
        except KeyError:
            index, row = next((index, row) for index, row in enumerate(rows) if name not in row)
            raise InputError(
                f"image {row.get('image_id', index)!r}",
                expected=f"a column {name!r}",
                got=", ".join(map(str, row)) or "an empty row",
                remedy="Choose metrics of the probe that these rows come from.",
            ) from None
    return columns


def _plain(column: NDArray[Any]) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype.kind == "f":
        for index in np.flatnonzero(np.isnan(column)).tolist():
            values[index] = None
    return values
