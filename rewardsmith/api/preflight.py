"""Preflight check: the errors that would end a search before its first call or training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.observation import check_observation
from rewardsmith.contract.records.fitness import AUTO_FITNESS
from rewardsmith.contract.reward_files import load_reward
from rewardsmith.search.probe import check_task_signals, check_trainer
from rewardsmith.search.storage.run import check_is_free
from rewardsmith.spec.labelling import list_roles
from rewardsmith.spec.subgoals import drop_open_signals, list_open_signals
from rewardsmith.spec.task_cards import is_made_as_shipped

if TYPE_CHECKING:
    from pathlib import Path

    from rewardsmith.spec.config import Config
    from rewardsmith.spec.task_cards import Task


def preflight_check(
    task: Task, config: Config, out: Path | None = None, seed_reward: Path | None = None
) -> tuple[str, ...]:
    """Raise whatever would end a search before its first call or training; nothing is asked, trained or written.

    The environment is made, in a worker, unless it is that of a card which ships, and this card names the signals that
    the fitness reads. Then what a user should know about it is returned.

    Args:
        task: the task of the search.
        config: its configuration.
        out: the run directory; None for a new one.
        seed_reward: the user's own program.

    Raises:
        ProgramError: if the user's program cannot be read or is not valid.
        RunError: if the run directory is not empty.
        ConfigError: if the language model's name, key or price is missing.
        TaskError: if the environment cannot be made.
        FitnessError: if the fitness or a metric names a signal that it does not have.
    """
    if seed_reward is not None:
        load_reward(seed_reward)
    if out is not None:
        check_is_free(out)
    roles = list_roles(config, task.env)
    if roles:
        from rewardsmith import llm

        llm.check_models(config.llm, config.budget, roles)
    try:
        listed = (*task.env.signals, *task.env.list_learned())
        check_task_signals(task, listed, task.env.privileged_signals)
        is_open = task.fitness == AUTO_FITNESS
        observes_signals = config.training.observation != "environment"
        is_tried = bool(task.env.signals) and is_made_as_shipped(task.env)
        needs_probe = not is_tried or is_open or observes_signals
    except FitnessError:
        needs_probe = True
    if not needs_probe:
        return ()
    from rewardsmith.executors.probe import run_probe

    probe = run_probe(drop_open_signals(task.env))
    signals = (*probe.signals, *(signal.describe_signal() for signal in list_open_signals(task.env)))
    check_task_signals(task, signals, probe.privileged_signals)
    check_trainer(config.training.trainer, probe)
    check_observation(config.training, signals, probe.privileged_signals)
    return probe.remarks
