"""Subgoals that a language model writes before a search, for the commands and the Python calls."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.storage import Run
from rewardsmith.spec.subgoals import list_open_signals

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor
    from rewardsmith.llm import ModelConnection


def settle_signals(
    run: Run,
    callback: SearchCallback,
    executor: Executor | None = None,
    coding_agent: ModelConnection | None = None,
) -> None:
    """Have the subgoals of a run's learned signals written, where they are still open.

    Args:
        run: the run.
        callback: receives notices.
        executor: where random actions are recorded; None records them as the configuration says.
        coding_agent: the agent that writes the programs, where the run's designer is one.

    Raises:
        UserError: if something is wrong that the user can correct.
        RunFailed: if the machinery or the model fails.
    """
    if not list_open_signals(run.task.env):
        return
    from rewardsmith.search import subgoal_proposal

    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    with (
        closing(run.open_journal()) as journal,
        setup.open_models(run, callback, coding_agent) as models,
        setup.open_run_executor(run, callback.on_notice, executor) as opened,
    ):
        subgoal_proposal.settle_subgoals(run, journal, opened, models, callback.on_notice)
