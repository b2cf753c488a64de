"""`rewardsmith studio`: a page in the browser to look at runs, compare behaviours and give feedback."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import print_line
from rewardsmith.cli.options import complete_run
from rewardsmith.contract.errors import ConfigError

NEEDED = ("starlette", "uvicorn", "pygments")


def studio(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="A run directory, or a folder of runs. [default: runs/]",
            metavar="[RUN|RUNS-DIR]",
            autocompletion=complete_run,
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port on 127.0.0.1; the next free one if it is in use.")
    ] = 8787,
) -> None:
    """Serve a page on this machine that shows runs and records feedback."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(f"the studio needs {', '.join(missing)}: pip install 'rewardsmith[studio]'")
    from rewardsmith.api.searches import RUNS
    from rewardsmith.studio.server import serve_studio

    serve_studio(path or RUNS, port, print_line)
