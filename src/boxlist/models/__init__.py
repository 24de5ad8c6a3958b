"""Models for lmms-eval; one small file an engine. Importing this package imports no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest


# The model classes by the name that `--model` takes: one row an engine.
MODELS: dict[str, str] = {"boxlist_hf": "boxlist.models.hf.BoxlistHF"}


def lmms_eval_manifests() -> list[ModelManifest]:
    """What lmms-eval finds under the entry point `lmms_eval.models`: the names for its `--model`."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [ModelManifest(model_id=name, chat_class_path=path) for name, path in MODELS.items()]
