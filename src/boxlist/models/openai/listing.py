"""What a server says it serves: the only identity that its weights have here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from boxlist.errors import InputError
from boxlist.models.openai.arguments import read_protocol, read_server
from boxlist.models.openai.stream import AttemptFailedError, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from boxlist.models.openai.arguments import Server

WEIGHTS = "as the server says; boxlist cannot hash them"
LARGEST_REPLY = 4 << 20
SHOWN_NAMES = 20
_KEPT = ("id", "root", "parent", "owned_by", "max_model_len", "meta")  # not times and permissions: those are always new
_LONGEST_TEXT = 300
_NOT_READY = frozenset({408, 425, 429, 502, 503, 504})
_NO_KEY = frozenset({401, 403})


class Listing(NamedTuple):
    """The names that `/models` lists, and the entry of the model asked for; None where the server has no such list."""

    names: tuple[str, ...] = ()
    entry: Mapping[str, Any] | None = None


def served_rows(arguments: Mapping[str, object]) -> dict[str, Any]:
    """What identifies the model in `run.json`. Asks the server; raises `InputError` for whatever is wrong."""
    read_protocol(arguments.get("protocol"))
    server = read_server(arguments)
    entry = ask_listing(server).entry
    base = {"path": server.model, "base_url": server.base_url, "model": server.model, "weights": WEIGHTS}
    return {"base": {**base, "served": entry}, "adapter": None, "dtype": None}


def ask_listing(server: Server) -> Listing:
    """Ask once what is served. Raises `InputError` when nobody answers, for a wrong key, and for a model not listed.

    A name that is an absolute path need not be listed: transformers serve lists its hub cache only.
    """
    import httpx

    url = f"{server.base_url}/models"
    timeout = httpx.Timeout(server.connect_timeout, read=server.chunk_timeout)
    try:
        with httpx.Client(headers=server.headers, timeout=timeout) as client, client.stream("GET", url) as reply:
            refuse_final(reply, server)
            content = _bounded(reply, url)
    except httpx.TransportError as error:
        raise InputError(
            url,
            expected="a server that answers",
            got=str(error)[:160] or type(error).__name__,
            remedy="Start it, or correct base_url.",
        ) from None
    if reply.status_code in _NOT_READY:
        raise InputError(
            url, expected="a server that is ready", got=f"{reply.status_code}", remedy="Try again in a while."
        )
    return _read(content, server, url) if reply.status_code == 200 else Listing()


def refuse_final(reply: httpx.Response, server: Server) -> None:
    """Raise `InputError` for what no further attempt would mend: another address, or no right key."""
    if reply.has_redirect_location:
        place = str(reply.headers.get("location", ""))[:200]
        raise InputError(
            str(reply.url),
            expected="an answer",
            got=f"a redirect to {place}",
            remedy="boxlist follows none: give the right base_url.",
        )
    if reply.status_code in _NO_KEY:
        how = (
            f"Correct {server.api_key_env}." if server.api_key_env else "Name its variable: api_key_env=OPENAI_API_KEY"
        )
        raise InputError(
            str(reply.url),
            expected="a key that this server takes",
            got=f"{reply.status_code} with {'a' if server.api_key_env else 'no'} key",
            remedy=how,
        )


def shown_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return (", ".join(name[:80] for name in names[:SHOWN_NAMES]) or "(nothing that it lists)") + more


def _bounded(reply: httpx.Response, url: str) -> bytes:
    content = b""
    for chunk in reply.iter_raw():
        content += chunk
        if len(content) > LARGEST_REPLY:
            raise _no_list(url, f"more than {LARGEST_REPLY >> 20} MiB")
    return content


def _read(content: bytes, server: Server, url: str) -> Listing:
    try:
        data = read_object(content).get("data")
    except AttemptFailedError as error:
        raise _no_list(url, str(error)) from None
    if not isinstance(data, list):
        raise _no_list(url, "JSON without data")
    entries = {str(entry["id"]): entry for entry in data if isinstance(entry, dict) and "id" in entry}
    names = tuple(sorted(entries))
    if names and server.model not in entries and not server.model.startswith("/"):
        raise InputError(
            f"model {server.model[:80]!r}",
            expected=f"one of those that {server.base_url} serves: {shown_names(names)}",
            got="another",
            remedy="Give model= one of them.",
        )
    entry = entries.get(server.model)
    return Listing(names, None if entry is None else {key: _plain(entry[key]) for key in _KEPT if key in entry})


def _plain(value: object) -> Any:
    """A scalar, or a flat mapping of scalars, of bounded size."""
    if isinstance(value, dict):
        kept = list(value.items())[:50]
        return {str(key)[:_LONGEST_TEXT]: _plain(inner) for key, inner in kept if not isinstance(inner, dict | list)}
    return value if value is None or isinstance(value, bool | int) else str(value)[:_LONGEST_TEXT]


def _no_list(url: str, got: str) -> InputError:
    return InputError(
        url, expected="a list of models as JSON", got=got, remedy="Check base_url; it usually ends with /v1."
    )
