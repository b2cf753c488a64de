"""The training job for tasks of mjlab; where the device's memory is too small, once more with half the environments."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import torch

from rewardsmith.contract.errors import ConfigError, RewardFailed
from rewardsmith.contract.records import Training, TrainJob
from rewardsmith.worker.mjlab.learner import LabLearner
from rewardsmith.worker.mjlab.settings import choose_env_count
from rewardsmith.worker.mjlab.tasks import is_out_of_memory, load_lab_task
from rewardsmith.worker.training import policy
from rewardsmith.worker.training.train import build_training, format_failure
from rewardsmith.worker.training.training_loop import NullTrainingCallback, TrainingCallback


def run(job: TrainJob, out: Path, callback: TrainingCallback | None = None) -> Training:
    """Train a policy and save it into `out`, unless the program fails; see `training.train.run`.

    Raises:
        UserError: if the task, a signal, a setting or the fitness expression does not fit, or the device's memory is
            too small for half of the environments too.
        ProgramError: if the text is not a reward program.
        SandboxUnavailable: if programs cannot be sealed on this machine.
    """
    callback = callback or NullTrainingCallback()
    n_envs = choose_env_count(load_lab_task(job.env), job.settings)
    try:
        return _train(job, out, callback, n_envs, ())
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    # The exception held the environments: they go before the second try.
    free_memory()
    half = max(1, n_envs // 2)
    note = f"the device's memory is too small for {n_envs:,} environments: trained with {half:,}"
    try:
        return _train(job, out, callback, half, (note,))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    raise ConfigError(
        f"{job.env.env_id!r}: the device's memory is too small for {n_envs:,} environments, and for {half:,}; set"
        f" fewer: --set training.n_envs={max(1, half // 2)}"
    )


def free_memory() -> None:
    """Give the device's memory back that no object holds any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _train(job: TrainJob, out: Path, callback: TrainingCallback, n_envs: int, notes: tuple[str, ...]) -> Training:
    start_times = time.perf_counter(), time.process_time()
    learner = LabLearner(job, callback, n_envs)
    try:
        status, cause = learner.run(), None
    except RewardFailed as error:
        status, cause = "failed", format_failure(error)
    finally:
        learner.close()
    if status in ("ok", "pruned"):
        policy.save(learner.extract_policy(), out)
        cause = learner.stop_reason
    warnings = "; ".join((*notes, *learner.list_warnings()))
    causes = "; ".join(filter(None, (cause or learner.stop_reason, warnings)))
    return build_training(job, learner, status, causes or None, start_times)
