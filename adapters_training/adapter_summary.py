"""What an adapter is, by its own files: LoRA's shape, the weights, and what its provenance says. No torch here."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from boxlist.adapters_training.provenance import Provenance, read_provenance
from boxlist.adapters_training.resizing import IMAGES, resizing_text
from boxlist.adapters_training.weights_file import WEIGHTS_FILE, tensor_entries
from boxlist.models.identity import ADAPTER_CONFIG, read_json

if TYPE_CHECKING:
    from pathlib import Path

_LORA_KEYS = ("peft_type", "r", "lora_alpha", "lora_dropout", "use_dora", "use_rslora", "bias", "target_modules")


def adapter_summary(folder: Path) -> dict[str, Any]:
    """Plain JSON about an adapter's folder; `provenance` is None for an adapter from elsewhere.

    Raises `InputError` for weights or a provenance that cannot be read.
    """
    config = read_json(folder / ADAPTER_CONFIG)
    entries = tensor_entries(folder / WEIGHTS_FILE)
    provenance = read_provenance(folder)
    return {
        "adapter": str(folder),
        "base": config.get("base_model_name_or_path") if provenance is None else provenance.base["name"],
        "lora": {key: config.get(key) for key in _LORA_KEYS},
        "weights": {
            "tensors": len(entries),
            "parameters": sum(math.prod(entry["shape"]) for entry in entries.values()),
            "types": dict(sorted(Counter(entry["dtype"] for entry in entries.values()).items())),
        },
        "files": {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()},
        "provenance": None if provenance is None else _told(provenance),
    }


def _told(provenance: Provenance) -> dict[str, Any]:
    """The provenance without its long list: images are counted."""
    data = {key: value for key, value in provenance.data.items() if not isinstance(value, list)}
    asked = provenance.data.get("asked_during_training")
    return {
        "base": dict(provenance.base),
        "protocol": dict(provenance.protocol),
        "prompt": dict(provenance.prompt),
        "data": {
            **data,
            "images": len(provenance.data["images"]),
            "asked_during_training": len(asked) if isinstance(asked, list) else 0,
        },
        "recipe": dict(provenance.recipe),
        "training": dict(provenance.training),
        "versions": dict(provenance.versions),
    }


def summary_text(summary: dict[str, Any]) -> str:
    """`adapter_summary` for people, one line a matter."""
    lora, weights, told = summary["lora"], summary["weights"], summary["provenance"]
    types = ", ".join(weights["types"])
    rows = {
        "adapter": summary["adapter"],
        "base": summary["base"],
        "LoRA": f"rank {lora['r']}, alpha {lora['lora_alpha']}, on {_targets(lora['target_modules'])}",
        "weights": f"{weights['parameters']:,} parameters in {weights['tensors']} tensors ({types})",
        "files": ", ".join(f"{name} {size:,}" for name, size in summary["files"].items()) + " bytes",
        **(_told_rows(told) if told else {"provenance": "none: nobody can say what it was trained on, or how"}),
    }
    return "\n".join(f"{name:<10} {_one_line(words)}" for name, words in rows.items())


def _told_rows(told: dict[str, Any]) -> dict[str, str]:
    data, recipe, training, protocol = told["data"], told["recipe"], told["training"], told["protocol"]
    modules = training.get("matched_modules") or {}
    return {
        "protocol": f"{protocol['name']}; lists in order: {protocol['list_order']}",
        "prompt": f"{told['prompt']['task']}: {told['prompt']['template']}",
        "budgets": f"each picture asked {recipe.get('budgets', 0)} times more with a budget",
        "data": f"{data['dataset']} {data.get('version', '')}, {data['split']} split, {data['images']} images "
        f"({data.get('licence', 'licence not said')})",
        "training": f"{recipe.get('steps')} steps of {training.get('samples_per_step')} samples, learning rate "
        f"{recipe.get('learning_rate')}, {training.get('optimizer')}, on {training.get('device')}",
        "images": resizing_text(training.get(IMAGES)),
        "modules": ", ".join(f"{count} {name}" for name, count in modules.items()),
        "loss": f"{training.get('first_loss')} at first, {training.get('last_loss')} at last",
        "versions": ", ".join(f"{name} {version}" for name, version in told["versions"].items()),
    }


def _targets(modules: object) -> str:
    return ", ".join(sorted(map(str, modules))) if isinstance(modules, list) else str(modules)


def _one_line(words: object) -> str:
    """What an adapter's author wrote, without line breaks or control characters, and bounded."""
    text = "".join(char if char.isprintable() else " " for char in str(words))
    return text if len(text) <= 600 else f"{text[:597]}..."
