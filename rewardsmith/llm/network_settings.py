"""The proxy and the certificates that the environment names, as most programs read them.

HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY (also in lower case, which wins), SSL_CERT_FILE and SSL_CERT_DIR. What is
wrong with one is a line that names it. This machine itself is reached without a proxy.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rewardsmith.contract.errors import ConfigError
from rewardsmith.llm.endpoint import Address, is_loopback
from rewardsmith.spec.addresses import remove_secrets

PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the variable that names it."""

    url: str
    """Address of the proxy, with the user name and password that it may have."""
    variable: str


def find_proxy(address: Address, variables: Mapping[str, str] = os.environ) -> Proxy | None:
    """Find the proxy through which an endpoint is reached; None where it is reached directly.

    Raises:
        ConfigError: if the variable that names it holds no proxy that can be used.
    """
    if is_loopback(address.host) or _is_excepted(address.host, _read_variable("no_proxy", variables)[1]):
        return None
    for name in (f"{address.scheme}_proxy", "all_proxy"):
        variable, value = _read_variable(name, variables)
        if value:
            return Proxy(_check_proxy(variable, value, address.host), variable)
    return None


def build_tls_context() -> ssl.SSLContext:
    """Build the context that checks a server's certificate.

    Raises:
        ConfigError: if a variable names certificates that cannot be read.
    """
    import httpcore2

    # A file wins over a folder; an OpenSSL without either finds those of the system.
    folders = "" if os.environ.get("SSL_CERT_FILE") else os.environ.get("SSL_CERT_DIR", "")
    if folders and not any(Path(folder).is_dir() for folder in folders.split(os.pathsep)):
        raise _certificates_error("SSL_CERT_DIR", "no such folder")
    try:
        return httpcore2.default_ssl_context()
    except ssl.SSLError as error:
        raise _certificates_error("SSL_CERT_FILE", "it holds no certificates in PEM") from error
    except OSError as error:
        variable = "SSLKEYLOGFILE" if _is_key_log(error) else "SSL_CERT_FILE"
        raise _certificates_error(variable, error.strerror or str(error)) from error


def check_network_settings(address: Address) -> None:
    """Make sure that an endpoint can be reached the way the environment says, before anything is trained.

    Raises:
        ConfigError: if a variable holds what cannot be used.
    """
    proxy = find_proxy(address)
    if address.scheme == "https" or (proxy and proxy.url.startswith("https:")):
        build_tls_context()


def _read_variable(name: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """Return the spelling of a variable that is set, and its value; an empty one counts as unset."""
    variable = name if name in variables else name.upper()
    return variable, variables.get(variable, "").strip()


def _check_proxy(variable: str, value: str, host: str) -> str:
    """Return a proxy's address, with a scheme."""
    url = value if "://" in value else f"http://{value}"
    fault = _describe_proxy_fault(url)
    if fault:
        raise ConfigError(
            f"{variable} = {remove_secrets(value)!r} is no proxy that can be used: {fault}; correct or unset "
            f"{variable}, or list {host!r} in NO_PROXY"
        )
    return url


def _describe_proxy_fault(url: str) -> str | None:
    """Say what is wrong with a proxy's address; None if nothing is."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - parsed when it is read
        (parts.hostname or "").encode("idna")
    except ValueError:  # UnicodeError among them
        return "its host or its port cannot be read"
    if parts.scheme not in PROXY_SCHEMES:
        return f"it must begin with one of {', '.join(f'{scheme}://' for scheme in PROXY_SCHEMES)}"
    if not parts.hostname or any(char.isspace() for char in url):
        return "it names no host"
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        return "SOCKS needs the package socksio (pip install socksio)"
    return None


def _is_excepted(host: str, exceptions: str) -> bool:
    """Return whether NO_PROXY lists a host: by its name or its domain, as an IP address or as a network of these."""
    for entry in exceptions.replace(",", " ").split():
        entry = entry.rpartition("://")[2].lower()
        if entry == "*" or _is_in_network(host, entry):
            return True
        name, _, port = entry.rpartition(":")
        domain = (name if name and port.isdigit() and ":" not in name else entry).strip("[]").lstrip("*").lstrip(".")
        if domain and (host == domain or host.endswith(f".{domain}")):
            return True
    return False


def _is_in_network(host: str, entry: str) -> bool:
    try:
        return "/" in entry and ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _is_key_log(error: OSError) -> bool:
    """Return whether a failure is about the file that Python writes the keys of connections to."""
    file = os.environ.get("SSLKEYLOGFILE")
    return bool(file) and (error.filename == file or not os.environ.get("SSL_CERT_FILE"))


def _certificates_error(variable: str, cause: str) -> ConfigError:
    return ConfigError(
        f"{variable} = {os.environ.get(variable, '')!r} cannot be used for the certificates of https: {cause}; correct "
        f"or unset {variable}"
    )
