"""`rewardsmith record`: episodes of a policy, or of a function of the user's, as demonstrations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rewardsmith.cli.console import print_json, print_line
from rewardsmith.cli.options import (
    EnvKwargsOption,
    FitnessOption,
    JsonOption,
    OptionalEnvOption,
    PassEnvOption,
    TrustRunOption,
    complete_run,
)
from rewardsmith.cli.runs import choose_default_owner, confirm_run, open_run
from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.api.demonstrations import Recording


def record(
    out: Annotated[Path, typer.Argument(help="The file to write, such as demo.npz.", metavar="FILE")],
    run: Annotated[
        Path | None, typer.Option(help="A run directory, whose policy acts.", autocompletion=complete_run)
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Option(help="A candidate's id, or final, environment-reward. [default: the best program, retrained]"),
    ] = None,
    env: OptionalEnvOption = None,
    act: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION", help="A function of yours that takes one observation and returns one action."
        ),
    ] = None,
    env_kwargs: EnvKwargsOption = None,
    pass_env: PassEnvOption = None,
    fitness: FitnessOption = None,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes to run.")] = 5,
    min_fitness: Annotated[float, typer.Option(help="Leave out episodes with a lower fitness.")] = -math.inf,
    trust: TrustRunOption = False,
    json_: JsonOption = False,
) -> None:
    """Record episodes into FILE: of a run's policy (--run), or of a function of yours (--env, --act)."""
    from rewardsmith.api import demonstrations
    from rewardsmith.api.planning import plan_without_search
    from rewardsmith.contract import records
    from rewardsmith.contract.errors import ConfigError
    from rewardsmith.spec.env_options import read_env_options

    if (run is None) == (act is None) or (act is None) != (env is None):
        raise ConfigError("say who acts: --run RUN for a run's policy, or --env ENV --act MODULE:FUNCTION")
    if run is not None:
        opened = open_run(run)
        confirm_run(opened, trust, executor_is_given=True)
        owner = candidate or choose_default_owner(opened)
        recording = demonstrations.record_policy(opened, owner, episodes, out, min_fitness)
    else:
        assert env is not None and act is not None  # checked above
        options = read_env_options(env_kwargs, pass_env or ())
        symbolic = {"search": {"designer": "symbolic"}}
        task = plan_without_search("record", env, fitness, overrides=symbolic, env_options=options).task
        recording = demonstrations.record_actor(task, act, episodes, out, min_fitness)

    if json_:
        print_json({"file": str(out), **records.dump(recording)})
    else:
        _print_recording(recording, out)


def _print_recording(recording: Recording, out: Path) -> None:
    """Print a line for each episode that was kept, and one about the file."""
    for number, episode in enumerate(recording.kept):
        length = pluralize(episode.length, "step")
        print_line(f"episode {number}: fitness {format_number(episode.fitness)}, {length}")
    dropped = f"; {len(recording.left_out)} with a lower fitness left out" if recording.left_out else ""
    print_line(f"{out}: {pluralize(len(recording.kept), 'episode')}{dropped}")
