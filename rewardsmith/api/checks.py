"""The critic's verdict on a reward file, without a search: on transitions that are recorded for it."""

from __future__ import annotations

from pathlib import Path

from rewardsmith.api.planning import plan_probe
from rewardsmith.api.searches import open_journal
from rewardsmith.contract.records import Probe, Verdict
from rewardsmith.contract.reward_files import read_source
from rewardsmith.search import setup
from rewardsmith.search.callbacks import NullCallback
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.steps import critic
from rewardsmith.search.storage import Run
from rewardsmith.spec.config import Layer
from rewardsmith.spec.env_options import NO_ENV_OPTIONS, EnvOptions


def check_reward(
    file: Path, env: str, folder: Path, overrides: Layer | None = None, env_options: EnvOptions = NO_ENV_OPTIONS
) -> Verdict:
    """Check a reward file as the critic checks a candidate.

    Args:
        file: the reward program.
        env: a task's name or a Gymnasium id.
        folder: for the recorded transitions.
        overrides: configuration over the defaults.
        env_options: of the environment.

    Raises:
        UserError: if the file cannot be read or the environment is unknown.
        RunFailed: if the machinery fails.
    """
    source = read_source(file)
    run, probe = record_transitions(f"check {file.name}", env, folder, overrides, env_options)
    return critic.check_program_of_run(run, probe, source)


def record_transitions(
    heading: str, env: str, folder: Path, overrides: Layer | None = None, env_options: EnvOptions = NO_ENV_OPTIONS
) -> tuple[Run, Probe]:
    """Record transitions of an environment under random actions; see `check_reward` for what it takes and raises.

    Returns:
        A run in the folder, with its recorded transitions, and what was found out about the environment.
    """
    plan = plan_probe(heading, env, overrides, env_options)
    run = Run.create(folder / "run", plan.task, plan.config)
    with open_journal(run) as journal, setup.open_run_executor(run, NullCallback().on_notice) as executor:
        return run, probe_environment(run, journal, executor)
