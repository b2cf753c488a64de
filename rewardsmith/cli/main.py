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
from rewardsmith.cli.output import complain
from rewardsmith.errors import RewardsmithError, UserError

app = typer.Typer(
    name="rewardsmith",
    help="Tell it in a sentence what a simulated agent should do; it writes, trains and measures the reward.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command()(design.design)
app.command()(resume.resume)
app.command()(refine.refine)
app.command()(studio.studio)
app.command()(show.show)
app.command()(report.report)
app.command()(compare.compare)
app.command()(video.video)
app.command()(export.export)
app.command()(check.check)
app.command()(train.train)
app.command()(baseline.baseline)
app.add_typer(envs.app)
app.add_typer(sweep.app)
app.command()(doctor.doctor)
app.add_typer(presets.app, name="presets")
app.add_typer(library.app, name="library")
app.command()(bench.bench)


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    """Options of every verb."""
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"rewardsmith {installed('rewardsmith')}")
        raise typer.Exit


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
