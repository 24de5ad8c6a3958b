"""Which LoRA adapters vLLM takes. What it would leave out in silence is refused here, before the engine starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxlist.errors import InputError
from boxlist.models.identity import ADAPTER_CONFIG, ADAPTER_WEIGHTS, read_json
from boxlist.models.loading import refuse_odd_adapter

if TYPE_CHECKING:
    from pathlib import Path

# The ranks that vLLM's kernels make room for; an adapter takes the next one up.
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
_LANGUAGE = ".language_model."
_LORA_WEIGHTS = (".lora_A.weight", ".lora_B.weight")
_NOT_SERVED = ("use_dora", "lora_bias", "modules_to_save", "trainable_token_indices", "alora_invocation_tokens")


def rank_for(folder: Path) -> int:
    """vLLM's `max_lora_rank` for the adapter of `folder`. Raises `InputError` for one that it would not apply whole."""
    refuse_odd_adapter(folder)
    config = read_json(folder / ADAPTER_CONFIG)
    found = next((name for name in _NOT_SERVED if config.get(name)), "")
    if config.get("bias", "none") != "none":
        found = "bias"
    if found:
        raise _not_taken(folder, "plain LoRA weights", f"{found} in its {ADAPTER_CONFIG}")
    ranks = _ranks(folder)
    for name in ranks:
        if _LANGUAGE not in name or not name.endswith(_LORA_WEIGHTS):
            raise _not_taken(folder, "LoRA weights in the language model only", name[:160])
    highest = max(ranks.values(), default=0)
    if not 0 < highest <= RANKS[-1]:
        raise _not_taken(folder, f"a rank from 1 to {RANKS[-1]}", str(highest))
    return next(rank for rank in RANKS if rank >= highest)


def _ranks(folder: Path) -> dict[str, int]:
    """The rank that each weight shows: A is `(r, in)`, B is `(out, r)`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / ADAPTER_WEIGHTS, framework="numpy") as weights:
            shapes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118  no mapping
    except SafetensorError as error:
        raise _not_taken(folder, "safetensors", str(error)[:160]) from None
    return {name: (shape or [0])[0 if "lora_A" in name else -1] for name, shape in shapes.items()}


def _not_taken(folder: Path, expected: str, got: str) -> InputError:
    return InputError(
        f"adapter {folder}", expected=f"{expected}, which is what vLLM applies", got=got, remedy="Use boxlist_hf."
    )
