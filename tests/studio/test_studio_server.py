"""The studio as a process: its port, its link, a browser that goes away, and its end."""

import http.client
import re
import signal
import socket
import subprocess
import sys

import pytest
from fakes.studio_case import add_video


@pytest.fixture
def studio(run):
    """A studio whose wanted port was taken; its process, and the lines that it printed."""
    add_video(run, "g0c00", content=bytes(8_000_000))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "rewardsmith", "studio", str(run.path), "--port", str(taken.getsockname()[1])]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            yield process, [process.stdout.readline() for _ in range(3)]
        finally:
            process.kill()
            process.communicate()


def test_a_studio_outlives_a_taken_port_and_a_browser_that_disconnects_and_ends_in_order(studio):
    process, lines = studio
    assert re.fullmatch(r"Port \d+ is in use; this studio takes \d+\.\n", lines[0])
    port, path = re.search(r"http://127\.0\.0\.1:(\d+)(/\S+)", lines[2]).groups()
    cookie = opened(int(port), path)
    request = f"GET /r/first/video/g0c00/e0-00000000.mp4 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n"
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", int(port))) as browser:
            browser.sendall(request.encode())
            assert browser.recv(1000).startswith(b"HTTP/1.1 200")
    assert asked(int(port), "/r/first", cookie) == 200
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "The studio is closed.\n", "")


def opened(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path)
    cookie = connection.getresponse().headers["set-cookie"].partition(";")[0]
    connection.close()
    return cookie


def asked(port: int, path: str, cookie: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Cookie": cookie})
    status = connection.getresponse().status
    connection.close()
    return status
