"""The command `rewardsmith`: its verbs, and what a failure looks like.

Exit codes: 0 done, 1 failed, 2 the user can mend it, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from rewardsmith.cli import (
    baseline,
    bench,
    check,
    compare,
    design,
    doctor,
    envs,
    export,
    library,
    presets,
    refine,
    report,
    resume,
    show,
    studio,
    sweep,
    train,
    video,
)
from rewardsmith.cli.console import complain
from rewardsmith.contract.errors import RewardsmithError, UserError

app = typer.Typer(
    name="rewardsmith",
    help="Tell it in a sentence what a simulated agent should do; it writes, trains and measures the reward.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command(short_help="Search for a reward program that does what a sentence says.")(design.design)
app.command(short_help="Go on with a run from where it stands.")(resume.resume)
app.command(short_help="Say what a run should change, and run its next generation.")(refine.refine)
app.command(short_help="Look at runs, compare films and steer searches in a browser.")(studio.studio)
app.command(short_help="Show the runs, one run's candidates, or one candidate.")(show.show)
app.command(short_help="Write a run or a sweep as one HTML file.")(report.report)
app.command(short_help="Set reward programs or runs side by side.")(compare.compare)
app.command(short_help="Film an episode as its evaluation ran it.")(video.video)
app.command(short_help="Write a program as a Gymnasium wrapper of its own.")(export.export)
app.command(short_help="Judge a reward file as the critic judges a candidate.")(check.check)
app.command(short_help="Measure what a reward file is worth, without a search.")(train.train)
app.command(short_help="Measure random actions and the environment's own reward.")(baseline.baseline)
app.add_typer(envs.app)
app.add_typer(sweep.app)
app.command(short_help="Say what works on this machine.")(doctor.doctor)
app.add_typer(presets.app, name="presets")
app.add_typer(library.app, name="library")
app.command(short_help="Measure training here against stable-baselines3.")(bench.bench)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"rewardsmith {version('rewardsmith')}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Options of every verb."""


def run() -> None:
    """Run the command; the one place where every error becomes a line and an exit code."""
    try:
        app()
    except UserError as error:
        complain(str(error))
        sys.exit(2)
    except RewardsmithError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        complain(f"{error.filename or 'the system'}: {error.strerror or error}")
        sys.exit(1)
