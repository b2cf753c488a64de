"""`rewardsmith studio`: look at runs in the browser, compare behaviours, and say what the next generation should do."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import say
from rewardsmith.contract.errors import ConfigError

NEEDED = ("starlette", "uvicorn", "pygments")


def studio(
    path: Annotated[
        Path | None,
        typer.Argument(help="A run directory, or a folder of runs. [default: runs/]", metavar="[RUN|RUNS-DIR]"),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port on 127.0.0.1; the next free one if it is in use.")
    ] = 8787,
) -> None:
    """Open a page on this machine that shows runs, and takes what you say about them."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(f"the studio needs {', '.join(missing)}: pip install 'rewardsmith[studio]'")
    from rewardsmith.api.searches import RUNS
    from rewardsmith.studio.server import serve

    serve(path or RUNS, port, say)
