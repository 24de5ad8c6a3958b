"""What a training would be, without its weights: the modules that it would adapt, and what a step would take.

The model is built on torch's meta device, where tensors have shapes and no storage, so a base of any size fits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.base_config import base_config
from boxlist.adapters_training.held_out import SPLIT, hold_out
from boxlist.adapters_training.lora import attach_lora, parts_of
from boxlist.adapters_training.loss import LOGITS_AT_ONCE
from boxlist.adapters_training.optimizers import PAGED, PLAIN
from boxlist.adapters_training.recipe import Recipe, check_recipe, load_recipe
from boxlist.errors import InputError
from boxlist.protocols import protocol_named
from boxlist.tasks.datasets.catalog import data_root, dataset_named, documents
from boxlist.tasks.probes import probe_named

if TYPE_CHECKING:
    from boxlist.adapters_training.lora import Targets
    from boxlist.tasks.datasets.split_folder import Document
    from boxlist.tasks.probes import Probe

_PROBED_TOKENS = 32  # the length that activations are counted at; attention's own matrix is small there
_MEASURED_SAMPLES = 64
_MOMENT_BYTES = {PLAIN: 4, PAGED: 1}
_LOGIT_BYTES = 2 + 4 + 4 + 2  # of one logit: as computed, as float32, the soft cap's slope, and its gradient


class Data(NamedTuple):
    """The split that would be trained on. `images` is None where the data set is not built."""

    dataset: str
    images: int | None
    objects: int | None


class Tokens(NamedTuple):
    """The length of samples, in tokens. What was not measured is None; `at_most` is the recipe's max_length."""

    at_most: int
    measured_on: int
    mean: float | None
    longest: int | None


class Memory(NamedTuple):
    """Bytes of a step, estimated: weights as stored, the adapter with gradients and optimizer, and two that grow with
    the tokens of a micro-batch: what is kept for the backward pass, and logits."""

    weights: int
    adapter: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return sum(self)


@dataclass(frozen=True)
class DryRun:
    """What `boxlist train --dry-run` prints."""

    recipe: Recipe
    config_origin: str
    model_type: str
    parameters: int
    data: Data
    matched_modules: dict[str, int]
    parts: dict[str, int]
    trainable_parameters: int
    tokens: Tokens
    memory: Memory

    @property
    def samples_per_step(self) -> int:
        return self.recipe.batch_size * self.recipe.accumulation

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON. Tokens of a step and memory are for samples as long as the longest measured, or `max_length`."""
        return {
            "base": {
                "name": self.recipe.base,
                "config": self.config_origin,
                "model_type": self.model_type,
                "parameters": self.parameters,
            },
            "data": {**self.data._asdict(), "split": SPLIT},
            "matched_modules": self.matched_modules,
            "modules_per_part": self.parts,
            "trainable_parameters": self.trainable_parameters,
            "samples_per_step": self.samples_per_step,
            "sample_tokens": self.tokens._asdict(),
            "tokens_per_step_at_most": self.samples_per_step * _longest(self.tokens),
            "memory_bytes": {**self.memory._asdict(), "total": self.memory.total},
            "recipe": self.recipe.to_dict(),
        }


def dry_run(recipe: str | Path | Recipe) -> DryRun:
    """Work out what a recipe would train. Loads no weights, builds no data, and writes nothing.

    Raises `InputError` for what training would refuse: a wrong recipe, modules that are not there, or modules outside
    the language part.
    """
    chosen = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    check_recipe(chosen)
    base = base_config(chosen)
    adapted, targets, parameters = _adapted(chosen, base.config)
    trainable = chosen.rank * targets.parameters_per_rank
    probe = probe_named(chosen.task)
    docs = _built_documents(chosen, probe)
    tokens = _tokens(chosen, probe, docs)
    objects = None if docs is None else sum(len(document["objects"]) for document in docs)
    return DryRun(
        recipe=chosen,
        config_origin=base.origin,
        model_type=str(base.config.model_type),
        parameters=parameters,
        data=Data(probe.dataset, None if docs is None else len(docs), objects),
        matched_modules=targets.counts,
        parts=dict(Counter(parts_of(adapted.get_base_model(), targets.modules).values())),
        trainable_parameters=trainable,
        tokens=tokens,
        memory=_memory(chosen, adapted, trainable, chosen.batch_size * _longest(tokens)),
    )


def _adapted(recipe: Recipe, config: Any) -> tuple[Any, Targets, int]:
    """The PEFT model on the meta device, its targets, and the parameters of its base."""
    import torch
    from transformers import AutoModelForImageTextToText

    try:
        with torch.device("meta"):
            model = AutoModelForImageTextToText.from_config(config, dtype=getattr(torch, recipe.dtype))
    except ValueError as error:
        raise InputError(
            f"base {recipe.base}",
            expected="a model for images and text",
            got=str(error).partition("\n")[0][:160],
            remedy="Choose another base.",
        ) from error
    parameters = sum(weight.numel() for weight in model.parameters())
    adapted, targets = attach_lora(model, recipe)
    return adapted, targets, parameters


def _built_documents(recipe: Recipe, probe: Probe) -> list[Document] | None:
    """The documents that would be trained on, if the data set is built."""
    if not (data_root() / dataset_named(probe.dataset).folder_name).is_dir():
        return None
    return list(hold_out(probe, documents(probe.dataset, SPLIT), recipe.evaluate).trained)


def _tokens(recipe: Recipe, probe: Probe, docs: list[Document] | None) -> Tokens:
    """How long samples are: measured where both data and processor are on this machine, evenly over the split."""
    from boxlist.adapters_training.lists import Teaching, samples
    from boxlist.adapters_training.suffix_encoding import encoder_for
    from boxlist.models.loading import load_processor

    folder, protocol = Path(recipe.base_location), protocol_named(recipe.protocol)
    if not docs or not folder.is_dir() or protocol.needs_frame:
        return Tokens(recipe.max_length, 0, None, None)
    processor = load_processor(recipe.base, folder)
    encode = encoder_for(processor, _stop_ids(folder, processor), recipe.base, recipe.max_length)
    taught = samples(
        probe, docs, Teaching(protocol, recipe.list_order, recipe.seed, None, recipe.budgets, recipe.against)
    )
    lengths = [encode(sample).length for sample in taught[:: -(-len(taught) // _MEASURED_SAMPLES)]]
    return Tokens(recipe.max_length, len(lengths), sum(lengths) / len(lengths), max(lengths))


def _longest(tokens: Tokens) -> int:
    return tokens.at_most if tokens.longest is None else tokens.longest


def _stop_ids(folder: Path, processor: Any) -> set[int]:
    from transformers import GenerationConfig

    has_own = (folder / "generation_config.json").is_file()
    found = GenerationConfig.from_pretrained(str(folder)).eos_token_id if has_own else None
    found = processor.tokenizer.eos_token_id if found is None else found
    return set(found) if isinstance(found, list) else {found}


def _memory(recipe: Recipe, adapted: Any, trainable: int, tokens: int) -> Memory:
    """`tokens` are those of one micro-batch. Of a frozen vision part, which lies before the first pair, nothing is kept
    for the backward pass; of one that is trained (targets: all), what is kept is not counted."""
    config = adapted.get_base_model().config.get_text_config()
    moments = _MOMENT_BYTES[recipe.optimizer]
    return Memory(
        weights=_weight_bytes(adapted, four_bits=recipe.quantisation != "none"),
        adapter=trainable * (4 + 4 + 2 * moments),  # float32 weights and gradients, two moments of Adam
        activations=tokens * _kept_bytes_per_token(adapted, config, checkpointing=recipe.gradient_checkpointing),
        logits=min(tokens * config.vocab_size, LOGITS_AT_ONCE) * _LOGIT_BYTES,
    )


def _weight_bytes(adapted: Any, *, four_bits: bool) -> int:
    """The frozen weights as stored: in NF4 the linear layers of the language part take half a byte, and a scale each
    64."""
    import torch

    frozen = {id(weight): weight for weight in adapted.parameters() if not weight.requires_grad}
    total = sum(int(weight.numel() * weight.element_size()) for weight in frozen.values())
    if not four_bits:
        return total
    layers = [found for found in adapted.get_base_model().get_decoder().modules() if isinstance(found, torch.nn.Linear)]
    linear = [layer.weight for layer in layers if id(layer.weight) in frozen]
    return total - sum(int(weight.numel() * weight.element_size() - weight.numel() * 9 // 16) for weight in linear)


def _kept_bytes_per_token(adapted: Any, config: Any, *, checkpointing: bool) -> int:
    """What autograd keeps of one token in the language part, counted tensor by tensor on the meta device.

    With gradient checkpointing that is every layer's input, and of one layer at a time what it keeps itself.
    """
    import torch

    kept: dict[int, int] = {}
    alive = []  # a tensor that is freed would leave its address to another
    parameters = {weight.untyped_storage()._cdata for weight in adapted.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            kept[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    decoder = adapted.get_base_model().get_decoder()
    with torch.device("meta"):
        embeddings = torch.empty(1, _PROBED_TOKENS, config.hidden_size, dtype=next(adapted.parameters()).dtype)
        mask = torch.empty(1, 1, _PROBED_TOKENS, _PROBED_TOKENS, dtype=torch.bool)  # whole, so that none is worked out
        kinds = getattr(config, "layer_types", None)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            decoder(
                inputs_embeds=embeddings,
                attention_mask=dict.fromkeys(kinds, mask) if kinds else mask,
                use_cache=False,
            )
    whole = sum(kept.values()) // _PROBED_TOKENS
    layers = int(config.num_hidden_layers)
    return layers * config.hidden_size * embeddings.element_size() + whole // layers if checkpointing else whole
