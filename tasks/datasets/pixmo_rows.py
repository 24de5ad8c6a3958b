"""Rows of PixMo-Points as Hugging Face has them: parquet files with image_url, image_sha256, points, count, label,
collection_method, one row a question. Read and checked here; no image is touched.

The card says that points are pixels; they are percent of the image, as the official loader takes them. A point outside
0 to 100 therefore makes its row one to leave out: what its numbers mean is anybody's guess.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from boxlist.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

COLUMNS = ("image_url", "image_sha256", "points", "count", "label", "collection_method")
EVAL_FOLDER = "pixmo-points-eval"
_LONGEST_LABEL = 200


class Row(NamedTuple):
    """One question: what to point at in which image, and where it is, in percent of the image's size."""

    number: int
    url: str
    image_sha256: str
    label: str
    points_xy_percent: tuple[tuple[float, float], ...]
    collection_method: str


class ChosenRows(NamedTuple):
    """Rows that can be asked, in the order of the files, and why the others cannot, by reason."""

    rows: list[Row]
    dropped: Counter[str]
    drawn: int
    available: int


def parquet_files(folder: Path) -> list[Path]:
    """The parquet files of the data set, in order; those of the evaluation set are not among them."""
    found = [path for path in sorted(folder.rglob("*.parquet")) if EVAL_FOLDER not in path.relative_to(folder).parts]
    if not found:
        raise InputError(
            f"{folder}", expected="the .parquet files of allenai/pixmo-points", got="none", remedy="Download it there."
        )
    return found


def eval_urls(folder: Path) -> set[str] | None:
    """The image URLs of pixmo-points-eval, where the user has put it inside; None where it is not there."""
    files = sorted((folder / EVAL_FOLDER).rglob("*.parquet"))
    if not files:
        return None
    return {url for path in files for url in _read(path, ("image_url",)).column("image_url").to_pylist() if url}


def choose_rows(files: list[Path], count: int, seed: int, method: str, most_points: int | None) -> ChosenRows:
    """Draw `count` rows (all of them where that is 0) without repetition, and keep those that can be asked."""
    sizes = [_metadata(path) for path in files]
    available = sum(sizes)
    drawn = np.sort(np.random.default_rng(seed).permutation(available)[: count or available])
    starts = np.cumsum([0, *sizes])
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    for path, start, end in zip(files, starts[:-1], starts[1:], strict=True):
        wanted = drawn[(drawn >= start) & (drawn < end)]
        if not len(wanted):
            continue
        table = _read(path, COLUMNS).take(wanted - start)
        for row in _rows(path, wanted.tolist(), table.to_pylist()):
            reason = _reason(row, method, most_points)
            if reason is None:
                rows.append(row)
            else:
                dropped[reason] += 1
    return ChosenRows(rows, dropped, len(drawn), available)


def _reason(row: Row, method: str, most_points: int | None) -> str | None:
    """Why a row cannot be asked; None where it can."""
    if not row.points_xy_percent:
        return "no points"
    if not all(0 <= number <= 100 for point in row.points_xy_percent for number in point):
        return "points outside 0 to 100"
    if not row.label or len(row.label) > _LONGEST_LABEL or not row.label.isprintable():
        return "no usable label"
    if method not in {"all", row.collection_method}:
        return "another collection method"
    return "too many points" if most_points is not None and len(row.points_xy_percent) > most_points else None


def _rows(path: Path, numbers: list[int], records: Iterable[dict[str, Any]]) -> Iterator[Row]:
    for number, record in zip(numbers, records, strict=True):
        try:
            points = tuple((float(point["x"]), float(point["y"])) for point in record["points"] or ())
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: row {number}: points",
                expected="a list of {x, y}",
                got=repr(record["points"])[:80],
                remedy="Download the file again.",
            ) from error
        url, sha256, label, method = (
            str(record[name] or "") for name in ("image_url", "image_sha256", "label", "collection_method")
        )
        yield Row(number, url, sha256.lower(), " ".join(label.split()), points, method)


def _metadata(path: Path) -> int:
    """How many rows a file has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from error


def _read(path: Path, columns: tuple[str, ...]) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        if missing := [name for name in columns if name not in names]:
            raise InputError(
                f"{path}",
                expected=f"a column {missing[0]}",
                got=", ".join(names)[:200],
                remedy="Give the folder of allenai/pixmo-points.",
            )
        return pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> InputError:
    got = " ".join(str(error).split())[:120]
    return InputError(f"{path}", expected="a parquet file", got=got, remedy="Download the file again.")
