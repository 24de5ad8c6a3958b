"""The bytes of a streamed answer: server-sent events in, pieces of text out. Everything in them is untrusted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable

LONGEST_LINE = 1 << 20
LONGEST_STREAM = 1 << 28
DONE = b"[DONE]"
_SHOWN = 160


class AttemptFailedError(Exception):
    """One attempt brought no whole answer; another may. `wait` is how many seconds the server asks to be left alone."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class Piece(NamedTuple):
    """What one event says: more text, how the answer ended, how many tokens the answer has."""

    text: str = ""
    finish: str | None = None
    tokens: int | None = None


async def events(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event, from chunks cut anywhere. Raises `AttemptFailedError` for a stream without end."""
    rest, seen = bytearray(), 0
    async for chunk in chunks:
        seen += len(chunk)
        rest += chunk
        lines: list[bytearray] = []
        if b"\n" in chunk:
            *lines, rest = rest.split(b"\n")
        if seen > LONGEST_STREAM or len(rest) > LONGEST_LINE:
            raise AttemptFailedError(f"more than {LONGEST_LINE} bytes a line, or {LONGEST_STREAM} an answer")
        for line in lines:
            if line.startswith(b"data:"):
                yield bytes(line).removeprefix(b"data:").strip()
    if rest.startswith(b"data:"):
        yield bytes(rest).removeprefix(b"data:").strip()


def read_piece(data: bytes) -> Piece:
    """Read one event. Raises `AttemptFailedError` when it is no piece of a chat completion, or tells of an error."""
    event = read_object(data)
    if event.get("error"):
        raise AttemptFailedError(f"an error in its answer: {said(event)}")
    tokens = _completion_tokens(event.get("usage"))
    choices = event.get("choices")
    if not isinstance(choices, list) or (not choices and tokens is None and "usage" not in event):
        raise AttemptFailedError(f"JSON that is no chat completion: {_shown(data)}")
    if not choices:
        return Piece(tokens=tokens)
    choice = choices[0] if isinstance(choices[0], dict) else {}
    delta = choice.get("delta") or {}
    text = delta.get("content") if isinstance(delta, dict) else None
    finish = choice.get("finish_reason")
    return Piece(text if isinstance(text, str) else "", None if finish is None else str(finish)[:40], tokens)


def read_object(data: bytes) -> dict[str, Any]:
    """A JSON object. Raises `AttemptFailedError` for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AttemptFailedError(f"no JSON object: {_shown(data)}")
    return found


def said(reply: dict[str, Any]) -> str:
    """A server's own words about an error, wherever it puts them, shortened."""
    for key in ("error", "message", "detail"):
        if isinstance(words := reply.get(key), dict):
            return said(words) if words.keys() & {"error", "message", "detail"} else json.dumps(words)[:_SHOWN]
        if words:
            return str(words)[:_SHOWN]
    return json.dumps(reply)[:_SHOWN]


def _completion_tokens(usage: object) -> int | None:
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count <= 10**9 else None


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode("utf-8", "replace"))
