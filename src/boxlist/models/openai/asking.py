"""One question to a server: asked again until there is a whole answer, with patience that is bounded everywhere."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from boxlist.controls.answer_watch import UNTIL
from boxlist.errors import InputError
from boxlist.models.openai.listing import refuse_final, shown_names
from boxlist.models.openai.stream import DONE, AttemptFailedError, Piece, events, read_object, read_piece, said

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from boxlist.controls.answer_watch import AnswerWatch
    from boxlist.models.openai.arguments import Server

_ENDS = {"stop": "eos", "length": "length"}  # by what servers call them
_PASSING = frozenset({408, 409, 425, 429})  # client errors that are over after a while
_LARGEST_ERROR = 1 << 16


class Answered(NamedTuple):
    """A whole answer."""

    text: str
    tokens: int | None
    finish: str


@dataclass
class Written:
    """An answer while it comes. It is whole once `finish` is set."""

    watch: AnswerWatch
    finish: str | None = None
    tokens: int | None = None

    def take(self, piece: Piece) -> bool:
        """True once nothing more is wanted."""
        if self.finish is None and piece.text and self.watch.feed(piece.text):
            self.finish, self.tokens = self._ending(""), piece.tokens
            return True
        if piece.finish is not None and self.finish is None:
            if piece.finish not in _ENDS:
                raise AttemptFailedError(f"finish_reason {piece.finish!r}, which is neither stop nor length")
            self.watch.finish()
            self.finish = self._ending(_ENDS[piece.finish])
        if self.finish is not None and piece.tokens is not None:  # some servers count as they go, too
            self.tokens = piece.tokens
        return self.finish is not None and self.tokens is not None

    def _ending(self, own: str) -> str:
        ending = self.watch.ending or own
        return "eos" if ending == UNTIL else ending


@dataclass(frozen=True)
class Asker:
    """Asks one server. `names` are the models that it lists, for errors; `jitter` spreads the waits."""

    server: Server
    client: httpx.AsyncClient
    names: tuple[str, ...]
    jitter: random.Random

    async def ask(self, fields: Mapping[str, Any], new_watch: Callable[[], AnswerWatch], where: str) -> Answered:
        """A whole answer to a chat completion of `fields`; every attempt begins anew, with a watch of its own.

        Raises `InputError` at once for what the server will not do, and when no attempt brings a whole answer.
        """
        body = {"model": self.server.model, "stream": True, "stream_options": {"include_usage": True}, **fields}
        content = json.dumps(body).encode("ascii")
        failure = AttemptFailedError("no attempt")
        for attempt in range(self.server.retries + 1):
            if attempt:
                await asyncio.sleep(self._wait(attempt - 1, failure.wait))
            written = Written(new_watch())
            try:
                await self._attempt(content, written)
            except AttemptFailedError as error:
                failure = error
            if written.finish is not None:
                return Answered(written.watch.text(), written.tokens, written.finish)
        raise InputError(
            f"{self.server.base_url}: {where}",
            expected="a whole answer",
            got=f"{self.server.without_key(str(failure))}, after {self.server.retries + 1} attempts",
            remedy="The same command continues once the server is well.",
        )

    async def _attempt(self, content: bytes, written: Written) -> None:
        """Raises `AttemptFailedError` when the stream breaks, which does not matter once `written.finish` is set."""
        server = self.server
        patience = asyncio.timeout(server.first_timeout)
        try:
            async with (
                asyncio.timeout(server.answer_timeout),
                patience,
                self.client.stream("POST", f"{server.base_url}/chat/completions", content=content) as reply,
            ):
                await self._check(reply)
                await self._read(reply, written, patience)
        except TimeoutError:
            raise AttemptFailedError(self._too_slow(patience)) from None
        except httpx.TransportError as error:
            raise AttemptFailedError(str(error)[:160] or type(error).__name__) from None
        if written.finish is None:
            raise AttemptFailedError("an answer that breaks off")

    async def _read(self, reply: httpx.Response, written: Written, patience: asyncio.Timeout) -> None:
        clock = asyncio.get_running_loop()
        async with aclosing(events(reply.aiter_raw())) as stream:
            async for data in stream:
                piece = Piece() if data == DONE else read_piece(data)
                if data == DONE or written.take(piece):
                    return
                if piece.text or written.finish is not None:
                    patience.reschedule(clock.time() + self.server.chunk_timeout)

    def _too_slow(self, patience: asyncio.Timeout) -> str:
        limit = "first_timeout or chunk_timeout" if patience.expired() else "answer_timeout"
        return f"nothing in time ({limit})"

    async def _check(self, reply: httpx.Response) -> None:
        refuse_final(reply, self.server)
        kind = str(reply.headers.get("content-type", "no content type"))[:80]
        status = reply.status_code
        if status == 200 and kind.startswith("text/event-stream"):
            return
        words = self.server.without_key(await _words(reply))
        if status == 200:
            raise AttemptFailedError(f"{kind} for an event stream: {words}")
        if 400 <= status < 500 and status not in _PASSING:
            raise self._refused(status, words)
        raise AttemptFailedError(f"status {status}: {words}", _retry_after(reply))

    def _refused(self, status: int, words: str) -> InputError:
        if status in {400, 404} and self.server.model not in self.names:
            return InputError(
                f"model {self.server.model[:80]!r}",
                expected=f"one that {self.server.base_url} serves: {shown_names(self.names)}",
                got=f"status {status}: {words}",
                remedy="Give model= one that it serves.",
            )
        return InputError(
            self.server.base_url,
            expected="a server that takes the request",
            got=f"status {status}: {words}",
            remedy="Leave out what it does not know, or ask another server.",
        )

    def _wait(self, failed_before: int, asked_for: float | None) -> float:
        """Seconds until the next attempt: doubled each time, or what the server asks for; never in step with others."""
        server = self.server
        if asked_for is not None:
            return min(asked_for, server.longest_wait) + self.jitter.uniform(0, server.backoff)
        return min(server.backoff * 2.0**failed_before, server.longest_wait) * self.jitter.uniform(0.5, 1)


def _retry_after(reply: httpx.Response) -> float | None:
    """The Retry-After header in seconds, from either of its two forms."""
    text = str(reply.headers.get("retry-after", ""))[:80]
    try:
        if text.replace(".", "", 1).isdigit():
            return float(text)
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None


async def _words(reply: httpx.Response) -> str:
    """What a reply that is no answer says, shortened."""
    content = b""
    async for chunk in reply.aiter_raw():
        content += chunk
        if len(content) > _LARGEST_ERROR:
            break
    try:
        return said(read_object(content))
    except AttemptFailedError as error:
        return str(error) if content else "nothing"
