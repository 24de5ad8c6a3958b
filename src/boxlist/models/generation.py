"""Generation kwargs of a request, read and checked; nothing unknown passes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from boxlist.controls.table import CONTROLS, Controls
from boxlist.errors import InputError, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import GenerationConfig

DEFAULT_MAX_NEW_TOKENS = 1024
_MOST_TOKENS = 1_000_000
_OWN = ("max_new_tokens", "do_sample", "temperature", "top_p", "top_k", "num_beams", "until", "seed", "likelihood")
# What a checkpoint's generation_config.json may set behind the user's back; the rest of it (token ids) stays.
_HIDDEN_DEFAULTS = (
    "bad_words_ids",
    "diversity_penalty",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "guidance_scale",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "max_time",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "penalty_alpha",
    "prompt_lookup_num_tokens",
    "repetition_penalty",
    "sequence_bias",
    "stop_strings",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
)


@dataclass(frozen=True)
class GenerationOptions:
    """How one request is answered. Requests share a batch only when these are equal.

    With `likelihood` nothing is generated: the answer is how likely the model finds each option of the question.
    """

    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    num_beams: int = 1
    until: tuple[str, ...] = ()
    seed: int | None = None
    likelihood: bool = False
    controls: Controls = field(default_factory=Controls)

    @property
    def watches_text(self) -> bool:
        """True when something but the end of turn may end an answer."""
        return bool(self.until) or self.controls.on_list != Controls()

    def to_hf(self) -> dict[str, Any]:
        """Keyword arguments for transformers' `generate`; sampling is from the full distribution unless cut."""
        kwargs: dict[str, Any] = {
            "max_new_tokens": self.max_new_tokens,
            "do_sample": self.do_sample,
            "num_beams": self.num_beams,
        }
        if self.do_sample:
            kwargs |= {"temperature": self.temperature, "top_p": self.top_p, "top_k": self.top_k}
        return kwargs | self.controls.logits_kwargs()


def read_generation_kwargs(kwargs: Mapping[str, Any]) -> GenerationOptions:
    """Check a task's generation kwargs; None means not given.

    Without `do_sample` a temperature above 0 samples, as lmms-eval's models do. Raises `InputError` for unknown names
    and for values out of range.
    """
    given = {name: value for name, value in kwargs.items() if value is not None}
    for name in given:
        if name not in _OWN and name not in CONTROLS:
            raise unknown_name("generation kwarg", str(name), [*_OWN, *CONTROLS])
    temperature = _number(given, "temperature", 0.0, low=0.0, high=100.0)
    do_sample = _flag(given, "do_sample", temperature > 0)
    if do_sample and temperature == 0 and "temperature" in given:
        raise _wrong("temperature", "above 0 where do_sample is true", given["temperature"])
    options = GenerationOptions(
        max_new_tokens=_whole(given, "max_new_tokens", DEFAULT_MAX_NEW_TOKENS, low=1, high=_MOST_TOKENS),
        do_sample=do_sample,
        temperature=(temperature or 1.0) if do_sample else 1.0,
        top_p=_number(given, "top_p", 1.0, low=0.0, high=1.0) if do_sample else 1.0,
        top_k=_whole(given, "top_k", 0, low=0, high=_MOST_TOKENS) if do_sample else 0,
        num_beams=_whole(given, "num_beams", 1, low=1, high=64),
        until=_until(given.get("until")),
        seed=_whole(given, "seed", 0, low=0, high=2**63 - 1) if "seed" in given else None,
        likelihood=_flag(given, "likelihood", False),
        controls=Controls.from_kwargs(given),
    )
    if options.likelihood and (options.do_sample or options.num_beams > 1 or options.controls != Controls()):
        raise InputError(
            "generation kwarg likelihood",
            expected="neither controls, sampling nor beams with it: nothing is generated",
            got=options.controls.name if options.controls != Controls() else "sampling or beams",
            remedy="Leave them out, or ask the same question by generation.",
        )
    by_rows = [name for name in ("json_only", "drop_image_tokens") if getattr(options.controls, name)]
    if options.num_beams > 1 and (options.watches_text or by_rows):
        on_list = options.controls.on_list
        what = on_list.name if on_list != Controls() else "until" if options.until else by_rows[0]
        raise InputError(
            f"num_beams with {what}",
            expected="num_beams=1",
            got=str(options.num_beams),
            remedy=f"{what} follows one text a row, and beams change places: drop num_beams or {what}.",
        )
    return options


def without_hidden_defaults(config: GenerationConfig) -> GenerationConfig:
    """A checkpoint's generation config stripped of sampling, penalties, lengths and beams: raw means raw."""

    from transformers import GenerationConfig

    kept = {name: value for name, value in config.to_dict().items() if name not in _HIDDEN_DEFAULTS}
    return GenerationConfig.from_dict(kept)


def _until(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise _wrong("until", "a text or a list of texts", value)
    return tuple(text for text in texts if text)


def _flag(given: Mapping[str, Any], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if value not in (True, False):
        raise _wrong(name, "true or false", value)
    return bool(value)


def _number(given: Mapping[str, Any], name: str, default: float, *, low: float, high: float) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(name, "a number", value)
    if not low <= value <= high:
        raise _wrong(name, f"a number from {low:g} to {high:g}", value)
    return float(value)


def _whole(given: Mapping[str, Any], name: str, default: int, *, low: int, high: int) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1 or not low <= value <= high:
        raise _wrong(name, f"a whole number from {low} to {high}", value)
    return int(value)


def _wrong(name: str, expected: str, value: object) -> InputError:
    return InputError(
        f"generation kwarg {name}", expected=expected, got=repr(value)[:80], remedy="Correct it, or leave it out."
    )
