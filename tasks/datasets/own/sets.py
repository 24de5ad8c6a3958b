"""The user's own sets as rows of the catalog: each is a folder under `own/`, and its spec says how it is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.tasks.datasets.dataset import Dataset
from boxlist.tasks.datasets.own.build import SPEC_FILE, TASK_PREFIX, build_own
from boxlist.tasks.datasets.own.spec import OwnSpec, spec_from_json

if TYPE_CHECKING:
    from collections.abc import Iterable

OWN = "own"
_TEMPLATE = Path(__file__).resolve().parents[2] / "dense_bbox" / "_dense_bbox"


def own_row(name: str, spec: OwnSpec, splits: tuple[str, ...]) -> Dataset:
    """The catalog's row of a set of the user's own."""
    return Dataset(
        name,
        1,
        licence="the owner's",
        source=f"{spec.form}: {Path(spec.annotations).name}",
        build=lambda order: build_own(order, spec, _TEMPLATE),
        splits=splits,
        folder=f"{OWN}/{name}",
    )


def own_names(root: Path) -> list[str]:
    """The names of the sets that are built under the data root, sorted."""
    return sorted(path.parent.name for path in (root / OWN).glob(f"[!.]*/{SPEC_FILE}"))


def own_set(root: Path, name: str) -> Dataset | None:
    """The row of a built set; None where there is none of that name."""
    place = root / OWN / name
    if name not in own_names(root):
        return None
    splits = tuple(split for split in ("train", "test") if (place / split).is_dir())
    return own_row(name, read_spec(place), splits or ("test",))


def own_probes(root: Path, names: Iterable[str] | None = None) -> list[Path]:
    """The YAML files of the built sets' probes."""
    return [root / OWN / name / f"{TASK_PREFIX}{name}.yaml" for name in (own_names(root) if names is None else names)]


def read_spec(place: Path) -> OwnSpec:
    """The spec that a set was built from."""
    path = place / SPEC_FILE
    try:
        return spec_from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        remedy = f"Delete {place} and import the data again."
        raise InputError(
            f"{path}", expected="what the set was made from", got=str(error)[:100], remedy=remedy
        ) from error
