"""`rewardsmith bench`: how fast training is on this machine, beside stable-baselines3's PPO as it comes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer

from rewardsmith.cli.console import complain


def bench(
    envs: Annotated[list[str] | None, typer.Argument(help="Gymnasium ids. [default: Hopper-v5 HalfCheetah-v5]")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side; the figures are medians.")] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of a turn, in rollouts of 2,048.")] = 2048,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Measure training here against SB3's PPO as it comes, in turns; about a minute."""
    from rewardsmith.executors.worker_process import scrubbed

    # Torch and the simulator stay out of this process, as in a search; and the child sees no key.
    command = [sys.executable, "-m", "rewardsmith.worker.bench", *(envs or ())]
    command += ["--rounds", str(rounds), "--steps", str(steps), *(["--json"] if json_ else [])]
    child = subprocess.run(command, env=scrubbed(os.environ), stderr=subprocess.PIPE, text=True, errors="replace")
    if child.returncode:
        complain(child.stderr.strip().rpartition("\n")[2])
        raise typer.Exit(2 if child.returncode == 2 else 1)
