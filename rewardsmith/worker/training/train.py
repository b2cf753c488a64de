"""Trains a policy on a reward program: the job of a worker, with the learner that the settings name."""

from __future__ import annotations

import time
from pathlib import Path

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Training, TrainJob
from rewardsmith.worker.training import policy
from rewardsmith.worker.training.learner import Control, Learner, Unattended
from rewardsmith.worker.training.off_policy import OffPolicyLearner

LEARNERS: dict[str, type[Learner]] = {"sac": OffPolicyLearner, "td3": OffPolicyLearner}
"""By the trainer's name; PPO's for every other."""


def run(job: TrainJob, out: Path, control: Control | None = None) -> Training:
    """Train a policy and save it into `out`, unless the program fails.

    Args:
        job: what to train, on what, for how long.
        out: an existing folder.
        control: whom to report to.

    Raises:
        UserError: if the environment, a signal or the fitness expression does not exist.
        ProgramError: if the program's text is none.
        SandboxUnavailable: if programs cannot be sealed on this machine.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    learner = LEARNERS.get(job.settings.trainer, Learner)(job, control or Unattended())
    try:
        status, cause = learner.run(), None
    except RewardFailed as error:
        status, cause = "failed", _told(error)
    finally:
        learner.close()
    if status in ("ok", "pruned"):
        policy.save(learner.policy(), out)
        cause = learner.reason or learner.misfortune()
    return Training(
        status=status,
        seed=job.seed,
        env_steps=learner.done,
        curve=tuple(learner.curve),
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        reward_s=learner.scorer.waited_s,
        cause=cause or learner.reason,
    )


def _told(error: RewardFailed) -> str:
    """Return a failure as its author reads it."""
    return f"line {error.line}: {error}" if error.line else str(error)
