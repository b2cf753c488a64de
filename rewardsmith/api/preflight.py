"""What would end a search before it begins, found without beginning it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract.errors import FitnessError
from rewardsmith.contract.reward_program import load_reward
from rewardsmith.search.probe import check_measures
from rewardsmith.search.storage.run import check_free

if TYPE_CHECKING:
    from rewardsmith.spec.config import Config
    from rewardsmith.spec.task_cards import Task


def rehearse(task: Task, config: Config, out: Path | None = None, seed_reward: Path | None = None) -> None:
    """Raise what a search would raise before its first call or training: nothing is asked, trained or written.

    The environment is made, in a worker of its own, only where the card does not name what the fitness reads.

    Args:
        task: what would be searched for.
        config: how.
        out: the run directory; None: one that is made for it.
        seed_reward: a program of the user's.

    Raises:
        ProgramError: if the user's program cannot be read or is none.
        RunError: if there is something in the run directory.
        ConfigError: if the language model's name, key or price is missing.
        TaskError: if the environment cannot be made.
        FitnessError: if the fitness or a figure names what it does not have.
    """
    if seed_reward is not None:
        load_reward(seed_reward)
    if out is not None:
        check_free(out)
    if config.roles:
        from rewardsmith import llm

        with tempfile.TemporaryDirectory() as folder:
            llm.build(config.llm, config.budget, Path(folder) / "llm.jsonl", roles=config.roles).close()
    try:
        check_measures(task, task.env.signals, task.env.measures)
    except FitnessError:
        from rewardsmith.executors.probe import survey

        probe = survey(task.env)
        check_measures(task, probe.signals, probe.measures)
