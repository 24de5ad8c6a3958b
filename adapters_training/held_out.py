"""The probe during training: how often, on which images, and where its figures go.

Its images are held out of the train split: they are not trained on, and no evaluation image is ever among them.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.rules import Rule, checked_values, one_of, refuse_missing, whole
from boxlist.errors import InputError
from boxlist.tasks.datasets.catalog import documents
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from boxlist.tasks.datasets.split_folder import Document
    from boxlist.tasks.probes import Probe

SPLIT = "train"
PROBE_FILE = "probe.json"
LOGS = "runs"
"""The folder of TensorBoard's files; in an adapter's folder it is where hubs look for them."""

PREFIX = "eval_"
"""How Trainer and trackers call figures that are no losses."""

REPORTERS = ("tensorboard", "wandb", "trackio", "none")


@dataclass(frozen=True)
class Evaluate:
    """`evaluate` of a recipe: ask `task` (by default the trained one) about `images` images every `every` steps."""

    every: int
    images: int
    task: str | None = None
    batch_size: int = 8
    report_to: str = "tensorboard"


RULES: dict[str, Rule] = {
    "every": whole(1, 1_000_000),
    "images": whole(1, 100_000),
    "task": Rule(str, "the name of a boxlist task", bool),
    "batch_size": whole(1, 4096),
    "report_to": one_of(REPORTERS),
    "split": Rule(str, f"{SPLIT}: whoever tunes on evaluation images has none left", lambda value: value == SPLIT),
}


def read_evaluate(where: str, given: Mapping[Any, Any]) -> Evaluate:
    """The option of a recipe, checked; raises `InputError`, above all for any other split than train."""
    values = checked_values(where, given, RULES)
    refuse_missing(where, values, ("every", "images"), RULES)
    values.pop("split", None)
    if "task" in values:
        probe_named(values["task"])
    return Evaluate(**values)


def refuse_missing_tracker(evaluate: Evaluate | None) -> None:
    """Raise `InputError` where the figures are to go to a tracker that is not installed."""
    name = None if evaluate is None else evaluate.report_to
    if name not in (None, "none") and importlib.util.find_spec(str(name)) is None:
        raise InputError(
            f"evaluate: report_to {name}",
            expected="it installed",
            got="nothing",
            remedy=f"Run: pip install {name}; or set report_to: none.",
        )


class HeldOut(NamedTuple):
    """The documents that are trained on, and those that the probe asks about during training."""

    trained: Sequence[Document]
    asked: Sequence[Document]


def hold_out(trained: Probe, docs: Sequence[Document], evaluate: Evaluate | None) -> HeldOut:
    """Divide the train split `docs` of the trained probe's data set.

    The images asked about lie evenly over the split, whatever the seed, so that trainings compare. Of another data
    set's probe they come from that set's train split, and nothing is held out of this one. Raises `InputError` when
    too few are left, or when one of them is an evaluation image.
    """
    if evaluate is None:
        return HeldOut(docs, ())
    probe = probe_named(evaluate.task) if evaluate.task else trained
    own = probe.dataset == trained.dataset
    source = docs if own else documents(probe.dataset, SPLIT)
    if evaluate.images + own > len(source):
        raise InputError(
            "evaluate: images",
            expected=f"fewer than the {len(source)} images of {probe.dataset} ({SPLIT} split)",
            got=str(evaluate.images),
            remedy="Hold fewer out.",
        )
    chosen = {(2 * place + 1) * len(source) // (2 * evaluate.images) for place in range(evaluate.images)}
    asked = [document for place, document in enumerate(source) if place in chosen]
    _refuse_evaluation_images(asked, documents(probe.dataset, "test"))
    return HeldOut([document for place, document in enumerate(docs) if not (own and place in chosen)], asked)


def probe_history(log_history: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The probe's figures by step, out of Trainer's log.

    >>> probe_history([{"loss": 1.0, "step": 1}, {"eval_f1@0.3": 0.5, "epoch": 1.0, "step": 2}])
    [{'step': 2, 'f1@0.3': 0.5}]
    """
    return [
        {"step": entry["step"], **{k.removeprefix(PREFIX): v for k, v in entry.items() if k.startswith(PREFIX)}}
        for entry in log_history
        if any(key.startswith(PREFIX) for key in entry)
    ]


def keep_probe_log(history: Sequence[Mapping[str, float]], work: Path, adapter: Path) -> None:
    """Put the probe's figures and TensorBoard's files into the adapter's folder; nothing where none was asked."""
    if history:
        (adapter / PROBE_FILE).write_text(json.dumps({"probe": list(history)}, indent=1) + "\n", encoding="ascii")
    if (work / LOGS).is_dir():
        (work / LOGS).rename(adapter / LOGS)


def _refuse_evaluation_images(asked: Sequence[Document], evaluation: Sequence[Document]) -> None:
    pixels = {document["pixels_sha256"] for document in evaluation}
    shared = [document for document in asked if document["pixels_sha256"] in pixels]
    if shared:
        raise InputError(
            f"evaluate: image {shared[0]['image_id']}",
            expected="images of the train split only",
            got=f"{len(shared)} that are evaluation images too",
            remedy="Build the data again: boxlist data build NAME",
        )
