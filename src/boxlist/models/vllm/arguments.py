"""The model arguments of `boxlist_vllm`, checked. No engine here."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from boxlist.errors import InputError, unknown_name
from boxlist.models.identity import checkpoint_rows
from boxlist.models.openai.arguments import request_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

_TEXT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}")


class EngineArgument(NamedTuple):
    """An argument of vLLM's `EngineArgs` that is handed on. `steers`: answers depend on it by more than last bits."""

    name: str
    kind: Literal["count", "share", "switch", "text"]
    largest: int = 1
    choices: tuple[str, ...] = ()
    steers: bool = False

    @property
    def expected(self) -> str:
        """The values it takes, in words for error messages."""
        if self.choices:
            return " or ".join(self.choices)
        return {
            "count": f"a whole number from 1 to {self.largest}",
            "share": "a number above 0, at most 1",
            "switch": "true or false",
            "text": "a name or an address",
        }[self.kind]


_MANY = 2**62
_ROWS = (
    EngineArgument("tensor_parallel_size", "count", 4096),
    EngineArgument("pipeline_parallel_size", "count", 4096),
    EngineArgument("data_parallel_size", "count", 4096),
    EngineArgument("distributed_executor_backend", "text", choices=("mp", "ray", "uni")),
    EngineArgument("data_parallel_backend", "text", choices=("mp", "ray")),
    EngineArgument("data_parallel_size_local", "count", 4096),
    EngineArgument("data_parallel_address", "text"),
    EngineArgument("data_parallel_rpc_port", "count", 65535),
    EngineArgument("nnodes", "count", 4096),
    EngineArgument("master_addr", "text"),
    EngineArgument("master_port", "count", 65535),
    EngineArgument("gpu_memory_utilization", "share"),
    EngineArgument("kv_cache_memory_bytes", "count", _MANY),
    EngineArgument("max_num_seqs", "count", 65536),
    EngineArgument("max_num_batched_tokens", "count", _MANY),
    EngineArgument("enable_prefix_caching", "switch"),
    EngineArgument("enforce_eager", "switch"),
    EngineArgument("attention_backend", "text", steers=True),
    EngineArgument("kv_cache_dtype", "text", steers=True),
    EngineArgument("max_model_len", "count", _MANY, steers=True),
    EngineArgument("quantization", "text", steers=True),
)
ENGINE_ARGUMENTS: dict[str, EngineArgument] = {row.name: row for row in _ROWS}
_CONCURRENCY = EngineArgument("concurrency", "count", 65536)
_SWITCH = EngineArgument("trust_remote_code", "switch")
_TEXTS = ("pretrained", "adapter", "dtype", "revision", "adapter_revision")
_ELSEWHERE = ("protocol", "seed", "batch_size")

TEXT_ARGUMENTS = frozenset({*_TEXTS, "protocol"} | {row.name for row in _ROWS if row.kind == "text"})
NO_OPTION = frozenset({"pretrained", "adapter", "dtype", "concurrency", *_ELSEWHERE}) | {
    row.name for row in _ROWS if not row.steers
}


@dataclass(frozen=True)
class Setting:
    """What to load, and how the engine runs; `engine` holds the arguments that vLLM gets as they are."""

    pretrained: str
    adapter: str | None = None
    dtype: str = "auto"
    revision: str | None = None
    adapter_revision: str | None = None
    trust_remote_code: bool = False
    concurrency: int = 256
    engine: Mapping[str, Any] = field(default_factory=dict)


def read_setting(arguments: Mapping[str, object]) -> Setting:
    """Check the arguments that say what to load and how; None means not given. Raises `InputError`."""
    given = {name: value for name, value in arguments.items() if value is not None and name not in _ELSEWHERE}
    known = [*_TEXTS, *_ELSEWHERE, _SWITCH.name, _CONCURRENCY.name, *ENGINE_ARGUMENTS]
    for name in given:
        if name not in known:
            raise unknown_name("model argument", str(name), known)
    if not given.get("pretrained"):
        raise InputError(
            "boxlist_vllm", expected="pretrained=CHECKPOINT", got="none", remedy="Give a folder or a hub id."
        )
    read: dict[str, Any] = {name: str(given[name]) for name in _TEXTS if name in given}
    read |= {row.name: _value(row, given[row.name]) for row in (_SWITCH, _CONCURRENCY) if row.name in given}
    return Setting(
        **read, engine={name: _value(row, given[name]) for name, row in ENGINE_ARGUMENTS.items() if name in given}
    )


def engine_rows(arguments: Mapping[str, object]) -> dict[str, Any]:
    """What identifies the model in `run.json`, by content as for `boxlist_hf`; the other arguments are checked too."""
    read_setting(arguments)
    return checkpoint_rows(arguments)


sampling_fields = partial(request_fields, engine="boxlist_vllm")
"""Generation options as keyword arguments of vLLM's `SamplingParams`, which servers took their names from."""


def _value(row: EngineArgument, value: object) -> Any:
    """The value in the row's own type; text is read, as lmms-eval passes it."""
    text = str(value)
    if row.kind == "switch" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if row.kind == "count" and text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= row.largest:
        return int(text[:20])
    if row.kind == "share" and 0 < _number(text) <= 1:
        return _number(text)
    if row.kind == "text" and (text in row.choices if row.choices else _TEXT.fullmatch(text)):
        return text
    raise InputError(
        f"model argument {row.name}",
        expected=row.expected,
        got=repr(value)[:40],
        remedy="Correct it, or leave it out.",
    )


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
