"""Proxy and certificates from environment variables: used, or refused in one line that names the variable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from fakes.raw_endpoint import build_completion, build_response, serve_raw

from rewardsmith.contract.errors import ConfigError, ModelUnavailable
from rewardsmith.llm import Message, Request, build_model_pool, check_endpoint
from rewardsmith.llm.client import Endpoint
from rewardsmith.llm.endpoint import find_address
from rewardsmith.llm.network_settings import build_tls_context, find_proxy
from rewardsmith.spec.settings import BudgetSettings, LlmSettings

REQUEST = Request("small", (Message("user", "hello"),), None, None)
FAR = "https://models.example/v1"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir", "sslkeylogfile")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower() in VARIABLES]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")


def proxy_for(url: str, **environment: str) -> str | None:
    proxy = find_proxy(find_address(LlmSettings(base_url=url)), environment)
    return proxy and f"{proxy.variable} {proxy.url}"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        (FAR, {}, None),
        (FAR, {"HTTPS_PROXY": "http://proxy:1"}, "HTTPS_PROXY http://proxy:1"),
        (FAR, {"HTTPS_PROXY": "proxy:1"}, "HTTPS_PROXY http://proxy:1"),
        (FAR, {"HTTPS_PROXY": "http://upper", "https_proxy": "http://lower"}, "https_proxy http://lower"),
        (FAR, {"HTTP_PROXY": "http://proxy:1"}, None),
        (FAR, {"ALL_PROXY": "http://proxy:1"}, "ALL_PROXY http://proxy:1"),
        (FAR, {"HTTPS_PROXY": "", "ALL_PROXY": "http://proxy:1"}, "ALL_PROXY http://proxy:1"),
        (FAR, {"ALL_PROXY": "http://proxy:1", "NO_PROXY": "other, .example"}, None),
        (FAR, {"ALL_PROXY": "http://proxy:1", "NO_PROXY": "*.example:443"}, None),
        (FAR, {"ALL_PROXY": "http://proxy:1", "NO_PROXY": "*"}, None),
        (FAR, {"ALL_PROXY": "http://proxy:1", "NO_PROXY": "dels.example"}, "ALL_PROXY http://proxy:1"),
        ("http://10.1.2.3/v1", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://10.1.2.3/v1", {"HTTP_PROXY": "http://proxy:1", "NO_PROXY": "a/b"}, "HTTP_PROXY http://proxy:1"),
        ("http://127.0.0.1:1/v1", {"ALL_PROXY": "socks5://127.0.0.1:9"}, None),
        ("http://localhost:1/v1", {"HTTP_PROXY": "http://proxy:1"}, None),
        ("http://[::1]:1/v1", {"HTTP_PROXY": "http://[::1"}, None),
        ("http://0.0.0.0:11434/v1", {"HTTP_PROXY": "http://proxy:1"}, None),
    ],
)
def test_the_proxy_is_that_of_the_environment_and_none_for_this_machine(
    url: str, environment: dict[str, str], proxy: str | None
) -> None:
    assert proxy_for(url, **environment) == proxy


UNUSABLE = {
    "ALL_PROXY": "socks4://127.0.0.1:9",
    "HTTPS_PROXY": "http://me:hunter2@[::1",
    "https_proxy": "http://proxy:abc",
    "all_proxy": "ftp://proxy",
    "SSL_CERT_FILE": "/nonexistent/ca.pem",
    "SSL_CERT_DIR": "/nonexistent",
}


@pytest.mark.parametrize("variable", UNUSABLE)
def test_a_variable_that_cannot_be_used_is_named_in_one_line_before_anything_is_paid_for(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, UNUSABLE[variable])
    settings = LlmSettings(model="small", base_url=FAR)
    with pytest.raises(ConfigError, match=rf"^{variable} = '.*correct or unset {variable}") as caught:
        build_model_pool(settings, BudgetSettings(), tmp_path / "llm.jsonl")
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    check = check_endpoint(settings)
    assert (check.ok, check.detail) == (False, str(caught.value))


def test_socks_without_its_package_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"ALL_PROXY = 'socks5://127\.0\.0\.1:9'.*socksio"):
        proxy_for(FAR, ALL_PROXY="socks5://127.0.0.1:9")


def test_a_file_without_certificates_is_told_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with pytest.raises(ConfigError, match=r"SSL_CERT_FILE = '.*ca\.pem' .*holds no certificates"):
        build_tls_context()


def test_a_log_of_keys_that_cannot_be_written_is_told_as_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import certifi

    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "none" / "keys"))
    with pytest.raises(ConfigError, match=r"^SSLKEYLOGFILE = "):
        build_tls_context()


def test_this_machine_is_reached_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in UNUSABLE.items():
        monkeypatch.setenv(variable, value)
    with serve_raw(lambda request: [build_response(build_completion())]) as server:
        endpoint = Endpoint(LlmSettings(model="small", base_url=server.url, retries=0), "sk-1")
        assert endpoint.chat(REQUEST).text == "hi"
        endpoint.close()


def test_a_far_endpoint_is_asked_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    def reply(request: str) -> Iterable[bytes]:
        return [build_response(build_completion("through"))]

    with serve_raw(reply) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:hunter2@127.0.0.1:{proxy.port}")
        endpoint = Endpoint(LlmSettings(model="small", base_url="http://models.invalid/v1", retries=0), "sk-1")
        assert endpoint.chat(REQUEST).text == "through"
        endpoint.close()
        assert proxy.requests[0].startswith("POST http://models.invalid/v1/chat/completions HTTP/1.1")
        assert "proxy-authorization: basic" in proxy.requests[0].lower()


def test_a_proxy_that_is_down_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:1")
    with pytest.raises(ModelUnavailable, match=r"through the proxy http://127\.0\.0\.1:1 of HTTPS_PROXY") as caught:
        Endpoint(LlmSettings(model="small", base_url=FAR, retries=0), "sk-1").chat(REQUEST)
    assert "hunter2" not in str(caught.value)
