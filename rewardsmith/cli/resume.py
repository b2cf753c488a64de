"""`rewardsmith resume`: go on with a search that was killed or stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.options import EXECUTOR_HELP, TRUST_HELP, executor_layer

CHANGEABLE = ("budget", "llm", "jobs", "limits", "executor")
"""Sections of the settings on which no figure depends: how much, who is asked, and what the machine gives."""


def resume(
    run: Annotated[Path, typer.Argument(help="The run directory.")],
    jobs: Annotated[int | None, typer.Option(help="Trainings at once.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="A new limit for the model's calls.")] = None,
    ensemble: Annotated[
        int | None, typer.Option(help="Train also on so many of the best programs joined; of a finished run too.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of budget, llm, jobs, limits or executor; the others are fixed.",
        ),
    ] = None,
    executor: Annotated[str | None, typer.Option(help=EXECUTOR_HELP)] = None,
    trust_endpoint: Annotated[bool, typer.Option("--trust-endpoint", help=TRUST_HELP)] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> None:
    """Go on with RUN from where it stands; what is done stays, what the machine broke off is tried again."""
    from rewardsmith.cli.design import carry_on, given
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.search import setup
    from rewardsmith.search.storage import Run
    from rewardsmith.spec import config as configuration

    sets = configuration.from_sets(set_ or ())
    fixed = [name for name in sets if name not in CHANGEABLE]
    if fixed:
        allowed = f"only {', '.join(CHANGEABLE[:-1])} and {CHANGEABLE[-1]} may change"
        raise ConfigError(f"--set {fixed[0]}…: a run keeps its settings; {allowed}")
    overrides = given({"jobs": jobs, "budget": {"cost_usd": budget_usd}, "search": {"ensemble": ensemble}})
    configuration.refuse_contradictions(overrides, sets)
    opened = Run.open(run, overrides, executor_layer(executor), sets)
    setup.trust_endpoints(opened, None if trust_endpoint else sets)
    carry_on(opened, json_)
