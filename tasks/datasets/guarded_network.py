"""Connections to addresses of the open internet only, each with an end in time.

A data set's URLs are other people's: one may name this machine, its cloud's metadata service, or a router. Names are
looked up here, every address that is not global is refused, and the connection goes to the very address that was
looked up, so that no second answer of a name server can lead elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable


class PrivateAddressError(Exception):
    """A host name, or an address, that does not lead to the open internet."""


class GuardedBackend(httpcore.NetworkBackend):
    """Connects as httpcore's own, after looking the name up; a connection lives for `lifetime_s` at most."""

    def __init__(self, lifetime_s: float, *, private: bool) -> None:
        self._lifetime_s, self._private = lifetime_s, private
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host; raises `PrivateAddressError`, and httpcore's own errors."""
        deadline = time.monotonic() + self._lifetime_s
        address = _address_of(host, port, private=self._private)
        stream = self._plain.connect_tcp(address, port, timeout, local_address, socket_options)
        return _TimedStream(stream, deadline)


class _TimedStream(httpcore.NetworkStream):
    """A stream whose every wait ends at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._left(timeout, httpcore.ConnectTimeout)
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None, error: type[httpcore.TimeoutException]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise error("the connection's time is over")
        return left if timeout is None else min(timeout, left)


def _address_of(host: str, port: int, *, private: bool) -> str:
    """The host's first address. All of its addresses must be global, unless `private` ones are allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise httpcore.ConnectError(f"no address: {error}") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not private and not all(is_global(address) for address in addresses):
        raise PrivateAddressError(host)
    return addresses[0]


def is_global(address: str) -> bool:
    """Whether an IP address is one of the open internet, whatever it is wrapped in.

    >>> [is_global(a) for a in ("8.8.8.8", "127.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "224.0.0.1")]
    [True, False, False, False, False, False]
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if inner is not None:
            return is_global(str(inner))
        if ip in _NAT64:
            return is_global(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
