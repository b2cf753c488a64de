"""`rewardsmith refine`: look at a run, say what to change, and run the next generation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import complain
from rewardsmith.cli.options import TRUST_HELP

if TYPE_CHECKING:
    from rewardsmith.cli.refine_commands import Talk
    from rewardsmith.search.storage import Run

PROMPT = "refine> "


def refine(
    run: Annotated[Path, typer.Argument(help="The run directory.")],
    feedback: Annotated[
        list[str] | None, typer.Option(help="Say this in words; may be given several times.", metavar="TEXT")
    ] = None,
    prefer: Annotated[
        list[str] | None,
        typer.Option(help="The first is better than the second: g0c0:g0c1, or 'g0c0:g0c1 because …'.", metavar="A:B"),
    ] = None,
    pin: Annotated[list[str] | None, typer.Option(help="Every program keeps this term.", metavar="TERM")] = None,
    ban: Annotated[list[str] | None, typer.Option(help="No program may have this term.", metavar="TERM")] = None,
    weigh: Annotated[
        list[str] | None,
        typer.Option(help="Try a program with other weights: 'g0c0 speed=2'.", metavar="ID TERM=NUMBER"),
    ] = None,
    by: Annotated[str, typer.Option(help="Your name, where several people rate.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Run the next generation without asking.")] = False,
    trust_endpoint: Annotated[bool, typer.Option("--trust-endpoint", help=TRUST_HELP)] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the generation as JSON lines, for programs.")] = False,
) -> None:
    """Show what RUN found, take what you say about it, and run the next generation with it.

    With options it takes them and asks nothing; --yes then runs the generation. Without, it asks, line by line.
    """
    from rewardsmith.cli.refine_commands import HELP, Talk, overview
    from rewardsmith.report.tables import console_on
    from rewardsmith.search import setup
    from rewardsmith.search.storage import Run

    opened, console = Run.open(run), console_on(sys.stderr if json_ else sys.stdout)
    if trust_endpoint:
        setup.trust_endpoints(opened)
    given = {"say": feedback, "prefer": prefer, "pin": pin, "ban": ban, "weigh": weigh}
    lines = [f"{word} {text}" for word, texts in given.items() for text in texts or ()]
    talk = Talk(opened, console, by, _answer)
    if lines or yes:
        for line in lines:
            talk.take(line)
        wanted = yes
    else:
        overview(opened, console)
        console.print(f"\n{HELP}\n", markup=False, soft_wrap=True)
        wanted = converse(talk)
    if wanted:
        go_on(opened, by, json_)
    else:
        talk.print(f"kept; `rewardsmith refine {run} --yes` runs the next generation")


def converse(talk: Talk) -> bool:
    """Take lines until the user is done; return whether the next generation should run."""
    from rewardsmith.contract.errors import RunFailed, UserError

    while (line := _answer(PROMPT)) is not None and line.strip() not in ("quit", "exit", "q"):
        try:
            if talk.take(line):
                return True
        except (UserError, RunFailed) as error:
            complain(str(error))
    return False


def go_on(run: Run, by: str, json_: bool) -> None:
    """Run the next generation with a view of it, and show the result."""
    from rewardsmith.cli.design import carry_on
    from rewardsmith.search import feedback, setup

    setup.check_endpoints(run)
    feedback.more(run, by=by)
    carry_on(run, json_)


def _answer(question: str) -> str | None:
    """Ask on a terminal, or take the next line of a pipe; None at its end."""
    if sys.stdin.isatty():
        try:
            return input(question)
        except EOFError:
            return None
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None
