"""Files of the web, each fetched once into a folder: bounded in time, size and number, and going on where it stopped.

A file lies under the hash of its URL and is renamed into place when it is whole, so that whatever interrupts a fetch
leaves nothing half-made. What will not get better by asking again is remembered beside it, with the reason.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from boxlist import __version__
from boxlist.progress import Progress
from boxlist.tasks.datasets.guarded_network import GuardedBackend, PrivateAddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})  # what may go well another time
_MOST_URL = 4096
_HEADERS = [("User-Agent", f"boxlist/{__version__}"), ("Accept", "image/*"), ("Accept-Encoding", "identity")]


@dataclass(frozen=True)
class Limits:
    """What one fetch may take. Waits between attempts are `backoff_s`, twice that, and so on."""

    workers: int = 16
    attempts: int = 3
    timeout_s: float = 20.0
    lifetime_s: float = 60.0
    largest_bytes: int = 32 * 2**20
    backoff_s: float = 1.0
    private_addresses: bool = False


class Wanted(NamedTuple):
    """One file: its URL, and the SHA-256 of its bytes in hex, empty where any bytes will do."""

    url: str
    sha256: str = ""

    @property
    def name(self) -> str:
        """Where it lies in the cache: a folder and a file, named by the hash of both."""
        key = hashlib.sha256(f"{self.url}\n{self.sha256}".encode("utf-8", "surrogatepass")).hexdigest()
        return f"{key[:2]}/{key}"


class FetchError(Exception):
    """Why a file was not fetched; `again` says that another attempt may go well."""

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


def fetch_all(folder: Path, wanted: Iterable[Wanted], limits: Limits, label: str) -> dict[Wanted, str | None]:
    """Fetch what is not there yet; for each file the reason why it is not there now, None where it is.

    A reason is one word or an HTTP status: `address`, `private`, `connection`, `timeout`, `size`, `redirects`,
    `checksum`, `http_404`. Ctrl-C starts no other fetch, lets those under way run out, and keeps what is whole.
    """
    files = list(dict.fromkeys(wanted))
    stop = threading.Event()
    backend = GuardedBackend(limits.lifetime_s, private=limits.private_addresses)
    with (
        httpcore.ConnectionPool(
            max_connections=limits.workers, max_keepalive_connections=0, network_backend=backend
        ) as web,
        ThreadPoolExecutor(limits.workers) as pool,
        Progress(label, len(files)) as progress,
    ):

        def fetch(file: Wanted) -> str | None:
            return None if stop.is_set() else fetch_one(folder, file, limits, web, stop.wait)

        try:
            results = {}
            for file, reason in zip(files, pool.map(fetch, files), strict=True):
                results[file] = reason
                progress.advance()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return results


def fetch_one(
    folder: Path, file: Wanted, limits: Limits, web: httpcore.ConnectionPool, wait: Callable[[float], object]
) -> str | None:
    """Fetch one file into the folder unless it, or the reason why it cannot be had, lies there already."""
    place = folder / file.name
    failed = place.with_suffix(".failed")
    if place.exists():
        return None
    if failed.exists():
        return failed.read_text(encoding="utf-8")
    place.parent.mkdir(parents=True, exist_ok=True)
    error = FetchError("", again=True)
    for attempt in range(limits.attempts):
        if attempt and wait(limits.backoff_s * 2 ** (attempt - 1)):
            break  # told to stop
        try:
            _put(place, _get(file, limits, web))
        except FetchError as failure:
            error = failure
            if not failure.again:
                _put(failed, failure.reason.encode())
                break
        else:
            return None
    return error.reason


def _get(file: Wanted, limits: Limits, web: httpcore.ConnectionPool) -> bytes:
    """The file's bytes, checked. Raises `FetchError`."""
    url = file.url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            answer = _ask(checked_url(url), limits, web)
        except PrivateAddressError as error:
            raise FetchError("private", again=False) from error
        except httpcore.TimeoutException as error:
            raise FetchError("timeout", again=True) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise FetchError("connection", again=True) from error
        if isinstance(answer, bytes):
            if file.sha256 and hashlib.sha256(answer).hexdigest() != file.sha256:
                raise FetchError("checksum", again=False)
            return answer
        try:
            url = urljoin(url, answer)
        except ValueError as error:
            raise FetchError("redirects", again=False) from error
    raise FetchError("redirects", again=False)


def checked_url(url: str) -> str:
    """The URL if it is a plain one of the web; `FetchError` for any other scheme, for a password, and for no host."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:
        fits = False
    if not fits or len(url) > _MOST_URL or not url.isprintable() or " " in url:
        raise FetchError("address", again=False)
    return url


def _ask(url: str, limits: Limits, web: httpcore.ConnectionPool) -> bytes | str:
    """The bytes at a URL, or where it redirects to."""
    waits = dict.fromkeys(("connect", "read", "write", "pool"), limits.timeout_s)
    try:
        target = httpcore.URL(url.encode("ascii"))
    except UnicodeEncodeError:
        target = httpcore.URL(_as_ascii(url))
    with web.stream("GET", target, headers=_HEADERS, extensions={"timeout": waits}) as response:
        headers = {name.lower(): value for name, value in response.headers}
        if response.status in _REDIRECTS and b"location" in headers:
            return headers[b"location"].decode("latin-1")
        if response.status != 200:
            raise FetchError(f"http_{response.status}", again=response.status in _LATER)
        return _read(response, headers, limits)


def _read(response: httpcore.Response, headers: dict[bytes, bytes], limits: Limits) -> bytes:
    """The whole body. httpcore raises `RemoteProtocolError` for one that is shorter than announced."""
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced[:20]) > limits.largest_bytes:
        raise FetchError("size", again=False)
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > limits.largest_bytes:
            raise FetchError("size", again=False)
    return bytes(body)


def _as_ascii(url: str) -> bytes:
    """A URL with characters of other scripts, as browsers send it."""
    parts = urlsplit(url)
    try:
        host = parts.netloc.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise FetchError("address", again=False) from error
    path = quote(parts.path, safe="/%:@!$&'()*+,;=-._~")
    query = quote(parts.query, safe="=&%:@!$'()*+,;/?-._~")
    return f"{parts.scheme}://{host}{path}{'?' if query else ''}{query}".encode("ascii")


def _put(place: Path, content: bytes) -> None:
    """Write beside, then rename: a file in its place is whole."""
    handle, path = tempfile.mkstemp(prefix=".", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(path).replace(place)
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
