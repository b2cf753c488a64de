"""A server on loopback that answers with any bytes, at any speed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

Reply = Callable[[str], Iterable[bytes]]
"""Gives the bytes to send, one piece after the other, for the head and body of a request."""


@dataclass
class RawEndpoint:
    """A running server."""

    port: int
    requests: list[str] = field(default_factory=list)
    """The head and the body of each request, in their order."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def serve_raw(reply: Reply) -> Iterator[RawEndpoint]:
    """Serve until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = RawEndpoint(listener.getsockname()[1])
    stopped = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = _read_request(connection)
            if request is None:
                return
            endpoint.requests.append(request)
            for piece in reply(request):
                if stopped.is_set():
                    break
                connection.sendall(piece)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield endpoint
    finally:
        stopped.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def drip(pieces: Iterable[bytes], pause_s: float = 0.1) -> Iterator[bytes]:
    """Yield the pieces with a pause before each."""
    for piece in pieces:
        time.sleep(pause_s)
        yield piece


def build_completion(content: str = "hi", finish: str = "stop") -> bytes:
    """Build the body of a chat completion."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}
    return json.dumps({"choices": [choice]}).encode()


def build_response(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Build a whole response; `Content_Encoding="gzip"` is a header."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _read_request(connection: socket.socket) -> str | None:
    """Read a request; None where the connection was closed without a whole one."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    return (head + b"\r\n\r\n" + body).decode()
