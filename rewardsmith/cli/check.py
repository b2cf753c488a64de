"""`rewardsmith check`: the critic's verdict on a reward file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line
from rewardsmith.cli.options import EnvKwargsOption, EnvOption, JsonOption, PassEnvOption, SandboxOption, SignalOption
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.contract.records import Verdict


def check(
    file: Annotated[Path, typer.Argument(help="A reward program.")],
    env: EnvOption,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    signal: SignalOption = None,
    sandbox: SandboxOption = None,
    json_: JsonOption = False,
) -> None:
    """Check FILE: statically, then on transitions of the real environment, in the sandbox."""
    from rewardsmith.api import checks
    from rewardsmith.contract import records
    from rewardsmith.spec.env_options import read_env_options

    overrides = {"sandbox": {"backend": sandbox}} if sandbox else {}
    with tempfile.TemporaryDirectory() as folder:
        options = read_env_options(env_kwargs, pass_env or (), signals=signal or ())
        verdict = checks.check_reward(file, env, Path(folder), overrides, options)
    if json_:
        print_json(records.dump(verdict))
    else:
        _print_verdict(file, verdict)
    if not verdict.accepted:
        raise typer.Exit(1)


def _print_verdict(file: Path, verdict: Verdict) -> None:
    for finding in verdict.findings:
        line = f":{finding.line}" if finding.line else ""
        print_line(f"{file}{line}: {finding.severity}: {finding.message} [{finding.code}]")

    scoring = verdict.trial_scoring
    if scoring:
        for term in scoring.terms:
            weight = format_number(term.weight)
            spread = f"{format_number(term.mean)} ± {format_number(term.std)}"
            bounds = f"[{format_number(term.min)}, {format_number(term.max)}]"
            print_line(f"{term.name:<24} weight {weight:<8} {spread} in {bounds}, {term.share:.0%} of the total")
        transitions = pluralize(scoring.transitions, "transition")
        print_line(f"{transitions}, {scoring.us_per_transition:.2f} µs each")
    print_line("accepted" if verdict.accepted else "refused")
