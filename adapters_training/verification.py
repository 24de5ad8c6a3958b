"""Check an adapter's files against each other and, if it is given, against its base; and say what cannot be checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.adapters_training.provenance import (
    PROVENANCE_FILE,
    Provenance,
    base_differences,
    check_belongs,
    read_provenance,
)
from boxlist.adapters_training.weights_file import WEIGHTS_FILE, provenance_digest, tensor_entries
from boxlist.errors import InputError
from boxlist.models.identity import ADAPTER_CONFIG, base_identity, read_json
from boxlist.models.loading import refuse_odd_adapter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OK, WRONG, UNCHECKED = "ok", "wrong", "cannot check"
_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
_PAIRS = (".lora_A.", ".lora_B.", ".lora_embedding_A", ".lora_embedding_B", ".lora_magnitude_vector")


class Finding(NamedTuple):
    """One thing that was looked at: `outcome` is OK, WRONG or UNCHECKED."""

    matter: str
    outcome: str
    words: str


def verify_adapter(folder: Path, base: str | None = None, revision: str | None = None) -> list[Finding]:
    """Everything that can be checked about an adapter's folder, in order.

    `base` is a checkpoint's folder or hub id. Raises `InputError` for what cannot be read at all: broken weights, a
    broken provenance, an adapter that is not LoRA, or a base that is none.
    """
    refuse_odd_adapter(folder)
    provenance = read_provenance(folder)
    return [
        *_files(folder),
        *_pairs(folder),
        *(_without_provenance() if provenance is None else _against_provenance(folder, provenance)),
        *_base(provenance, base, revision),
    ]


def _files(folder: Path) -> Iterator[Finding]:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles:
        yield Finding("files", WRONG, f"{', '.join(pickles)[:200]}: a pickle can run code when it is read; delete it")
    else:
        yield Finding("files", OK, "safetensors, and no pickle beside it")


def _pairs(folder: Path) -> Iterator[Finding]:
    entries = tensor_entries(folder / WEIGHTS_FILE)
    strange = [name for name in entries if not any(part in name for part in _PAIRS)]
    ranks = {
        entry["shape"][0 if ".lora_A." in name else -1]
        for name, entry in entries.items()
        if (".lora_A." in name or ".lora_B." in name) and entry["shape"]
    }
    rank = read_json(folder / ADAPTER_CONFIG).get("r")
    if strange:
        yield Finding("weights", WRONG, f"{len(strange)} tensors that are not LoRA's, such as {strange[0][:120]}")
    elif ranks != {rank} and not read_json(folder / ADAPTER_CONFIG).get("rank_pattern"):
        found = ", ".join(map(str, sorted(ranks))) or "none"
        yield Finding("weights", WRONG, f"ranks {found} in the tensors, {rank} in {ADAPTER_CONFIG}")
    else:
        yield Finding("weights", OK, f"{len(entries)} tensors, all of LoRA, rank {rank}")


def _without_provenance() -> Iterator[Finding]:
    yield Finding("provenance", UNCHECKED, f"no {PROVENANCE_FILE}")
    yield Finding("weights as trained", UNCHECKED, "no digest of them was written down")
    yield Finding("protocol and prompt", UNCHECKED, "ask it as its author says")
    yield Finding("training images", UNCHECKED, "it may have been trained on what it is evaluated on")


def _against_provenance(folder: Path, provenance: Provenance) -> Iterator[Finding]:
    try:
        check_belongs(folder, provenance)
    except InputError as error:
        yield Finding("provenance", WRONG, f"expected {error.expected}, got {error.got}")
    else:
        yield Finding("weights as trained", OK, f"their digest is the one in {PROVENANCE_FILE}")
        if provenance_digest(folder / WEIGHTS_FILE) is None:
            yield Finding("provenance", UNCHECKED, "the weights name no digest of it")
        else:
            yield Finding("provenance", OK, "its digest is the one that the weights name")
    yield from _counts(folder, provenance)


def _counts(folder: Path, provenance: Provenance) -> Iterator[Finding]:
    entries, config = tensor_entries(folder / WEIGHTS_FILE), read_json(folder / ADAPTER_CONFIG)
    held = sum(math.prod(entry["shape"]) for entry in entries.values())
    pairs: dict[str, tuple[Any, Any]] = {
        "parameters": (provenance.training["trainable_parameters"], held),
        "rank": (provenance.recipe.get("rank"), config.get("r")),
        "alpha": (provenance.recipe.get("alpha"), config.get("lora_alpha")),
    }
    differing = [f"{name} {found}, trained with {said}" for name, (said, found) in pairs.items() if said != found]
    words = "; ".join(differing) or ", ".join(f"{name} {found}" for name, (_, found) in pairs.items())
    yield Finding("size", WRONG if differing else OK, words)


def _base(provenance: Provenance | None, base: str | None, revision: str | None) -> Iterator[Finding]:
    if base is None:
        yield Finding("base", UNCHECKED, "none given; pass --base")
        return
    identity = base_identity(base, revision)
    if provenance is None:
        yield Finding("base", UNCHECKED, "nobody wrote down which one it was trained on; loading refuses other shapes")
        return
    differing = list(base_differences(provenance, identity))
    yield Finding("base", WRONG if differing else OK, "; ".join(differing) or f"{provenance.base['name']}, by content")
