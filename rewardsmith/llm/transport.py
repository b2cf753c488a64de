"""The transport of requests, bounded in time and size, whatever a server does.

DeadlineBackend     the network: no connect, read or write goes on past the deadline of its thread's request
NetworkTransport    sends through it, and through the environment's proxy
BoundedTransport    gives a request its deadline, an answer its largest size, and follows no redirect to another server

httpx2's own timeouts are between two bytes, so that a server that drips keeps a caller for ever. Importing this module
loads httpx2.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from rewardsmith.llm.endpoint import Address
from rewardsmith.llm.network_settings import build_tls_context, find_proxy
from rewardsmith.llm.response import NoCompletion

MAX_BYTES = 16 << 20
"""Largest answer, before and after decompression; the longest answers of models are under 1 MiB."""
MAX_MOVES = 3
"""Largest number of redirects within the same server that are followed."""
MOVES = (307, 308)
"""Redirects that keep the method and the body; the others turn a POST into a GET."""
WRITE_BYTES = 64 << 10
"""Bytes that are written at once, so that the deadline is checked in between."""
DEADLINE = "rewardsmith_deadline"
"""Extension of a request: the monotonic time after which it is given up."""

_CONNECTIONS = 1000
"""Connections at once; as many as the SDK allows."""
_IDLE_CONNECTIONS = 0
"""Kept for the next call: none. Servers close one after an internal error (`transformers serve` does), and a call that
takes seconds is not slower for a connection of its own."""


class DeadlineBackend(httpcore2.NetworkBackend):
    """The network, for threads that each have a deadline."""

    def __init__(self) -> None:
        self._backend = httpcore2.SyncBackend()
        self._thread = threading.local()

    def set_deadline(self, deadline: float) -> None:
        """Set the monotonic time at which this thread's work on the network ends."""
        self._thread.deadline = deadline

    def bound_timeout(self, timeout: float | None, error: type[Exception]) -> float | None:
        """Return the seconds that are left for an operation.

        Raises:
            Exception: `error`, if none are left.
        """
        deadline: float | None = getattr(self._thread, "deadline", None)
        if deadline is None:
            return timeout
        left = deadline - time.monotonic()
        if left <= 0:
            raise error("the time for the whole call is over")
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect within what is left of the time."""
        timeout = self.bound_timeout(timeout, httpcore2.ConnectTimeout)
        stream = self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return DeadlineStream(stream, self)


class DeadlineStream(httpcore2.NetworkStream):
    """A connection that reads and writes until the deadline of the thread that uses it."""

    def __init__(self, stream: httpcore2.NetworkStream, backend: DeadlineBackend) -> None:
        self._stream = stream
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read within what is left of the time."""
        return self._stream.read(max_bytes, self._backend.bound_timeout(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write within what is left of the time."""
        for start in range(0, len(buffer), WRITE_BYTES):
            left = self._backend.bound_timeout(timeout, httpcore2.WriteTimeout)
            self._stream.write(buffer[start : start + WRITE_BYTES], left)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Go on encrypted, within what is left of the time."""
        timeout = self._backend.bound_timeout(timeout, httpcore2.ConnectTimeout)
        return DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, timeout), self._backend)

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection says of itself."""
        return self._stream.get_extra_info(info)


class NetworkTransport(httpx2.BaseTransport):
    """Sends requests to one endpoint, through the environment's proxy where it names one."""

    def __init__(self, address: Address) -> None:
        """Open it; nothing is sent yet.

        Raises:
            ConfigError: if a variable of the environment names a proxy or certificates that cannot be used.
        """
        self._backend = DeadlineBackend()
        self._pool = _open_pool(address, self._backend)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return its response once its headers are there."""
        self._backend.set_deadline(request.extensions[DEADLINE])
        url = request.url
        raw = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translate_errors():
            response = self._pool.handle_request(raw)
        return httpx2.Response(response.status, headers=response.headers, stream=_TranslatedStream(response))

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class BoundedTransport(httpx2.BaseTransport):
    """Bounds what another transport may take for an answer, and where it may go."""

    def __init__(self, transport: httpx2.BaseTransport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and return its response, read to the end.

        Raises:
            httpx2.TimeoutException: if it takes longer than the request's timeout for reading, all in all.
            httpx2.TransportError: if it cannot be sent, or its answer not be read.
            NoCompletion: if the answer is larger than `MAX_BYTES`.
        """
        deadline = time.monotonic() + float(request.extensions["timeout"]["read"])
        request.extensions = {**request.extensions, DEADLINE: deadline}
        for _ in range(MAX_MOVES):
            response = self._send(request, deadline)
            target = _find_move(request.url, response)
            if target is None:
                break
            request = httpx2.Request(
                request.method, target, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        return response

    def close(self) -> None:
        """Close the other transport."""
        self._transport.close()

    def _send(self, request: httpx2.Request, deadline: float) -> httpx2.Response:
        """Send a request once, and read its response whole."""
        response = self._transport.handle_request(request)
        try:
            stream = _BoundedStream(response.stream, deadline)
            content = _read_content(httpx2.Response(response.status_code, headers=response.headers, stream=stream))
        finally:
            response.close()

        # What described the bytes on the wire does not describe these.
        described = (b"content-encoding", b"content-length", b"transfer-encoding")
        headers = [(name, value) for name, value in response.headers.raw if name.lower() not in described]
        return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


class _BoundedStream(httpx2.SyncByteStream):
    """An answer's bytes as they come over the wire: no more than `MAX_BYTES`, and none after the deadline."""

    def __init__(self, stream: Any, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._stream:
            size += len(chunk)
            if size > MAX_BYTES:
                raise _oversize_error()
            if time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout("the time for the whole call is over")
            yield chunk


class _TranslatedStream(httpx2.SyncByteStream):
    """An answer's bytes from the network, whose errors are httpx2's."""

    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translate_errors():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


def _read_content(response: httpx2.Response) -> bytes:
    """Read an answer, decompressed; httpx2 decompresses in pieces of at most 1 MiB."""
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > MAX_BYTES:
            raise _oversize_error()
    return bytes(content)


def _oversize_error() -> NoCompletion:
    return NoCompletion(f"more than {MAX_BYTES >> 20} MiB")


def _find_move(url: httpx2.URL, response: httpx2.Response) -> httpx2.URL | None:
    """Return the address of a redirect to the same server; None for any other response."""
    if response.status_code not in MOVES or "location" not in response.headers:
        return None
    try:
        target = url.join(response.headers["location"])
    except httpx2.InvalidURL:
        return None
    same_server = (target.scheme, target.host, target.port) == (url.scheme, url.host, url.port)
    return target if same_server and not target.userinfo else None


def _open_pool(address: Address, backend: DeadlineBackend) -> httpcore2.ConnectionPool:
    """Open the connections to an endpoint, direct ones or those through a proxy."""
    proxy = find_proxy(address)
    proxy_url = httpx2.URL(proxy.url) if proxy else None
    encrypted = address.scheme == "https" or (proxy_url is not None and proxy_url.scheme == "https")
    options: dict[str, Any] = {
        "ssl_context": build_tls_context() if encrypted else None,
        "max_connections": _CONNECTIONS,
        "max_keepalive_connections": _IDLE_CONNECTIONS,
        "network_backend": backend,
    }
    if proxy_url is None:
        return httpcore2.ConnectionPool(**options)
    user = (proxy_url.username.encode(), proxy_url.password.encode()) if proxy_url.userinfo else None
    where = httpcore2.URL(scheme=proxy_url.raw_scheme, host=proxy_url.raw_host, port=proxy_url.port, target=b"/")
    if proxy_url.scheme.startswith("socks"):
        return httpcore2.SOCKSProxy(where, proxy_auth=user, **options)
    if proxy_url.scheme == "https":
        options["proxy_ssl_context"] = options["ssl_context"]
    return httpcore2.HTTPProxy(where, proxy_auth=user, **options)


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Turn httpcore2's errors into httpx2's, which bear the same names."""
    try:
        yield
    except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError) as error:
        raise getattr(httpx2, type(error).__name__, httpx2.NetworkError)(str(error)) from error
    except httpcore2.UnsupportedProtocol as error:
        raise httpx2.UnsupportedProtocol(str(error)) from error
