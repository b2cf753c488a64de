"""The endpoint of the llm settings: its address, its key, and the cost of a call.

The key comes from the environment alone: it is no setting, so that no configuration or run directory can hold it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit, urlunsplit

from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec.addresses import list_secrets, remove_secrets

if TYPE_CHECKING:
    from rewardsmith.spec.settings import ModelSettings

DEFAULT_URL = "https://api.openai.com/v1"
URL_VARIABLE = "OPENAI_BASE_URL"
NO_MODEL_NEEDED = "`--designer symbolic` needs no model and no key"

LOOPBACK = ("localhost", "127.0.0.1", "::1")
UNUSED_KEY = "unused"
"""Key for a server on this machine when none is set: most servers need none, but the SDK needs one."""

_REQUEST_PATH = "/chat/completions"
_API_VERSION = re.compile(r"/v\d")
_UNUSABLE = re.compile(r"[\s\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Address:
    """The address of an endpoint, normalised."""

    base: str
    """Address below which requests are sent: with its user name and password, without a slash at its end."""
    shown: str
    """Address for messages and files: without user name, password and query."""
    host: str
    """Host in lower case, without brackets."""
    scheme: str
    query: tuple[tuple[str, str], ...]
    """Parameters that are sent with every request, such as ("api-version", "2024-10-21")."""
    secrets: tuple[str, ...]
    """Texts that no message may show."""

    @property
    def names_version(self) -> bool:
        """Whether the path names a version of the API, as "/v1" does."""
        return bool(_API_VERSION.search(urlsplit(self.base).path))


def find_address(settings: ModelSettings) -> Address:
    """Find the endpoint's address, up to and with its "/v1".

    Raises:
        ConfigError: if it is no http address.
    """
    url = (settings.base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL).strip()
    try:
        return _parse_address(url)
    except ValueError as error:
        raise ConfigError(
            f"the language model's address {remove_secrets(url)!r} is no http address: {error}; set {URL_VARIABLE} or "
            "llm.base_url to one such as 'http://127.0.0.1:8000/v1'"
        ) from None


def redact_address(settings: ModelSettings) -> str:
    """Return the endpoint's address for a message: without the user name and password that it may carry.

    Raises:
        ConfigError: if it is no http address.
    """
    return find_address(settings).shown


def refuse_secrets(settings: ModelSettings) -> None:
    """Make sure that the settings hold no secret, since a run directory keeps them.

    Raises:
        ConfigError: if the address in them holds one; OPENAI_BASE_URL may, it is kept in no file.
    """
    if settings.base_url and list_secrets(settings.base_url):
        raise ConfigError(
            f"llm.base_url {redact_address(settings)!r} holds a user name, a password or a key, and a run directory "
            f"keeps its settings; put the key alone into {settings.key_variable}, or the whole address into "
            f"{URL_VARIABLE}, which no file keeps"
        )


def find_key(settings: ModelSettings) -> str:
    """Find the key for the endpoint in the environment.

    Raises:
        ConfigError: if there is no key and the endpoint is not on this machine, or the value cannot be a key.
    """
    variable = settings.key_variable
    key = (os.environ.get(variable) or "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{variable} holds characters that no API key has; set it again, without quotes or breaks")
    if key:
        return key
    if find_address(settings).host in LOOPBACK:
        return UNUSED_KEY
    raise ConfigError(
        f"no API key for the language model at {redact_address(settings)}: set {variable} (and {URL_VARIABLE} for "
        f"an endpoint other than OpenAI's); {NO_MODEL_NEEDED}"
    )


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, which is reached without a proxy.

    >>> is_loopback("127.0.0.2"), is_loopback("0.0.0.0"), is_loopback("models.example")
    (True, True, False)
    """
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return ip.is_loopback or ip.is_unspecified


def has_prices(settings: ModelSettings) -> bool:
    """Return whether both prices are known."""
    return settings.price_in_usd is not None and settings.price_out_usd is not None


def compute_cost_usd(settings: ModelSettings, tokens_in: int | None, tokens_out: int | None) -> float | None:
    """Compute the cost of a call at list price, without discounts; None where a price or a count is unknown."""
    if settings.price_in_usd is None or settings.price_out_usd is None or tokens_in is None or tokens_out is None:
        return None
    return (tokens_in * settings.price_in_usd + tokens_out * settings.price_out_usd) / 1e6


def _parse_address(url: str) -> Address:
    """Parse and normalise an address.

    Raises:
        ValueError: if the address is invalid; the message says what is wrong.
    """
    if _UNUSABLE.search(url):
        raise ValueError("it holds a blank, a backslash or a control character")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("it must begin with http:// or https://")
    if parts.fragment:
        raise ValueError("it holds a '#'")
    host = _check_host(parts)

    # The full address of the requests is taken too, as documentations print it.
    path = parts.path.rstrip("/").removesuffix(_REQUEST_PATH).rstrip("/")
    secrets = list_secrets(url)
    return Address(
        base=urlunsplit((parts.scheme, parts.netloc, path, "", "")),
        shown=urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", "")),
        host=host,
        scheme=parts.scheme,
        query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
        secrets=tuple(dict.fromkeys((*secrets, *(unquote(secret) for secret in secrets)))),
    )


def _check_host(parts: SplitResult) -> str:
    """Return the host of an address.

    Raises:
        ValueError: if the address has no host, or its port is not a number.
    """
    if not parts.hostname:
        raise ValueError("it names no host")
    try:
        parts.port  # noqa: B018 - parsed when it is read
    except ValueError:
        raise ValueError("its port must be a number from 0 to 65535") from None
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError("its host is no name that can be looked up") from None
    return parts.hostname
