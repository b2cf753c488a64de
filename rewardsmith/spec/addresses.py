"""Addresses as settings hold them: their form, the secrets in one, and the address without them.

A run directory keeps the settings and is made to be handed on, so that no password may stand in them.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

_USER_PART = re.compile(r"^(\s*[^/?#]*//)[^/?#]*@")
"""A user name and a password, in an address that may be malformed otherwise."""
_SECRET_NAME = re.compile(r"key|token|secret|passw|pwd|signature|credential|auth|^sig$|^code$", re.IGNORECASE)


def is_host_and_port(address: str) -> bool:
    """Return whether an address is HOST:PORT, as that of a Ray cluster's head.

    >>> is_host_and_port("10.0.0.1:6379"), is_host_and_port("10.0.0.1"), is_host_and_port("ray://10.0.0.1:6379")
    (True, False, False)
    """
    host, _, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536
    return bool(host) and "/" not in host and is_port


def remove_secrets(address: str) -> str:
    """Return the address without a user's name and password, and without parameters that hold a key.

    >>> remove_secrets("https://bob:pw@host/v1?api-version=3&api_key=x")
    'https://host/v1?api-version=3'
    """
    address = _USER_PART.sub(r"\1", address)
    head, mark, query = address.partition("?")
    kept = [part for part in query.split("&") if part and not _SECRET_NAME.search(part.partition("=")[0])]
    return head + (mark + "&".join(kept) if kept else "")


def list_secrets(address: str) -> tuple[str, ...]:
    """List the secrets in an address: its user part's words, and the values of parameters that hold a key.

    >>> list_secrets("https://bob:pw@host/v1?api_key=x")
    ('bob', 'pw', 'x')
    """
    user_part = _USER_PART.match(address)
    words = user_part[0].partition("//")[2].removesuffix("@").split(":", 1) if user_part else []
    try:
        parameters = parse_qsl(urlsplit(address).query)
    except ValueError:
        parameters = []
    return tuple(word for word in (*words, *(value for name, value in parameters if _SECRET_NAME.search(name))) if word)
