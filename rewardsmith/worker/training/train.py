"""The training job of a worker: trains a policy on a reward program, with the learner that the settings name."""

from __future__ import annotations

import time
from pathlib import Path

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Status, Training, TrainJob
from rewardsmith.contract.trainers import TrainerName, find_trainer
from rewardsmith.worker.envs.env_faults import describe_faults
from rewardsmith.worker.training import policy
from rewardsmith.worker.training.off_policy import OffPolicyLearner
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.rollout_learner import RolloutLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback, TrainingCallback, TrainingLoop

LEARNERS: dict[TrainerName, type[RolloutLearner]] = {
    "fast": PPOLearner,
    "sb3": PPOLearner,
    "sac": OffPolicyLearner,
    "td3": OffPolicyLearner,
}
"""Learner of each trainer."""


def run(job: TrainJob, out: Path, callback: TrainingCallback | None = None) -> Training:
    """Train a policy and save it into `out`, unless the program fails.

    Args:
        job: what to train, on what, for how long.
        out: an existing folder.
        callback: receives the reports.

    Raises:
        UserError: if the environment, a signal, the trainer or the fitness expression does not exist.
        ProgramError: if the text is not a reward program.
        SandboxUnavailable: if programs cannot be sealed on this machine.
    """
    start_times = time.perf_counter(), time.process_time()
    learner = LEARNERS[find_trainer(job.settings.trainer).name](job, callback or NullTrainingCallback())
    try:
        status, cause = learner.run(), None
    except RewardFailed as error:
        # A signal that was no number may be why.
        status, cause = "failed", "; ".join([format_failure(error), *describe_faults(learner.env.faults)])
    finally:
        learner.close()
    if status in ("ok", "pruned"):
        policy.save(learner.extract_policy(), out)
        cause = learner.stop_reason or learner.warning()
    return build_training(job, learner, status, cause or learner.stop_reason, start_times)


def build_training(
    job: TrainJob, learner: TrainingLoop, status: Status, cause: str | None, start_times: tuple[float, float]
) -> Training:
    """Return the record of a training that has ended.

    Args:
        job: what was trained.
        learner: after its last step.
        status: how it ended.
        cause: why, or what the user should know; None for nothing.
        start_times: of the wall clock and of the process at the training's start, in seconds.
    """
    start_wall, start_cpu = start_times
    return Training(
        status=status,
        seed=job.seed,
        env_steps=learner.num_timesteps,
        curve=tuple(learner.curve),
        wall_s=time.perf_counter() - start_wall,
        cpu_s=time.process_time() - start_cpu,
        reward_s=learner.reward_source.waited_s,
        cause=cause,
        layers=learner.reward_source.layers,
        inherited_from=learner.inherited_from,
    )


def format_failure(error: RewardFailed) -> str:
    """Return a failure as the program's author reads it."""
    return f"line {error.line}: {error}" if error.line else str(error)
