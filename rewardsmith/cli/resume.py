"""`rewardsmith resume`: continue a search that was killed or stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from rewardsmith.cli.options import (
    ExecutorOption,
    JsonLinesOption,
    RunArgument,
    TrustOption,
    TrustRunOption,
    YesOption,
    drop_unset,
    parse_executor,
)
from rewardsmith.cli.runs import confirm_run, run_search

CHANGEABLE_SECTIONS = ("budget", "llm", "jobs", "limits", "executor")
"""Sections of the settings that change no result: budgets, the model's endpoint, and the machine's limits."""


def resume(
    run: RunArgument,
    jobs: Annotated[int | None, typer.Option(help="Trainings at the same time.")] = None,
    budget_usd: Annotated[float | None, typer.Option(help="A new limit for the cost of the model calls.")] = None,
    ensemble: Annotated[
        int | None, typer.Option(help="Also train an ensemble of the best N programs; also of a finished run.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of budget, llm, jobs, limits or executor; the others are fixed.",
        ),
    ] = None,
    executor: ExecutorOption = None,
    trust_endpoint: TrustOption = False,
    trust: TrustRunOption = False,
    yes: YesOption = False,
    json_: JsonLinesOption = False,
) -> None:
    """Resume RUN; finished work is reused, crashed jobs are retried."""
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.search import setup
    from rewardsmith.search.storage import Run
    from rewardsmith.spec import config_layers

    sets = config_layers.parse_assignments(set_ or ())
    fixed = [section for section in sets if section not in CHANGEABLE_SECTIONS]
    if fixed:
        allowed = f"only {', '.join(CHANGEABLE_SECTIONS[:-1])} and {CHANGEABLE_SECTIONS[-1]} may change"
        raise ConfigError(f"--set {fixed[0]}…: a run keeps its settings; {allowed}")
    overrides = drop_unset({"jobs": jobs, "budget": {"cost_usd": budget_usd}, "search": {"ensemble": ensemble}})
    config_layers.refuse_contradictions(overrides, sets)
    opened = Run.open(run, overrides, parse_executor(executor), sets)
    setup.trust_endpoints(opened, None if trust_endpoint else sets)
    confirm_run(opened, trust)
    run_search(opened, json_, yes)
