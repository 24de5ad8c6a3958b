"""A dry run in words, one line a matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boxlist.adapters_training.dry_run import DryRun

_GIB = 2**30


def dry_run_text(found: DryRun) -> str:
    """What `boxlist train --dry-run` prints for people."""
    rows = {
        "base": f"{found.recipe.base}: {found.model_type}, {found.parameters:,} parameters",
        "config": found.config_origin,
        "data": _data(found),
        "modules": _modules(found),
        "trainable": f"{found.trainable_parameters:,} parameters (rank {found.recipe.rank}, alpha "
        f"{found.recipe.alpha})",
        "a step": _step(found),
        "memory": _memory(found),
    }
    return "\n".join(f"{name:<10} {words}" for name, words in rows.items())


def _data(found: DryRun) -> str:
    data = found.data
    if data.images is None:
        return f"{data.dataset}, train split: not built here (boxlist data list {data.dataset} says how)"
    return f"{data.dataset}, train split: {data.images:,} images, {data.objects:,} objects"


def _modules(found: DryRun) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in found.matched_modules.items())
    parts = ", ".join(f"{count} in the {part} part" for part, count in found.parts.items())
    return f"{counts}; {parts}"


def _step(found: DryRun) -> str:
    recipe, tokens = found.recipe, found.tokens
    split = f" ({recipe.accumulation} micro-batches of {recipe.batch_size})" if recipe.accumulation > 1 else ""
    samples = f"{found.samples_per_step} samples{split}"
    if tokens.mean is None or tokens.longest is None:
        return f"{samples} of at most {tokens.at_most:,} tokens: at most {found.samples_per_step * tokens.at_most:,}"
    mean = f"{tokens.mean:,.0f} tokens on average, {tokens.longest:,} at most, over {tokens.measured_on} of them"
    return f"{samples} ({mean}): about {found.samples_per_step * tokens.mean:,.0f} tokens"


def _memory(found: DryRun) -> str:
    memory = found.memory
    parts = ", ".join(f"{name} {size / _GIB:.2f}" for name, size in memory._asdict().items())
    unseen = "; the vision part's own activations are not counted" if len(found.parts) > 1 else ""
    longest = "max_length" if found.tokens.longest is None else "the longest measured"
    return f"about {memory.total / _GIB:.2f} GiB ({parts}), were all samples as long as {longest}{unseen}"
