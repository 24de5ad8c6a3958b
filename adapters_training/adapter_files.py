"""Write a finished adapter: PEFT's files, the provenance and its digest in the weights, the losses, and a card."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.checkpoints import LOSSES_FILE
from boxlist.adapters_training.provenance import Provenance, write_provenance
from boxlist.adapters_training.weights_file import DIGEST_KEY, WEIGHTS_FILE, tensors_sha256, write_metadata
from boxlist.models.identity import ADAPTER_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_adapter(
    checkpoint: Path, folder: Path, plan: Mapping[str, Any], training: Mapping[str, Any], losses: Sequence[float]
) -> Provenance:
    """Write the adapter of a checkpoint into a new folder; what an earlier try left there is removed first."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    for name in (ADAPTER_CONFIG, WEIGHTS_FILE):
        shutil.copyfile(checkpoint / name, folder / name)
    weights = folder / WEIGHTS_FILE
    provenance = Provenance(adapter={"tensors_sha256": tensors_sha256(weights)}, training=dict(training), **plan)
    write_metadata(weights, {"format": "pt", DIGEST_KEY: write_provenance(folder, provenance)})
    (folder / LOSSES_FILE).write_text(json.dumps({"loss_per_step": list(losses)}) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card_text(provenance), encoding="utf-8")
    return provenance


def card_text(provenance: Provenance, scores_yaml: str = "", scores_words: str = "") -> str:
    """The model card: what hubs read in its head, and the same in words.

    `scores_yaml` is more for the head, whole lines of YAML; `scores_words` is Markdown for the end.
    """
    recipe, training, data = provenance.recipe, provenance.training, provenance.data
    head = {
        "base_model": provenance.base["name"],
        "base_model_relation": "adapter",
        "datasets": [f"boxlist/{data['dataset']}"],
        "library_name": "peft",
        "pipeline_tag": "image-text-to-text",
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in head.items()]
    words = (
        f"A LoRA adapter (rank {recipe['rank']}, {training['trainable_parameters']:,} parameters) that answers "
        f"`{provenance.prompt['task']}` in the protocol `{provenance.protocol['name']}`. Trained by boxlist for "
        f"{recipe['steps']} steps of {training['samples_per_step']} samples on {len(data['images'])} images of "
        f"{data['dataset']} ({data['split']} split). Loss of the first step {training['first_loss']:.3f}, of the last "
        f"{training['last_loss']:.3f}. `adapter_provenance.json` has everything else."
    )
    title = f"# {data['dataset']}, {provenance.protocol['name']}"
    return (
        "\n".join(
            ["---", *lines, *scores_yaml.splitlines(), "---", title, "", words, "", *scores_words.splitlines()]
        ).rstrip("\n")
        + "\n"
    )
