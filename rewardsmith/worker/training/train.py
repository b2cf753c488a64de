"""The training job of a worker: trains a policy on a reward program, with the learner that the settings name."""

from __future__ import annotations

import time
from pathlib import Path

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Training, TrainJob
from rewardsmith.worker.envs.env_faults import describe_faults
from rewardsmith.worker.training import policy
from rewardsmith.worker.training.learner import Learner
from rewardsmith.worker.training.off_policy import OffPolicyLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback, TrainingCallback

LEARNERS: dict[str, type[Learner]] = {"sac": OffPolicyLearner, "td3": OffPolicyLearner}
"""Learner by the trainer's name; every other trainer has PPO's, `Learner`."""


def run(job: TrainJob, out: Path, callback: TrainingCallback | None = None) -> Training:
    """Train a policy and save it into `out`, unless the program fails.

    Args:
        job: what to train, on what, for how long.
        out: an existing folder.
        callback: receives the reports.

    Raises:
        UserError: if the environment, a signal or the fitness expression does not exist.
        ProgramError: if the text is not a reward program.
        SandboxUnavailable: if programs cannot be sealed on this machine.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    learner = LEARNERS.get(job.settings.trainer, Learner)(job, callback or NullTrainingCallback())
    try:
        status, cause = learner.run(), None
    except RewardFailed as error:
        # A signal that was no number may be why.
        status, cause = "failed", "; ".join([format_failure(error), *describe_faults(learner.env.faults)])
    finally:
        learner.close()
    if status in ("ok", "pruned"):
        policy.save(learner.kept_policy(), out)
        cause = learner.stop_reason or learner.warning()
    return Training(
        status=status,
        seed=job.seed,
        env_steps=learner.num_timesteps,
        curve=tuple(learner.curve),
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        reward_s=learner.reward_source.waited_s,
        cause=cause or learner.stop_reason,
        layers=learner.reward_source.layers,
        kept_env_steps=learner.kept_env_steps,
        inherited_from=learner.inherited_from,
    )


def format_failure(error: RewardFailed) -> str:
    """Return a failure as the program's author reads it."""
    return f"line {error.line}: {error}" if error.line else str(error)
