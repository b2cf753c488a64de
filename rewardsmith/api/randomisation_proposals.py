"""Domain randomisation proposed from a run's policy, for the command."""

from __future__ import annotations

from dataclasses import replace

from rewardsmith.api.exports import BEST, find_candidate
from rewardsmith.api.searches import open_journal
from rewardsmith.contract.errors import ConfigError, ModelRefused
from rewardsmith.contract.records.randomisation import RandomisationPrior, RandomisationProposal
from rewardsmith.contract.robots import is_robot
from rewardsmith.executors.base import Executor
from rewardsmith.report.export.trained_policy import TrainedPolicy
from rewardsmith.report.video import ENVIRONMENT_REWARD, FINAL_OWNER
from rewardsmith.search import randomisation_proposal as proposals
from rewardsmith.search import setup, trusted_runs
from rewardsmith.search.callbacks import NullCallback, SearchCallback
from rewardsmith.search.probe import probe_environment
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal_keys import randomisation_key

Outcome = tuple[RandomisationPrior, RandomisationProposal | None]


def check_robot(run: Run) -> None:
    """Make sure that a run's environment is a robot, whose card has randomisation.

    Raises:
        ConfigError: if it is not.
    """
    if not is_robot(run.task.env):
        raise ConfigError(
            f"{run.task.env.env_id} is no robot from a model file, and only those have [randomisation] in their cards;"
            " docs/robots.md says how to make one"
        )


def propose_randomisation(
    run: Run, policy: TrainedPolicy, callback: SearchCallback | None = None, executor: Executor | None = None
) -> Outcome:
    """Measure what a policy of a robot's run withstands, and have the run's designer choose ranges within.

    Both are steps of the run's journal: they are measured and asked once for each policy.

    Args:
        run: the run.
        policy: of the run.
        callback: receives notices.
        executor: where episodes run; None runs them as the configuration says.

    Returns:
        What was measured, and what the model chose; None where the run's designer is no language model.

    Raises:
        ConfigError: if the environment is no robot.
        RunError: if the policy is no better than random actions.
        UserError: if something else is wrong that the user can correct.
        RunFailed: if the machinery or the model fails.
    """
    check_robot(run)
    trusted_runs.check_trusted(run, executor_is_given=executor is not None)
    callback = callback or NullCallback()
    job, out = replace(policy.job, policy=str(policy.folder)), run.path / proposals.ROLE / policy.owner
    with open_journal(run) as journal, setup.open_run_executor(run, callback.on_notice, executor) as running:
        probe = probe_environment(run, journal, running)

        def measure() -> RandomisationPrior:
            callback.on_notice(f"measuring what the policy of {policy.owner!r} withstands: up to 32 short evaluations")
            return proposals.measure_prior(job, policy.owner, running, probe, out)

        prior = journal.once(randomisation_key(policy.owner, "prior"), RandomisationPrior, measure)
        if run.config.search.designer != "llm":
            return prior, None

        def propose() -> RandomisationProposal:
            with setup.open_models(run, callback) as models:
                assert models is not None  # the designer is one of the roles
                model = models.for_role("designer")
                return proposals.propose_ranges(run.task, probe, _find_program(run, policy.owner), prior, model)

        try:
            key = randomisation_key(policy.owner, "ranges")
            return prior, journal.once(key, RandomisationProposal, propose)
        except ModelRefused as error:
            raise ModelRefused(f"{error}; what was measured is kept, and the same command asks again") from error


def _find_program(run: Run, owner: str) -> str:
    """Return the text of the program that trained an owner's policy; "" for the environment's own reward."""
    if owner == ENVIRONMENT_REWARD:
        return ""
    return find_candidate(run, BEST if owner == FINAL_OWNER else owner).program.source
