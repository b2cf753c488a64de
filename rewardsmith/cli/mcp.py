"""`rewardsmith mcp`: tools for coding agents, over stdin and stdout."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import print_error
from rewardsmith.contract.errors import ConfigError


def mcp(
    folder: Annotated[
        Path | None, typer.Option(help="Folder to work in: runs lie in its runs/. [default: where it is started]")
    ] = None,
) -> None:
    """Serve rewardsmith's tools to a coding agent (Model Context Protocol, stdio).

    For Claude Code: claude mcp add rewardsmith -- rewardsmith mcp
    """
    if find_spec("mcp") is None:
        raise ConfigError("coding agents need the package mcp: pip install 'rewardsmith[mcp]'")
    import os

    from rewardsmith.api.coding_agent.server import serve_stdio

    if folder is not None:
        os.chdir(folder)
    if sys.stdin.isatty():
        print_error("a coding agent starts this command and talks to it; see docs/agents.md. Ctrl-D ends it.")
    serve_stdio()
