"""`rewardsmith refine`: look at a run, give feedback, and run the next generation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_error
from rewardsmith.cli.options import RunArgument, TrustOption, TrustRunOption
from rewardsmith.cli.runs import confirm_run, open_run, run_search

if TYPE_CHECKING:
    from rewardsmith.cli.refine_commands import RefineSession

PROMPT = "refine> "
QUIT_WORDS = ("quit", "exit", "q")

FeedbackOption = Annotated[
    list[str] | None, typer.Option(help="Feedback in words; may be given several times.", metavar="TEXT")
]
PreferOption = Annotated[
    list[str] | None,
    typer.Option(help="The first is better than the second: g0c0:g0c1, or 'g0c0:g0c1 because …'.", metavar="A:B"),
]
PinOption = Annotated[list[str] | None, typer.Option(help="Every program must have this term.", metavar="TERM")]
BanOption = Annotated[list[str] | None, typer.Option(help="No program may have this term.", metavar="TERM")]
WeighOption = Annotated[
    list[str] | None,
    typer.Option(help="Try a program with other weights: 'g0c0 speed=2'.", metavar="ID TERM=NUMBER"),
]


def refine(
    run: RunArgument,
    feedback: FeedbackOption = None,
    prefer: PreferOption = None,
    pin: PinOption = None,
    ban: BanOption = None,
    weigh: WeighOption = None,
    by: Annotated[str, typer.Option(help="Your name, if several people rate.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Run the next generation without asking.")] = False,
    trust_endpoint: TrustOption = False,
    trust: TrustRunOption = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the generation as JSON lines, for programs.")] = False,
) -> None:
    """Show RUN, record your feedback, and run the next generation with it.

    With options, the feedback is recorded without questions, and --yes runs the generation. Without options, commands
    are read line by line.
    """
    from rewardsmith.api.searches import request_generation
    from rewardsmith.cli.refine_commands import HELP, RefineSession, print_overview
    from rewardsmith.report.tables import make_console
    from rewardsmith.search import setup

    opened, console = open_run(run), make_console(sys.stderr if json_ else sys.stdout)
    if trust_endpoint:
        setup.trust_endpoints(opened)

    # Options are the same as lines of the conversation.
    options = {"say": feedback, "prefer": prefer, "pin": pin, "ban": ban, "weigh": weigh}
    lines = [f"{command} {text}" for command, texts in options.items() for text in texts or ()]
    session = RefineSession(opened, console, by, _read_line)
    if lines or yes:
        for line in lines:
            session.handle_line(line)
        should_run = yes
    else:
        print_overview(opened, console)
        console.print(f"\n{HELP}\n", markup=False, soft_wrap=True)
        should_run = read_commands(session)

    if should_run:
        confirm_run(opened, trust)
        request_generation(opened, by=by)
        run_search(opened, json_)
        return
    for notice in opened.take_notices():
        session.print_line(notice)
    session.print_line(f"feedback saved; `rewardsmith refine {run} --yes` runs the next generation")


def read_commands(session: RefineSession) -> bool:
    """Handle lines until the user is done; return whether the next generation should run."""
    from rewardsmith.contract.errors import RunFailed, UserError

    while (line := _read_line(PROMPT)) is not None and line.strip() not in QUIT_WORDS:
        try:
            if session.handle_line(line):
                return True
        except (UserError, RunFailed) as error:
            print_error(str(error))
    return False


def _read_line(question: str) -> str | None:
    """Ask on a terminal, or read the next line of a pipe; None at its end."""
    if sys.stdin.isatty():
        try:
            return input(question)
        except EOFError:
            return None
    line = sys.stdin.readline()
    return line.rstrip("\n") if line else None
