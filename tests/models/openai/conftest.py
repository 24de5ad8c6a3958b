"""A faulty server of our own, that does what a test tells it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

EVENTS = "text/event-stream; charset=utf-8"
FAST: dict[str, Any] = {"retries": 3, "backoff": 0.001, "longest_wait": 0.01, "concurrency": 3}


class Reply(NamedTuple):
    """What the faulty server does with one request. `then`: `end` properly, `cut` the connection, or `hang`."""

    pieces: tuple[str, ...] = ()
    then: str = "end"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = EVENTS
    chunked: bool = True


def event(text: str | None = None, finish: str | None = None, **more: Any) -> str:
    """One piece of a chat completion."""
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice], **more})}\n\n"


def good(text: str, finish: str = "stop", tokens: int = 7) -> Reply:
    """An answer as vLLM streams it: usage in an event of its own, without choices."""
    half = len(text) // 2
    usage = f"data: {json.dumps({'choices': [], 'usage': {'completion_tokens': tokens}})}\n\n"
    return Reply((event(text[:half]), event(text[half:]), event(finish=finish), usage, "data: [DONE]\n\n"))


def list_for(body: dict[str, Any]) -> str:
    """A list of two boxes that follows from the image and the prompt alone."""
    digest = hashlib.sha256(json.dumps(body["messages"]).encode()).digest()
    boxes = [sorted(digest[start : start + 2]) + sorted(digest[start + 2 : start + 4]) for start in (0, 4)]
    records = [{"bbox_2d": [a, c, b + 1, d + 1], "label": "red circle"} for a, b, c, d in boxes]
    return json.dumps(records)


class FaultyServer:
    """A small HTTP server in a thread of this process, faulty on purpose. Not a real model server.

    `behave(body, nth)` says what to do with the nth request (from 0) for one question; `models` is what `/models`
    lists, or a `Reply`.
    """

    def __init__(self) -> None:
        self.behave: Callable[[dict[str, Any], int], Reply] = lambda body, _: good(list_for(body))
        self.models: Any = [{"id": "toy", "object": "model", "created": 1, "max_model_len": 4096}]
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.hung_up = threading.Semaphore(0)
        self.together = 1
        self.port = 0
        self._seen: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._do(self._start())

    def stop(self) -> None:
        """Die: stop listening and cut every connection."""
        self._do(self._stop())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _start(self) -> None:
        self._enough = asyncio.Event()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        for task, writer in list(self._open.items()):
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.release()
        except asyncio.CancelledError:
            pass
        finally:
            del self._open[task]
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}
        self.headers.append(headers)
        if first.startswith("GET"):
            listed = self.models
            reply = listed if isinstance(listed, Reply) else _json({"object": "list", "data": listed})
            await self._send(reply, reader, writer)
            return
        content = await reader.readexactly(int(headers["content-length"]))
        body = json.loads(content)
        self.bodies.append(body)
        key = hashlib.sha256(content).hexdigest()
        nth, self._seen[key] = self._seen[key], self._seen[key] + 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        if self.at_once >= self.together:
            self._enough.set()
        try:
            await self._enough.wait()  # so many requests come at once, or the test hangs
            await self._send(self.behave(body, nth), reader, writer)
        finally:
            self.at_once -= 1

    async def _send(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing = "transfer-encoding: chunked" if reply.chunked else "connection: close"
        headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
        head = f"HTTP/1.1 {reply.status} x\r\ncontent-type: {reply.kind}\r\n{framing}\r\nconnection: close\r\n{headers}"
        if reply.then != "silent":
            writer.write(f"{head}\r\n".encode())
        for piece in reply.pieces:
            data = piece.encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n" if reply.chunked else data)
            await writer.drain()
        if reply.then in {"hang", "silent"} and not await reader.read(1):  # until the client goes
            raise ConnectionResetError
        if reply.then == "end" and reply.chunked:
            writer.write(b"0\r\n\r\n")
        if reply.then != "cut" or not reply.chunked:
            await writer.drain()


def _json(value: Any, status: int = 200) -> Reply:
    return Reply((json.dumps(value),), status=status, kind="application/json")


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server
