"""Fitness by proposal (`--fitness auto`), for the commands and the Python calls."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from rewardsmith.api import signal_proposals
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records.fitness import AUTO_FITNESS, FitnessProposal
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.callbacks import NullCallback, SearchCallback
from rewardsmith.search.storage import Run

if TYPE_CHECKING:
    from rewardsmith.executors.base import Executor
    from rewardsmith.search.fitness_proposal import AcceptFitness


def settle_fitness(
    run: Run,
    accept: AcceptFitness | None,
    callback: SearchCallback | None = None,
    executor: Executor | None = None,
) -> FitnessProposal | None:
    """Have the fitness of a run proposed and accepted, if it has none yet; a run that has one returns None.

    Args:
        run: the run.
        accept: asks the user; None: there is nobody to ask, which is said before the model is paid.
        callback: receives notices.
        executor: where episodes run; None runs them as the configuration says.

    Raises:
        ConfigError: if nobody can be asked, or the proposal was not accepted.
        FitnessError: if the model finds that no expression can say what is wanted.
        UserError: if something else is wrong that the user can correct.
        RunFailed: if the machinery or the model fails.
    """
    if run.task.fitness != AUTO_FITNESS:
        return None
    if accept is None:
        raise build_unanswered_error()
    from rewardsmith.search import fitness_proposal

    callback = callback or NullCallback()
    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    signal_proposals.settle_signals(run, callback, executor)
    with (
        closing(run.open_journal()) as journal,
        setup.open_models(run, callback) as models,
        setup.open_run_executor(run, callback.on_notice, executor) as opened,
    ):
        assert models is not None  # a plan with another designer is refused
        model = models.for_role("designer")
        return fitness_proposal.settle_fitness(run, journal, opened, model, accept)


def build_unanswered_error() -> ConfigError:
    """Return the error of a run whose fitness nobody has accepted yet, and nobody can be asked."""
    return ConfigError(
        "--fitness auto shows a proposal and asks for a yes, and there is no terminal to ask at: say --yes to take it"
        " as it is, or start it at a terminal; no model was asked"
    )
