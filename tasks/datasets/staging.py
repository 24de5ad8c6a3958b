"""Building beside a place and renaming into it, so that what stands there is whole, whoever is killed or first."""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_STALE_SECONDS = 24 * 3600


@contextmanager
def staging_beside(place: Path) -> Iterator[Path]:
    """A hidden folder beside `place`, removed at the end, whatever happens; old ones of killed builds go too."""
    place.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{place.name}.building-"
    for left in place.parent.glob(f"{prefix}*"):
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=place.parent))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(fresh: Path, place: Path, replaced: Path, is_whole: Callable[[], bool]) -> None:
    """Rename a finished build into place. What is there is moved away unless `is_whole`: another process's stays."""
    if place.is_dir():
        if is_whole():
            return
        place.rename(replaced)
    try:
        fresh.rename(place)
    except OSError:
        if not is_whole():
            raise
