"""`rewardsmith check`: the critic's judgement of a reward file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from rewardsmith.cli.console import say, say_json
from rewardsmith.contract.text import counted


def check(
    file: Annotated[Path, typer.Argument(help="A reward program.")],
    env: Annotated[str, typer.Option(help="A Gymnasium id, or the name of a task.")],
    sandbox: Annotated[str | None, typer.Option(help="Where it runs: local, docker, auto.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Check FILE: statically, then on transitions of the real environment, in the sandbox."""
    from rewardsmith.api import searches
    from rewardsmith.contract import records
    from rewardsmith.report.text import figure

    overrides = {"sandbox": {"backend": sandbox}} if sandbox else {}
    with tempfile.TemporaryDirectory() as folder:
        verdict = searches.check(file, env, Path(folder), overrides)
    if json_:
        say_json(records.dump(verdict))
    else:
        for finding in verdict.findings:
            line = f":{finding.line}" if finding.line else ""
            say(f"{file}{line}: {finding.severity}: {finding.message} [{finding.code}]")
        if verdict.dry_run:
            for term in verdict.dry_run.terms:
                spread = f"{figure(term.mean)} ± {figure(term.std)} in [{figure(term.min)}, {figure(term.max)}]"
                say(f"{term.name:<24} weight {figure(term.weight):<8} {spread}, {term.share:.0%} of the total")
            ran = verdict.dry_run
            say(f"{counted(ran.transitions, 'transition')}, {ran.us_per_transition:.2f} µs each")
        say("accepted" if verdict.accepted else "refused")
    if not verdict.accepted:
        raise typer.Exit(1)
