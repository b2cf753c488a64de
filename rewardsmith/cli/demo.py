"""`rewardsmith demo`: a recorded search of a language model, trained for real on this machine, without a key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_error, print_line, print_progress
from rewardsmith.cli.options import DryRunOption
from rewardsmith.cli.runs import run_with_view

if TYPE_CHECKING:
    from rewardsmith.report.video import VideoClip
    from rewardsmith.search.storage import Run

FLIP_INTRODUCTION = """\
A one-legged robot learns a back flip. The environment pays for hopping forward;
nothing in it pays for a flip.
Recorded: four reward programs of a language model that saw only the prompt.
Happens now: checks, sandbox, trainings, evaluations, films. No key is needed.
It takes about 6 minutes of CPU time on 2 cores.
"""
SYMBOLIC_INTRODUCTION = """\
A one-legged robot learns to hop forward. The symbolic designer composes reward
terms, without a language model.
"""


def demo(
    symbolic: Annotated[
        bool, typer.Option("--symbolic", help="Let the symbolic designer search for a hopping reward instead.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    steps: Annotated[
        int | None, typer.Option(help="Environment steps per training. [default: 100000, with --symbolic 120000]")
    ] = None,
    dry_run: DryRunOption = False,
    out: Annotated[Path | None, typer.Option(help="Run directory. [default: runs/demo]")] = None,
) -> None:
    """Teach a robot a back flip in minutes: a recorded search of a language model, trained for real.

    A second call continues an interrupted demo, or shows the result of a finished one.
    """
    from rewardsmith.api import demo as demos
    from rewardsmith.api import searches
    from rewardsmith.cli.plan_view import show_plan
    from rewardsmith.report.demo_result import print_demo_result
    from rewardsmith.report.tables import make_console

    plan = demos.plan_demo(symbolic=symbolic, seed=seed, env_steps=steps)
    introduction = SYMBOLIC_INTRODUCTION if symbolic else FLIP_INTRODUCTION
    if dry_run:
        print_line(introduction)
        show_plan(plan, json_=False, out=None, seed_reward=None)
        return

    run = demos.open_demo(plan, out or demos.choose_demo_path(symbolic, seed))
    result = searches.find_complete_result(run)
    if result is not None:
        print_progress(f"{run.path} is finished. To train again with another seed: rewardsmith demo --seed {seed + 1}")
    else:
        print_progress(introduction)
        with searches.discard_unused(run):
            result = run_with_view(run, json_=False)
    meaning = "" if symbolic else demos.FITNESS_MEANING
    print_demo_result(result, make_console(sys.stdout), run.path, _film(run), meaning)


def _film(run: Run) -> tuple[VideoClip, ...]:
    """Return the films; without them, say why in a line."""
    from rewardsmith.api import demo as demos
    from rewardsmith.contract.errors import RewardsmithError

    try:
        return demos.film_demo(run)
    except RewardsmithError as error:
        print_error(f"no film: {error}")
        return ()
