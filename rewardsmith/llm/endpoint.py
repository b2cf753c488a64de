"""What follows from the llm settings: the endpoint's address, the key that opens it, a call's cost.

The key comes from the environment alone: it is no setting, so that no configuration or run directory can hold it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from rewardsmith.contract.errors import ConfigError

if TYPE_CHECKING:
    from rewardsmith.spec.settings import ModelSettings

DEFAULT_URL = "https://api.openai.com/v1"
URL_VARIABLE = "OPENAI_BASE_URL"
NO_MODEL_NEEDED = "`--designer symbolic` needs no model and no key"

LOOPBACK = ("localhost", "127.0.0.1", "::1")
UNUSED_KEY = "unused"
"""Sent to a server on this machine when no key is set: most of them want none, the SDK wants something."""


def address(settings: ModelSettings) -> str:
    """Return the endpoint's address, up to and with its "/v1".

    Raises:
        ConfigError: if it is no http address.
    """
    url = settings.base_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"the language model's address {url!r} is no http address; set {URL_VARIABLE} or llm.base_url to one "
            "such as 'http://127.0.0.1:8000/v1'"
        )
    return url


def shown_address(settings: ModelSettings) -> str:
    """Return the endpoint's address for a message: without the user name and password that it may carry.

    Raises:
        ConfigError: if it is no http address.
    """
    parts = urlsplit(address(settings))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def find_key(settings: ModelSettings) -> str:
    """Return the key for the endpoint.

    Raises:
        ConfigError: if there is none and the endpoint is not on this machine, or it cannot be one.
    """
    variable = settings.key_variable
    key = (os.environ.get(variable) or "").strip()
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{variable} holds characters that no API key has; set it anew, without quotes or breaks")
    if key:
        return key
    if urlsplit(address(settings)).hostname in LOOPBACK:
        return UNUSED_KEY
    raise ConfigError(
        f"no API key for the language model at {shown_address(settings)}: set {variable} (and {URL_VARIABLE} for "
        f"an endpoint other than OpenAI's); {NO_MODEL_NEEDED}"
    )


def priced(settings: ModelSettings) -> bool:
    """Return whether both prices are known."""
    return settings.price_in_usd is not None and settings.price_out_usd is not None


def cost_usd(settings: ModelSettings, tokens_in: int | None, tokens_out: int | None) -> float | None:
    """Return what a call costs at list price, without discounts; None where a price or a count is unknown."""
    if settings.price_in_usd is None or settings.price_out_usd is None or tokens_in is None or tokens_out is None:
        return None
    return (tokens_in * settings.price_in_usd + tokens_out * settings.price_out_usd) / 1e6
