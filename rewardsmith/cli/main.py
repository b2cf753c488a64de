"""The command `rewardsmith`: its verbs, its global options, and its exit codes.

Exit codes: 0 done, 1 failed, 2 an error that the user can correct, 130 interrupted.
"""

from __future__ import annotations

import re
import sys
from typing import Annotated, Any

import typer

from rewardsmith.cli import (
    ablate,
    baseline,
    check,
    compare,
    console,
    demo,
    design,
    doctor,
    envs,
    export,
    fit,
    library,
    mcp,
    play,
    presets,
    push,
    record,
    refine,
    report,
    resume,
    show,
    skill,
    studio,
    sweep,
    train,
    video,
)
from rewardsmith.cli.console import print_error
from rewardsmith.cli.streams import prepare_streams
from rewardsmith.contract.errors import RewardsmithError, UserError

UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""Raised by typer where the words of a command are wrong."""
_VALIDATOR_WORDS = re.compile(r"Input should be ([^,]*)(?:, unable to .*)?$")

app = typer.Typer(
    name="rewardsmith",
    help="Describe in a sentence what a simulated agent should do; rewardsmith writes, trains and measures the reward.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(short_help="Teach a robot a back flip in minutes, without a key.")(demo.demo)
app.command(short_help="Search for a reward program that does what a sentence says.")(design.design)
app.command(short_help="Resume a run; finished work is reused.")(resume.resume)
app.command(short_help="Give feedback on a run, and run its next generation.")(refine.refine)
app.command(short_help="Look at runs, compare videos and steer searches in a browser.")(studio.studio)
app.command(short_help="Show the runs, one run's candidates, or one candidate.")(show.show)
app.command(short_help="Write a run or a sweep as one HTML file.")(report.report)
app.command(short_help="Compare reward programs or runs.")(compare.compare)
app.command(short_help="Measure what each term of the best program earns.")(ablate.ablate)
app.command(short_help="Fit a program's weights to demonstrations.")(fit.fit)
app.command(short_help="Render a video of a recorded episode.")(video.video)
app.command(short_help="Show a trained policy in a window.")(play.play)
app.command(short_help="Record episodes as demonstrations.")(record.record)
app.command(short_help="Export a program as a Gymnasium wrapper, or its policy (ONNX ...).")(export.export)
app.command(short_help="Push the best program to the Hugging Face Hub.")(push.push)
app.command(short_help="Check a reward file as the critic checks a candidate.")(check.check)
app.command(short_help="Train on a reward file and measure it, without a search.")(train.train)
app.command(short_help="Measure random actions and the environment reward.")(baseline.baseline)
app.add_typer(envs.app)
app.add_typer(sweep.app)
app.command(short_help="Serve coding agents (MCP): they design and train rewards.")(mcp.mcp)
app.add_typer(skill.app)
app.command(short_help="Check this machine.")(doctor.doctor)
app.add_typer(presets.app)
app.add_typer(library.app, name="library")


def list_short_helps() -> dict[str, str]:
    """Return the line about each verb in the list of verbs."""
    helps = {command.callback.__name__: command.short_help for command in app.registered_commands if command.callback}
    helps |= {
        str(group.name or group.typer_instance.info.name): (
            group.typer_instance.info.short_help or group.typer_instance.info.help
        )
        for group in app.registered_groups
        if group.typer_instance
    }
    return {name: str(line or "") for name, line in helps.items()}


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"rewardsmith {version('rewardsmith')}")
        raise typer.Exit


@app.callback()
def set_global_options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Write more to the run's log.txt.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors, but no progress.")] = False,
) -> None:
    """Apply the options of every verb."""
    console.verbosity.quiet = quiet
    if verbose:
        from rewardsmith.api import logs

        logs.configure("DEBUG")


def _print_usage_error(error: Any) -> None:
    """Print what is wrong with the words of a command in one line; the list of verbs where a verb is missing."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    message = _VALIDATOR_WORDS.sub(r"must be \1", " ".join(error.format_message().split())).rstrip(".")
    command = error.ctx.command_path if error.ctx else app.info.name
    print_error(f"{message[:1].lower()}{message[1:]} (`{command} --help` says what is allowed)")


def run() -> None:
    """Run the command; every error becomes a line and an exit code here."""
    prepare_streams()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UsageError as error:
        _print_usage_error(error)
        sys.exit(2)
    except typer.Abort:
        print_error("aborted")
        sys.exit(1)
    except UserError as error:
        print_error(str(error))
        sys.exit(2)
    except RewardsmithError as error:
        print_error(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        print_error("interrupted")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        print_error(f"{error.filename or 'the system'}: {error.strerror or error}")
        sys.exit(1)
