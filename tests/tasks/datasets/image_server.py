"""A real HTTP server on this machine that serves drawn images, and misbehaves where a path says so."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator


def drawn(number: int, mode: str = "RGB", size_wh: tuple[int, int] = (40, 20)) -> bytes:
    """A picture's PNG; other numbers, other pixels."""
    pixels = np.random.default_rng(number).integers(0, 255, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, "PNG")
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 50,000 x 50,000 pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    heading = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", heading) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


class ImageServer(ThreadingHTTPServer):
    """`asked` counts the requests by path. `release` lets slow answers go on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: Counter[str] = Counter()
        self.release = threading.Event()
        self.lock = threading.Lock()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: ImageServer

    def do_GET(self) -> None:
        path = self.path.lstrip("/").partition("?")[0]
        with self.server.lock:
            self.server.asked[path] += 1
            times = self.server.asked[path]
        kind, _, rest = path.partition("/")
        if kind == "status":
            self._send(int(rest.split("/")[0]), b"no")
        elif kind == "flaky" and times < 3:
            self._send(503, b"busy")
        elif kind == "redirect":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif kind == "huge":
            self._send(200, b"", announced=2**40)
        elif kind == "endless":
            self._endless()
        elif kind == "cut":
            self._send(200, drawn(1)[:50], announced=500)
        elif kind == "slow":
            self.server.release.wait(30)
            self._send(200, b"late")
        else:
            self._send(200, _body(kind, rest))

    def _send(self, status: int, body: bytes, announced: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        self.end_headers()
        self.wfile.write(body)

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(65536))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _body(kind: str, number: str) -> bytes:
    if kind == "words":
        return b"<html>not here any more</html>"
    return bomb() if kind == "bomb" else drawn(int(number), "L" if kind == "grey" else "RGB")


@contextmanager
def serving() -> Iterator[ImageServer]:
    """The server, running until the end of the block."""
    server = ImageServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        server.server_close()
        thread.join()
