"""The formats that `boxlist export` writes, one row each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.errors import InputError, unknown_name
from boxlist.reports.exports.coco_results import coco_results
from boxlist.reports.exports.fiftyone_labels import fiftyone_labels
from boxlist.reports.exports.model_card import model_card
from boxlist.reports.exports.scores import scores_file
from boxlist.reports.exports.source import Source, read_source
from boxlist.whole_files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Format:
    """One format: its name, what reads it, the default ending of its file, and what makes it, with notes."""

    name: str
    reader: str
    ending: str
    make: Callable[[Source], tuple[Any, list[str]]]


_ROWS = (
    Format("coco", "COCO tools: COCO(...).loadRes", "coco.json", coco_results),
    Format("fiftyone", "FiftyOne: FiftyOneImageDetectionDataset", "fiftyone.json", fiftyone_labels),
    Format("model-card", "Hugging Face: model-index of a card", "model-card.yaml", model_card),
    Format("scores", "boxlist compare, leaderboard, gate", "scores.json", scores_file),
)
FORMATS: dict[str, Format] = {row.name: row for row in _ROWS}


def export(
    path: Path, name: str, out: Path | None = None, *, task: str | None = None, protocol: str | None = None
) -> tuple[Path, list[str]]:
    """Write a run, or lmms-eval's samples, in another format; returns the file and what is to be said about it.

    The file is `out`, or stands beside the source, called after it. Raises `InputError` before anything is written.
    """
    if name not in FORMATS:
        raise unknown_name("format", name, FORMATS)
    source = read_source(path, task=task, protocol=protocol)
    stem = path.name if path.is_dir() else path.stem
    file = out or path.parent / f"{stem}.{FORMATS[name].ending}"
    if file.is_dir() or not file.parent.is_dir() or (file.exists() and path.exists() and file.samefile(path)):
        raise InputError(
            f"--out {file}", expected="a new file in a folder that exists", got="another", remedy="Choose one."
        )
    content, notes = FORMATS[name].make(source)
    write_text(file, content if isinstance(content, str) else json.dumps(content, allow_nan=False) + "\n")
    return file, notes
