"""A call is bounded in time and size and never reaches another server, for any behaviour of the endpoint."""

from __future__ import annotations

import gzip
import itertools
import os
import signal
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from contextlib import closing

import pytest
from fakes.raw_endpoint import build_completion, build_response, drip, serve_raw

from rewardsmith.contract.errors import ModelError, ModelRejected, ModelUnavailable
from rewardsmith.llm import Message, Request, transport
from rewardsmith.llm.client import Endpoint
from rewardsmith.spec.settings import LlmSettings

REQUEST = Request("small", (Message("user", "a secret prompt"),), None, None)
TIMEOUT_S = 0.6
MIB = 1 << 20
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def connect(url: str, timeout_s: float = 20.0) -> Endpoint:
    return Endpoint(LlmSettings(model="small", base_url=url, retries=0, timeout_s=timeout_s), "sk-1")


def ask(url: str) -> str:
    with closing(connect(url)) as endpoint:
        return endpoint.chat(REQUEST).text


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SLOW: dict[str, Callable[[], Iterable[bytes]]] = {
    "status line": lambda: drip(bytes([byte]) for byte in b"HTTP/1.1 200 OK" * 99),
    "headers": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n"], drip([b"X-More: 1\r\n"] * 999)),
    "one header": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\nX-More: "], drip([b"a"] * 999)),
    "informational responses": lambda: drip([b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 999),
    "body": lambda: itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], drip([b"x"] * 999)),
    "blank lines": lambda: itertools.chain([CHUNKED], drip([chunk(b"\n")] * 999)),
    "keep-alive comments": lambda: itertools.chain([CHUNKED], drip([chunk(b": PROCESSING\n\n")] * 999)),
    "gzip without text": lambda: itertools.chain(
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"")], drip([gzip.compress(b"")] * 999)
    ),
    "silence": lambda: drip([b""], 5.0),
}


@pytest.mark.parametrize("what", SLOW)
def test_a_call_ends_after_its_time_however_slowly_bytes_come(what: str) -> None:
    with serve_raw(lambda request: SLOW[what]()) as server, closing(connect(server.url, TIMEOUT_S)) as endpoint:
        started = time.monotonic()
        with pytest.raises(ModelUnavailable, match=r"no answer within 0\.6 s in 1 attempt; raise llm\.timeout_s"):
            endpoint.chat(REQUEST)
        assert time.monotonic() - started < TIMEOUT_S + 2.0


def test_an_answer_that_comes_slowly_and_in_time_is_read() -> None:
    pieces = [chunk(b"\n"), chunk(b": PROCESSING\n"), chunk(build_completion("late")), b"0\r\n\r\n"]
    with serve_raw(lambda request: itertools.chain([CHUNKED], drip(pieces))) as server:
        assert ask(server.url) == "late"


def test_an_interrupt_ends_a_call_that_drips() -> None:
    with serve_raw(lambda request: itertools.chain([CHUNKED], drip([chunk(b"\n")] * 999))) as server:
        program = (
            "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "from rewardsmith.llm import Message, Request\nfrom rewardsmith.llm.client import Endpoint\n"
            "from rewardsmith.spec.settings import LlmSettings\n"
            f"settings = LlmSettings(model='m', base_url={server.url!r})\n"
            "Endpoint(settings, 'sk-1').chat(Request('m', (Message('user', 'x'),), None, None))\n"
        )
        process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE)
        while not server.requests and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        assert b"KeyboardInterrupt" in process.communicate(timeout=20)[1]


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b"x" * (256 * MIB), 1)
    with serve_raw(lambda request: [build_response(bomb, Content_Encoding="gzip")]) as server:
        tracemalloc.start()
        with pytest.raises(ModelRejected, match="more than 16 MiB"):
            ask(server.url)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 96 * MIB


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b" " * (17 * MIB), "identity"),
        (zlib.compress(b" " * (17 * MIB), 1), "deflate"),
        (gzip.compress(gzip.compress(b" " * (17 * MIB), 1), 1), "gzip, gzip"),
        (gzip.compress(b"{}") + b"\0" * (17 * MIB), "gzip"),
    ],
    ids=["plain", "deflate", "gzip twice", "behind the end of a gzip"],
)
def test_an_answer_that_is_too_large_is_refused_on_the_wire_and_unpacked(body: bytes, encoding: str) -> None:
    with (
        serve_raw(lambda request: [build_response(body, Content_Encoding=encoding)]) as server,
        pytest.raises(ModelRejected, match="more than 16 MiB"),
    ):
        ask(server.url)


def test_a_large_answer_is_read() -> None:
    text = "x" * (3 * MIB)
    body = gzip.compress(build_completion(text), 1)
    with serve_raw(lambda request: [build_response(body, Content_Encoding="gzip")]) as server:
        assert ask(server.url) == text


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
def test_an_endpoint_that_was_reached_and_hung_up_is_not_told_as_unreachable(reply: bytes) -> None:
    with serve_raw(lambda request: [reply]) as server, pytest.raises(ModelError, match=r"no whole answer.*look at the"):
        ask(server.url)


def test_a_header_that_is_no_ascii_is_no_obstacle() -> None:
    answer = build_response(build_completion(), X_Region="Zürich")
    with serve_raw(lambda request: [answer]) as server:
        assert ask(server.url) == "hi"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
        build_response(b"no gzip", Content_Encoding="gzip"),
        build_response(build_completion(), Content_Encoding=", ".join(["gzip"] * 9)),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1/v1\r\nContent-Length: 0\r\n\r\n",
        build_response(b"x", "999 Odd"),
    ],
    ids=str,
)
def test_what_is_no_http_ends_in_one_line(reply: bytes) -> None:
    with serve_raw(lambda request: [reply]) as server, pytest.raises(ModelError) as caught:
        ask(server.url)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_no_prompt_follows_a_redirect_to_another_server(status: str) -> None:
    with serve_raw(lambda request: [build_response(build_completion())]) as other:
        target = f"{other.url}/chat/completions"
        with serve_raw(lambda request: [build_response(b"", status, Location=target)]) as server:
            with pytest.raises(
                ModelRejected, match=f"leads elsewhere, to '{target}'.*OPENAI_BASE_URL to '{other.url}'"
            ):
                ask(server.url)
        assert (len(server.requests), other.requests) == (1, [])


def test_a_redirect_that_would_drop_the_prompt_is_told_and_not_followed() -> None:
    moved = build_response(b"", "301 Moved", Location="/v2/chat/completions")
    with serve_raw(lambda request: [moved]) as server, pytest.raises(ModelRejected, match=r"leads elsewhere.*/v2'"):
        ask(server.url)
    assert len(server.requests) == 1


def test_a_redirect_within_the_server_that_keeps_the_prompt_is_followed() -> None:
    moved = build_response(b"", "308 Permanent", Location="/v1/chat/completions/")

    def reply(request: str) -> Iterable[bytes]:
        return [build_response(build_completion()) if "completions/ HTTP" in request else moved]

    with serve_raw(reply) as server:
        assert ask(server.url) == "hi"
        assert ["a secret prompt" in request for request in server.requests] == [True, True]


def test_a_server_that_redirects_for_ever_is_left() -> None:
    moved = build_response(b"", "307 Temporary", Location="/v1/chat/completions")
    with serve_raw(lambda request: [moved]) as server, pytest.raises(ModelRejected, match="leads elsewhere"):
        ask(server.url)
    assert len(server.requests) == transport.MAX_MOVES


def test_a_server_that_drops_its_connection_after_an_internal_error_is_asked_in_another_way() -> None:
    failed = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 21\r\n\r\nInternal Server Error"

    def reply(request: str) -> Iterable[bytes]:
        return [failed if '"system"' in request else build_response(build_completion())]

    with serve_raw(reply) as server, closing(connect(server.url)) as endpoint:
        request = Request("small", (Message("system", "rules"), Message("user", "hello")), None, None)
        assert endpoint.chat(request).text == "hi"
        assert len(server.requests) == 2
