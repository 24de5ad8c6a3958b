"""The model card of an adapter with the figures of a run of it: YAML in the head for hubs, a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.adapter_files import card_text
from boxlist.adapters_training.provenance import PROVENANCE_FILE, read_provenance
from boxlist.errors import InputError
from boxlist.models.identity import adapter_sha256
from boxlist.reports.exports.model_card import SHOWN, model_card
from boxlist.reports.exports.scores import source_scores
from boxlist.reports.exports.source import read_source
from boxlist.whole_files import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from boxlist.reports.exports.source import Source


def write_card(folder: Path, run: Path | None = None, out: Path | None = None, *, task: str | None = None) -> Path:
    """Write the card of the adapter in `folder`, by default as its README.md; returns the file.

    `run` is a finished run folder of this adapter, told by content. Raises `InputError` for the run of another, and
    for an adapter without provenance, of which there is nothing to tell.
    """
    provenance = read_provenance(folder)
    if provenance is None:
        raise InputError(
            f"adapter {folder}",
            expected=f"{PROVENANCE_FILE}, which the card is made from",
            got="none",
            remedy="Its author's own card has to do; boxlist export --format model-card gives a run's figures for it.",
        )
    head, words = ("", "") if run is None else _figures(folder, read_source(run, task=task))
    file = out or folder / "README.md"
    if file.is_dir() or not file.parent.is_dir():
        raise InputError(
            f"--out {file}", expected="a file in a folder that exists", got="another", remedy="Choose one."
        )
    write_text(file, card_text(provenance, head, words))
    return file


def _figures(folder: Path, source: Source) -> tuple[str, str]:
    used = (source.run.get("adapter") or {}).get("sha256")
    if used != adapter_sha256(folder):
        raise InputError(
            str(source.path),
            expected=f"a run of the adapter {folder}",
            got=f"one of another adapter, {str(used)[:12]}" if used else "one without an adapter",
            remedy="Give the run folder that boxlist run wrote with this adapter.",
        )
    return model_card(source)[0], _table(source)


def _table(source: Source) -> str:
    task = source_scores(source)["tasks"][source.probe.task]
    rows = [
        f"| {name} | {figure['value']:.4g} | {_interval(figure)} |"
        for name in SHOWN
        if (figure := task["metrics"].get(name)) is not None and figure["value"] is not None
    ]
    title = f"`{source.probe.task}`, {task['n']} images of the test split:"
    return "\n".join([title, "", "| metric | value | 95% interval |", "|---|---|---|", *rows])


def _interval(figure: Mapping[str, Any]) -> str:
    return "" if figure["ci_low"] is None else f"{figure['ci_low']:.4g} to {figure['ci_high']:.4g}"
