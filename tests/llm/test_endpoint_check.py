from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rewardsmith.llm import check_endpoint
from rewardsmith.spec.settings import LlmSettings


@pytest.fixture
def server() -> Iterator[str]:
    """The address of an endpoint on loopback that lists two models."""

    class Models(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"object": "list", "data": [{"id": "small"}, {"id": "large"}]}'
            self.send_response(200 if self.path == "/v1/models" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    found = HTTPServer(("127.0.0.1", 0), Models)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}/v1"
    found.shutdown()
    thread.join()
    found.server_close()


def test_an_endpoint_that_answers_is_reported_with_its_models(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server)
    check = check_endpoint()
    assert check.ok
    assert check.detail == f"{server} answers and lists 2 model(s)"


def test_an_endpoint_that_is_down_is_reported_with_its_address() -> None:
    check = check_endpoint(LlmSettings(base_url="http://127.0.0.1:1/v1"))
    assert (check.ok, check.needed) == (False, False)
    assert "http://127.0.0.1:1/v1" in check.detail
    assert check.fix is not None


def test_a_missing_key_is_reported_with_its_variable() -> None:
    check = check_endpoint()
    assert (check.ok, check.needed) == (False, False)
    assert "OPENAI_API_KEY" in str(check.fix)
