"""Fetching from a real server that misbehaves: what is kept, what is remembered, and where no request goes."""

from __future__ import annotations

import hashlib
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import httpcore
import pytest

from boxlist.tasks.datasets.fetching import FetchError, Limits, Wanted, checked_url, fetch_all
from boxlist.tasks.datasets.guarded_network import GuardedBackend, PrivateAddressError, is_global

from .image_server import ImageServer, drawn, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = Limits(workers=4, attempts=3, timeout_s=10, largest_bytes=100_000, backoff_s=0, private_addresses=True)


@pytest.fixture(scope="module")
def running() -> Iterator[ImageServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: ImageServer) -> ImageServer:
    running.asked.clear()
    return running


def fetch(folder: Path, *wanted: Wanted, limits: Limits = LIMITS) -> list[str | None]:
    return list(fetch_all(folder, wanted, limits, "test").values())


def test_a_file_is_fetched_once_and_checked(server: ImageServer, tmp_path: Path) -> None:
    right = Wanted(server.url("image/1"), hashlib.sha256(drawn(1)).hexdigest())
    assert fetch(tmp_path, right, right) == [None]
    assert (tmp_path / right.name).read_bytes() == drawn(1)
    assert fetch(tmp_path, right) == [None]
    assert server.asked["image/1"] == 1


@pytest.mark.parametrize(
    ("path", "reason", "times"),
    [
        ("status/404", "http_404", 1),
        ("status/410", "http_410", 1),
        ("status/500", "http_500", 3),  # it may get better, and so it is asked again
        ("flaky/7", None, 3),
        ("huge/1", "size", 1),
        ("endless/1", "size", 1),
        ("cut/1", "connection", 3),
        ("redirect//image/5", None, 1),
        ("redirect/file:///etc/passwd", "address", 1),
        ("redirect/http://[", "redirects", 1),
    ],
)
def test_each_fault_has_its_reason(
    path: str, reason: str | None, times: int, server: ImageServer, tmp_path: Path
) -> None:
    wanted = Wanted(server.url(path))
    assert fetch(tmp_path, wanted) == [reason]
    assert server.asked[path] == times
    assert (tmp_path / wanted.name).exists() == (reason is None)
    # what is final is remembered, what may pass is asked again
    assert fetch(tmp_path, wanted) == [reason]
    final = reason is None or times == 1
    assert server.asked[path] == (times if final else 2 * times)
    assert [file.name for file in tmp_path.rglob(".*")] == []


def test_other_bytes_than_the_row_says_are_not_kept(server: ImageServer, tmp_path: Path) -> None:
    wanted = Wanted(server.url("image/2"), "0" * 64)
    assert fetch(tmp_path, wanted) == ["checksum"]
    assert not (tmp_path / wanted.name).exists()


def test_redirects_end(server: ImageServer, tmp_path: Path) -> None:
    loop = "redirect/" + "/redirect/" * 8 + "image/1"
    assert fetch(tmp_path, Wanted(server.url(loop))) == ["redirects"]


def test_a_server_that_does_not_answer(server: ImageServer, tmp_path: Path) -> None:
    impatient = replace(LIMITS, timeout_s=0.05, attempts=2)
    assert fetch(tmp_path, Wanted(server.url("slow/1")), limits=impatient) == ["timeout"]
    assert server.asked["slow/1"] == 2
    short_lived = replace(LIMITS, lifetime_s=0.05, attempts=1)
    assert fetch(tmp_path, Wanted(server.url("slow/2")), limits=short_lived) == ["timeout"]


def test_nobody_listens(tmp_path: Path) -> None:
    with serving() as gone:
        url = gone.url("image/1")
    assert fetch(tmp_path, Wanted(url)) == ["connection"]


def test_addresses_of_this_machine_are_refused(server: ImageServer, tmp_path: Path) -> None:
    guarded = replace(LIMITS, private_addresses=False)
    port = server.server_address[1]
    for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"):  # noqa: S104
        assert fetch(tmp_path, Wanted(f"http://{host}:{port}/image/1"), limits=guarded) == ["private"]
    assert not server.asked


def test_the_address_that_was_looked_up_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that gives another answer the second time is not asked a second time."""
    answers = iter(["127.0.0.1"])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", (next(answers), 80))])
    with pytest.raises(PrivateAddressError, match=r"^rebinding\.example$"):
        GuardedBackend(1, private=False).connect_tcp("rebinding.example", 80)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("8.8.8.8", 80))])
    backend, asked = GuardedBackend(1, private=False), []

    class Plain(httpcore.NetworkBackend):
        def connect_tcp(self, host: str, *_: object, **__: object) -> httpcore.NetworkStream:
            asked.append(host)
            raise httpcore.ConnectError

    backend._plain = Plain()  # type: ignore[assignment]
    with pytest.raises(httpcore.ConnectError):
        backend.connect_tcp("rebinding.example", 80)
    assert asked == ["8.8.8.8"]


PRIVATE = """
127.0.0.1 10.1.2.3 192.168.0.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1
::1 fe80::1%eth0 fd00::1 ::ffff:10.0.0.1 64:ff9b::a00:1 2002:a00:1::
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_of_the_open_internet(address: str) -> None:
    assert not is_global(address)


def test_addresses_of_the_open_internet() -> None:
    assert all(is_global(address) for address in ("8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a",
        "data:image/png;base64,AA",
        "http://",
        "//example.org/a",
        "a.jpg",
        "http://me:secret@example.org/a",
        "http://example.org:99999/",
        "http://exa mple.org/",
        "http://example.org/\r\nX: y",
        "http://example.org/" + "a" * 5000,
    ],
)
def test_urls_that_are_not_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="address"):
        checked_url(url)
    assert fetch(tmp_path, Wanted(url)) == ["address"]


def test_urls_in_other_scripts(server: ImageServer, tmp_path: Path) -> None:
    assert fetch(tmp_path, Wanted(server.url("image/3?q=ü%20é"))) == [None]


def test_stopping_keeps_what_is_whole(server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while one image waits: the images that came are kept, the same call goes on with the others."""
    done = [Wanted(server.url(f"image/{number}")) for number in range(8)]
    slow = Wanted(server.url("slow/9"))

    class Interrupting:
        def __init__(self, *_: object) -> None:
            self.count = 0

        def __enter__(self) -> Interrupting:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def advance(self) -> None:
            self.count += 1
            if self.count == len(done):
                threading.Timer(0.0, server.release.set).start()
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("boxlist.tasks.datasets.fetching.Progress", Interrupting)
        with pytest.raises(KeyboardInterrupt):
            fetch(tmp_path, *done, slow)
    assert all((tmp_path / wanted.name).exists() for wanted in done)
    before = server.asked.total()
    assert fetch(tmp_path, *done) == [None] * len(done)
    assert server.asked.total() == before
