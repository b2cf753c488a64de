"""The endpoints to which a key may be sent: those that the user of this machine named, never one that only a run names.

A run directory may come from anybody, and its configuration says where its language model is and which environment
variable holds the key. So an endpoint is trusted only if this machine knows it: from the user's variables, as a server
on this machine itself, or from the searches that the user began, whose endpoints are kept in a separate file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import write_text
from rewardsmith.llm.endpoint import LOOPBACK, redact_address
from rewardsmith.spec.config import Layer
from rewardsmith.spec.config_layers import read_environment_layer
from rewardsmith.spec.settings import ModelSettings

if TYPE_CHECKING:
    from rewardsmith.spec.settings import LlmSettings, Role

FLAG = "--trust-endpoint"
TrustedEndpoint = tuple[str, str]
"""An address, without a user's name and password, and the environment variable whose key is sent there."""


def endpoints_file(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the file with the endpoints that the user named, one a line: the address and the key's variable.

    >>> endpoints_file({"XDG_CONFIG_HOME": "/etc/me"}).as_posix()
    '/etc/me/rewardsmith/endpoints'
    """
    folder = variables.get("XDG_CONFIG_HOME")
    return (Path(folder) if folder else Path.home() / ".config") / "rewardsmith" / "endpoints"


def check_trusted(settings: LlmSettings, roles: Sequence[Role], run: Path) -> None:
    """Make sure that no key goes where the user of this machine never sent one.

    Args:
        settings: of the run.
        roles: that ask.
        run: the run's directory, for the message.

    Raises:
        ConfigError: if the run names an endpoint that is not known here.
    """
    known = _read_remembered()
    for address, variable in _list_endpoints(settings, roles):
        if (address, variable) not in known and not _is_named(address, variable, read_environment_layer(os.environ)):
            raise ConfigError(
                f"{run} would send the key in {variable} to {address}, which neither this machine's environment nor a "
                f"search that you began names; if you know it, `rewardsmith resume {run} {FLAG}` goes on"
            )


def remember_endpoints(settings: LlmSettings, roles: Sequence[Role], named: Layer | None = None) -> None:
    """Remember the endpoints of a configuration as the user's own.

    Args:
        settings: that the user gave, or confirmed.
        roles: that ask.
        named: the part that the user gave; only the endpoints that it names are remembered. None: all of them.
    """
    found = [
        one for one in _list_endpoints(settings, roles) if named is None or _is_named(*one, named, addresses=False)
    ]
    known = _read_remembered()
    if set(found) <= known:
        return
    lines = sorted(f"{address} {variable}\n" for address, variable in known | set(found))
    # Where it cannot be written, the next session asks.
    with contextlib.suppress(OSError):
        endpoints_file().parent.mkdir(parents=True, exist_ok=True)
        write_text(endpoints_file(), "".join(lines))


def _list_endpoints(settings: LlmSettings, roles: Sequence[Role]) -> list[TrustedEndpoint]:
    """Return where these roles ask; a replayed ledger asks nobody."""
    return [] if settings.replay else list(dict.fromkeys(_endpoint_of(settings.for_role(role)) for role in roles))


def _endpoint_of(settings: ModelSettings) -> TrustedEndpoint:
    return redact_address(settings).rstrip("/"), settings.key_variable


def _is_named(address: str, variable: str, layer: Layer, *, addresses: bool = True) -> bool:
    """Return whether a configuration's layer names an endpoint.

    Args:
        address: of the endpoint.
        variable: with the key.
        layer: what the user said.
        addresses: whether a server on this machine, and where requests go by default, are named without being said.
    """
    section: Mapping[str, Any] = layer.get("llm", {})
    parts = [section, *section.get("roles", {}).values()]
    named = [ModelSettings(base_url=part["base_url"]) for part in parts if part.get("base_url")]
    named += [ModelSettings()] if addresses else []
    reached = address in {_endpoint_of(one)[0] for one in named}
    reached = reached or (addresses and urlsplit(address).hostname in LOOPBACK)
    return reached and variable in {ModelSettings().key_variable, *(part.get("key_variable") for part in parts)}


def _read_remembered() -> set[TrustedEndpoint]:
    try:
        lines = endpoints_file().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return set()
    return {(parts[0], parts[1]) for line in lines if len(parts := line.split()) == 2}
