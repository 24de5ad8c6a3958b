"""What decides a training, gathered before it starts: equal plans train equal adapters."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxlist import __version__
from boxlist.adapters_training.held_out import SPLIT
from boxlist.adapters_training.provenance import text_sha256
from boxlist.models.identity import base_identity
from boxlist.protocols import protocol_named
from boxlist.tasks.datasets.catalog import dataset_named, dataset_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boxlist.adapters_training.held_out import HeldOut
    from boxlist.adapters_training.recipe import Recipe
    from boxlist.tasks.datasets.split_folder import Document
    from boxlist.tasks.probes import Probe


def training_plan(recipe: Recipe, probe: Probe, held_out: HeldOut) -> dict[str, dict[str, Any]]:
    """The sections of a provenance that are known beforehand. Reads the base's files to tell its identity."""
    protocol = protocol_named(recipe.protocol)
    keys = {"box_key": protocol.box_key, "label_key": protocol.label_key, "list_order": recipe.list_order}
    numbers = {0: "whole numbers", 1: "one decimal", 4: "four decimals"}[protocol.decimals]
    dataset = dataset_named(probe.dataset)
    return {
        "base": {"name": recipe.base, "identity": base_identity(recipe.base_location, recipe.revision)},
        "protocol": {
            "name": protocol.name,
            "order": protocol.order,
            "unit": protocol.unit,
            "numbers": numbers,
            "clipped": False,
            **keys,
        },
        "prompt": {"task": recipe.task, "template": probe.prompt, "template_sha256": text_sha256(probe.prompt)},
        "data": {
            "dataset": dataset.name,
            "version": dataset.version,
            "licence": dataset.licence,
            "split": SPLIT,
            "content_sha256": dataset_sha256(dataset.name, SPLIT),
            "images": _images(held_out.trained),
            **({"asked_during_training": _images(held_out.asked)} if held_out.asked else {}),
        },
        "recipe": recipe.to_dict(),
        "versions": _versions(),
    }


def _images(docs: Sequence[Document]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": document["image_id"],
            "name": Path(document["file"]).name,
            "sha256": document["sha256"],
            "pixels_sha256": document["pixels_sha256"],
        }
        for document in docs
    ]


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    libraries = ("torch", "transformers", "peft", "accelerate", "safetensors")
    return {"boxlist": __version__, "python": platform.python_version(), **{name: version(name) for name in libraries}}
