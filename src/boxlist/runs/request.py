"""What `boxlist run` is asked for, read from the words of a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from boxlist.controls.table import CONTROLS, Controls
from boxlist.errors import InputError, unknown_name
from boxlist.models import MODELS
from boxlist.protocols import DEFAULT_PROTOCOL, PROTOCOLS, Protocol, protocol_named

if TYPE_CHECKING:
    from collections.abc import Mapping

Scalar = str | int | float | bool | None

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,119}")
# Model arguments that are text whatever they look like: a folder may be called 0012.
_TEXTS = frozenset[str]().union(*(row.texts for row in MODELS.values()))
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class RunRequest:
    """One model under one set of controls on some tasks; with `any_protocol`, though its adapter learnt another one.

    Raises `InputError` for a name that is no folder's name.
    """

    tasks: tuple[str, ...]
    name: str
    model_args: Mapping[str, Scalar]
    model: str = "boxlist_hf"
    controls: Controls = field(default_factory=Controls)
    out: Path = Path("runs")
    limit: int | None = None
    batch_size: int = 1
    seed: int = 0
    generation_kwargs: Mapping[str, Scalar] = field(default_factory=dict)
    fresh: bool = False
    any_protocol: bool = False

    def __post_init__(self) -> None:
        check_run_name(self.name)
        if self.model not in MODELS:
            raise unknown_name("model", self.model, MODELS)
        if not self.model_args.get(MODELS[self.model].named_by.partition("=")[0]):
            raise InputError(
                "--model-args",
                expected=MODELS[self.model].named_by,
                got="none",
                remedy="Say which model.",
            )
        if not self.tasks:
            raise InputError("--tasks", expected="at least one task", got="none", remedy="Name one.")
        self._refuse_hidden_controls()

    @property
    def path(self) -> Path:
        return self.out / self.name

    @property
    def protocol(self) -> Protocol:
        return protocol_named(str(self.model_args.get("protocol") or DEFAULT_PROTOCOL))

    def text_arg(self, name: str) -> str | None:
        """A model argument as text, None when it is not given."""
        value = self.model_args.get(name)
        return None if value is None else str(value)

    def _refuse_hidden_controls(self) -> None:
        for name in CONTROLS:
            if name in self.generation_kwargs:
                raise InputError(
                    f"--gen-kwargs {name}", expected="it among --controls", got="it here", remedy="Move it there."
                )


def check_run_name(name: str) -> None:
    """A run's name is the name of its folder."""
    if not _RUN_NAME.fullmatch(name):
        raise InputError(
            f"--name {name[:80]!r}",
            expected="letters, digits and ._=+- only, at most 120",
            got="something else",
            remedy="Choose such a name; --out says where the folder lies.",
        )


def default_name(model_args: Mapping[str, Scalar], controls: Controls) -> str:
    """A name from the last part of adapter or checkpoint, a protocol that is composed, and the controls.

    >>> default_name({"pretrained": "org/Model-8B"}, Controls(budget=8, repeat_stop=True))
    'Model-8B-budget=8+repeat_stop'
    """
    source = str(next(filter(None, (model_args.get(name) for name in ("adapter", "pretrained", "model"))), "model"))
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).name).strip(".-") or "model"
    protocol = protocol_named(str(model_args.get("protocol") or DEFAULT_PROTOCOL)).name
    composed = "" if protocol in PROTOCOLS else f"-{protocol}"
    return f"{stem}{composed}-{controls.name.replace(',', '+')}"


def read_pairs(text: str, where: str) -> dict[str, Scalar]:
    """Read `a=1,b=x`: numbers and true/false/none as themselves, anything else as text. Raises `InputError`.

    >>> read_pairs("pretrained=org/model, batch_size=4", "--model-args")
    {'pretrained': 'org/model', 'batch_size': 4}
    """
    pairs: dict[str, Scalar] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, given, value = (piece.strip() for piece in part.partition("="))
        if not given or not name.isidentifier():
            raise InputError(f"{where} {part[:80]!r}", expected="name=value", got="neither", remedy="Write name=value.")
        if name in pairs:
            raise InputError(f"{where} {name}", expected="it once", got="it twice", remedy="Drop one of them.")
        pairs[name] = value if name in _TEXTS else _scalar(value)
    return pairs


def take_batch_size(model_args: dict[str, Scalar]) -> int:
    """Remove `batch_size` from model arguments, where lmms-eval's users put it; 1 when it is not there."""
    value = model_args.pop("batch_size", 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(
            "--model-args batch_size", expected="a whole number from 1", got=repr(value)[:40], remedy="Correct it."
        )
    return value


def _scalar(text: str) -> Scalar:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", text[:40], re.ASCII) and len(text) <= 40:
        return float(text)
    return text
