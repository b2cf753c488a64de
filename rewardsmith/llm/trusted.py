"""Endpoints that the user of this machine has named: only there may the environment's key go.

A run directory names its endpoint, and may come from somebody else: carrying it on must not send the key to a place
that its new owner never heard of. What `design` and `sweep` are told is remembered in
`$XDG_STATE_HOME/rewardsmith/endpoints` (`~/.local/state/...`), a line each, as ssh remembers hosts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rewardsmith.errors import ConfigError, RunError
from rewardsmith.llm.settings import LOOPBACK, URL_VARIABLE, shown_address

if TYPE_CHECKING:
    from rewardsmith.settings import LlmSettings, Role


def trust(layer: Mapping[str, Any]) -> None:
    """Remember every endpoint that the user names in a configuration.

    Args:
        layer: nested sections and keys; each `base_url` counts.

    Raises:
        RunError: if they cannot be written down.
    """
    new = [url for url in dict.fromkeys(_addresses(layer)) if not _is_known(url)]
    if not new:
        return
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(f"{url}\n" for url in new)
    except OSError as error:
        raise RunError(f"cannot remember the endpoint in {str(file)!r}: {error.strerror}") from error


def check(settings: LlmSettings, roles: Sequence[Role], run: Path) -> None:
    """Make sure that carrying a run on sends the key nowhere that the user has not named.

    Args:
        settings: of the run.
        roles: who will ask.
        run: its directory.

    Raises:
        ConfigError: if it would.
    """
    for own in map(settings.of, roles):
        if own.replay is None and own.base_url and not _is_known(own.base_url):
            raise ConfigError(
                f"the run {str(run)!r} asks the language model at {shown_address(own)}, which was never named on this "
                f"machine, and the key in {own.key_variable} would go there; if you trust it: "
                f"rewardsmith resume {run} --set llm.base_url={own.base_url}"
            )


def _addresses(layer: Mapping[str, Any]) -> Iterator[str]:
    """Yield every `base_url` in a nested configuration."""
    for name, value in layer.items():
        if isinstance(value, Mapping):
            yield from _addresses(value)
        elif name == "base_url" and isinstance(value, str):
            yield value


def _is_known(url: str) -> bool:
    if urlsplit(url).hostname in LOOPBACK or url == os.environ.get(URL_VARIABLE):
        return True
    try:
        return url in _file().read_text(encoding="utf-8").splitlines()
    except OSError:
        return False


def _file() -> Path:
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "rewardsmith" / "endpoints"
