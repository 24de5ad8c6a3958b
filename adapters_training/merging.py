"""Merge an adapter into its base: a full checkpoint that needs no PEFT, with a note of what it was made from."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist import __version__
from boxlist.adapters_training.provenance import base_differences, check_belongs, read_provenance
from boxlist.errors import InputError
from boxlist.models.identity import adapter_sha256, base_identity, checkpoint_folder, reading_files
from boxlist.models.loading import load_processor_and_model
from boxlist.whole_files import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.adapters_training.provenance import Provenance

NOTE_FILE = "merged_from.json"
BASE_DTYPE = "base"
DTYPES = (BASE_DTYPE, "float32")


class Merged(NamedTuple):
    """A merged checkpoint: its folder, the type of its numbers, and what could not be checked."""

    folder: Path
    dtype: str
    warnings: list[str]


def merge_adapter(
    adapter: Path, base: str, out: Path, *, revision: str | None = None, dtype: str = BASE_DTYPE
) -> Merged:
    """Write base plus adapter as one checkpoint into the new folder `out`.

    The sum is made in float32 and then rounded to the base's own numbers, or kept with `dtype` float32: only then are
    the answers those of the adapter on its base, since bfloat16 rounds small changes away. Tokenizer, processor and
    chat template are copied byte for byte. Raises `InputError` where `out` exists, and for a base that the adapter was
    not trained on. Needs memory for the whole model in float32.
    """
    if out.exists():
        raise InputError(
            f"--out {out}", expected="a new folder", got="one that exists", remedy="Give another, or delete it."
        )
    provenance = read_provenance(adapter)
    identity = base_identity(base, revision)
    warnings = _checked(adapter, provenance, identity)
    folder = checkpoint_folder(base, revision)
    model = load_processor_and_model(str(folder), str(adapter), dtype="float32", device="cpu").model
    own = _own_dtype(folder)
    stored = own if dtype == BASE_DTYPE else dtype
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as room:
        fresh = Path(room) / "checkpoint"
        _to(model, stored).save_pretrained(fresh)
        for file in [*reading_files(folder), *folder.glob("generation_config.json")]:
            place = fresh / file.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        note = _note(adapter, base, identity, provenance, {"sum": "float32", "stored": stored, "base": own})
        write_json(fresh / NOTE_FILE, note)
        fresh.rename(out)
    return Merged(out, stored, warnings)


def _checked(adapter: Path, provenance: Provenance | None, identity: Mapping[str, str]) -> list[str]:
    if provenance is None:
        return [f"{adapter} has no provenance: cannot check that this is the base that it was trained on"]
    check_belongs(adapter, provenance)
    differing = list(base_differences(provenance, identity))
    if differing:
        raise InputError(
            f"adapter {adapter}",
            expected="the base that it was trained on",
            got="; ".join(differing),
            remedy=f"Pass --base {provenance.base['name'][:120]}.",
        )
    return []


def _own_dtype(folder: Path) -> str:
    """The type of the base's numbers, as transformers would load it by itself."""
    import torch
    from transformers import AutoConfig

    dtype = AutoConfig.from_pretrained(str(folder)).dtype
    return str(dtype or torch.float32).removeprefix("torch.")


def _to(model: Any, dtype: str) -> Any:
    import torch

    return model.to(getattr(torch, dtype))


def _note(
    adapter: Path, base: str, identity: Mapping[str, str], provenance: Provenance | None, dtypes: Mapping[str, str]
) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "schema": 1,
        "adapter_sha256": adapter_sha256(adapter),
        "base": {"name": base if provenance is None else provenance.base["name"], "identity": dict(identity)},
        "dtype": dict(dtypes),
        "provenance": None if provenance is None else provenance.to_dict(),
        "versions": {"boxlist": __version__, **{name: version(name) for name in ("torch", "transformers", "peft")}},
    }
