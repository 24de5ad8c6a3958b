"""The model arguments of `boxlist_openai`, checked. No engine here, and no key: only where to find one."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from boxlist.errors import InputError, unknown_name
from boxlist.protocols import DEFAULT_PROTOCOL, protocol_named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxlist.models.generation import GenerationOptions
    from boxlist.protocols import Protocol

_LONGEST_SECONDS = 86_400.0
_MOST = {"concurrency": 256, "retries": 100}
_LEAST = {"concurrency": 1, "retries": 0}
_ANYWHERE = ("protocol", "seed", "batch_size")
_KEY_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,99}")


@dataclass(frozen=True)
class Server:
    """Where a model is served, and how patiently it is asked. Seconds throughout.

    `first_timeout` is for the first text of an answer, the server's queue included; `chunk_timeout` for each that
    follows; `answer_timeout` for the whole. A failed attempt is repeated `retries` times, after `backoff` seconds
    doubled each time, at most `longest_wait`, or after what the server asks for. The key is read from the
    environment variable that `api_key_env` names, whenever it is needed, and kept nowhere.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    concurrency: int = 8
    retries: int = 8
    backoff: float = 1.0
    longest_wait: float = 60.0
    connect_timeout: float = 10.0
    first_timeout: float = 600.0
    chunk_timeout: float = 60.0
    answer_timeout: float = 1800.0

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries: the key, if there is one. Raises `InputError` where it should be and is not."""
        plain = {"accept-encoding": "identity", "user-agent": "boxlist"}
        if self.api_key_env is None:
            return plain
        return plain | {"authorization": f"Bearer {self._key(self.api_key_env)}"}

    def without_key(self, text: str) -> str:
        """What a server said, should it repeat the key."""
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        return text.replace(key, "(key)") if key else text

    def _key(self, variable: str) -> str:
        key = os.environ.get(variable, "").strip()
        if key.isascii() and key.isprintable() and key:
            return key
        raise InputError(
            f"environment variable {variable}",
            expected="the server's key",
            got="something that is no key" if key else "nothing",
            remedy=f"Set it: export {variable}=...",
        )


SERVER_ARGUMENTS = tuple(field.name for field in fields(Server))


def read_server(arguments: Mapping[str, object]) -> Server:
    """Check the arguments that say where and how to ask; None means not given. Raises `InputError`."""
    given = {name: value for name, value in arguments.items() if value is not None and name not in _ANYWHERE}
    for name in given:
        if name not in SERVER_ARGUMENTS:
            raise unknown_name("model argument", str(name), [*SERVER_ARGUMENTS, *_ANYWHERE])
    for name, example in (("base_url", "http://127.0.0.1:8000/v1"), ("model", "NAME")):
        if not given.get(name):
            raise InputError("boxlist_openai", expected=f"{name}={example}", got="none", remedy=f"Give {name}.")
    read: dict[str, Any] = {"base_url": _base_url(str(given.pop("base_url"))), "model": str(given.pop("model"))}
    if (variable := given.pop("api_key_env", None)) is not None:
        read["api_key_env"] = _variable(str(variable))
    server = Server(**read | {name: _number(name, value) for name, value in given.items()})
    _ = server.headers  # a missing key is told now
    return server


def read_protocol(name: object) -> Protocol:
    """The protocol that boxes are asked for in; one that needs the resized image's size is refused."""
    protocol = protocol_named(str(name or DEFAULT_PROTOCOL))
    if protocol.needs_frame:
        raise InputError(
            f"protocol {protocol.name}",
            expected="one that needs no size of the resized image, which a server does not tell",
            got=protocol.unit,
            remedy="Use a protocol in pixels of the image, or normalised, or boxlist_hf.",
        )
    return protocol


def request_fields(options: GenerationOptions, seed: int = 0, engine: str = "boxlist_openai") -> dict[str, Any]:
    """Generation options as a chat completion's fields. Raises `InputError`, as `engine`, for what no server can do.

    >>> from boxlist.models.generation import read_generation_kwargs
    >>> request_fields(read_generation_kwargs({"max_new_tokens": 9, "repetition_penalty": 1.05}))
    {'max_tokens': 9, 'temperature': 0.0, 'repetition_penalty': 1.05}
    """
    if options.likelihood:
        raise InputError(
            f"{engine}: likelihood",
            expected="a probe that asks for text: servers do not tell how likely a given text is",
            got="one that asks for the likelihood of its options",
            remedy="Use boxlist_hf, or the probe that asks the same by generation.",
        )
    wanted = options.controls.inside_engine()
    refused = [name for name in wanted if name not in _PENALTIES] + ["num_beams"] * (options.num_beams > 1)
    if refused:
        raise InputError(
            f"{engine}: {refused[0]}",
            expected="options that servers have",
            got="one that none has",
            remedy=f"Leave {refused[0]} out, or use boxlist_hf.",
        )
    found = {"max_tokens": options.max_new_tokens, "temperature": options.temperature if options.do_sample else 0.0}
    if options.do_sample:
        found |= {"top_p": options.top_p, "seed": seed} | ({"top_k": options.top_k} if options.top_k else {})
    return found | wanted


_PENALTIES = frozenset({"repetition_penalty"})  # vLLM's and SGLang's name too


def _base_url(text: str) -> str:
    """The address without its last slash. What might be a secret in it is refused, and not repeated."""
    expected, remedy = "http(s)://HOST[:PORT][/PATH]", "Such as http://127.0.0.1:8000/v1; a key goes by api_key_env."
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise InputError("base_url", expected=expected, got="no address", remedy=remedy) from None
    if parts.username is not None or parts.password is not None or "?" in text or "#" in text:
        raise InputError("base_url", expected=expected, got="a user, a query or a fragment in it", remedy=remedy)
    if not usable or not text.isascii() or not text.isprintable() or " " in text:
        raise InputError("base_url", expected=expected, got=repr(text[:80]), remedy=remedy)
    return text.rstrip("/")


def _variable(name: str) -> str:
    if _KEY_NAME.fullmatch(name):
        return name
    raise InputError(
        "model argument api_key_env",
        expected="the name of an environment variable",
        got="something else",  # it may be the key itself
        remedy="Put the key into a variable, and give that variable's name.",
    )


def _number(name: str, value: object) -> int | float:
    """A count or seconds, as the argument's name says; lmms-eval passes texts too."""
    whole = name in _MOST
    low, high = (_LEAST[name], _MOST[name]) if whole else (0.0, _LONGEST_SECONDS)
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    within = low <= number <= high and (number > 0 or name in {"retries", "backoff", "longest_wait"})
    if not within or (whole and not number.is_integer()):
        kind = f"a whole number from {low}" if whole else "seconds above 0,"
        raise InputError(
            f"model argument {name}",
            expected=f"{kind} to {high:g}" if whole else f"{kind} at most {high:g}",
            got=repr(value)[:40],
            remedy="Correct it, or leave it out.",
        )
    return int(number) if whole else number
