"""Trained policies of a run as a product: the choice of one, its file in a format of others, and how it is run."""

from __future__ import annotations

import shlex
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract import env_families, records
from rewardsmith.contract.errors import RunError, WorkerFailed
from rewardsmith.contract.records import EvaluateJob, ExportJob, PolicyFile
from rewardsmith.contract.records.job_results import PolicyFormat
from rewardsmith.contract.trainers import find_trainer
from rewardsmith.executors.base import Executor
from rewardsmith.executors.render_job import POLICY_FILES
from rewardsmith.report.export.exporter import spell_make_call
from rewardsmith.report.video import RANDOM_POLICY, RecordedEpisode, current_owner_name, list_episodes
from rewardsmith.search.storage import Run

SUFFIXES: dict[PolicyFormat, str] = {"onnx": ".onnx", "sb3": ".zip", "torchscript": ".pt"}
"""Endings of the files."""


@dataclass(frozen=True)
class TrainedPolicy:
    """A policy that was trained and evaluated in a run."""

    owner: str
    """Candidate's id, or "final" or "environment-reward"."""
    seed: int
    """Seed of its training."""
    folder: Path
    job: EvaluateJob
    """The job that evaluated it."""
    fitness: float
    """Mean over its evaluated episodes."""
    episodes: tuple[RecordedEpisode, ...]
    others: int
    """Number of the owner's other policies."""

    @property
    def algorithm(self) -> str:
        """Name of the class of stable-baselines3 that loads it."""
        settings = records.read(records.TrainJob, self.folder / "job.json").settings
        return find_trainer(settings.trainer).algorithm


def choose_policy(run: Run, owner: str) -> TrainedPolicy:
    """Return the policy of an owner's training seed with the highest mean fitness.

    Args:
        run: the run.
        owner: a candidate's id, or "final" or "environment-reward".

    Raises:
        RunError: if there is no such owner, it has no policy, or the policy's files are gone.
    """
    owner = current_owner_name(owner)
    if owner == RANDOM_POLICY:
        raise RunError(f"{owner!r} acts without a policy; name a candidate, final or environment-reward")
    by_seed: dict[int, list[RecordedEpisode]] = {}
    for recorded in list_episodes(run, owner):
        if recorded.training is not None:
            by_seed.setdefault(recorded.training, []).append(recorded)

    # The best of the seeds: a product is one policy, while the report tells the mean over them.
    means = {seed: statistics.fmean(one.episode.fitness for one in episodes) for seed, episodes in by_seed.items()}
    seed = max(means, key=lambda seed: means[seed])
    episodes = tuple(by_seed[seed])
    path = episodes[0].folder / "job.json"
    try:
        job = records.read(EvaluateJob, path)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path} is missing or damaged, so the policy of {owner!r} cannot be told from others"
        ) from error
    folder = path.parent.with_name(Path(job.policy or "").name).resolve()
    if not all((folder / name).is_file() for name in POLICY_FILES):
        raise RunError(f"the policy of {owner!r} is gone from {folder}; {_spell_training(run, owner)} trains it again")
    return TrainedPolicy(owner, seed, folder, job, means[seed], episodes, len(means) - 1)


def write_policy(policy: TrainedPolicy, form: PolicyFormat, out: Path, executor: Executor) -> PolicyFile:
    """Write a policy to a file of its own.

    Args:
        policy: the policy.
        form: of the file.
        out: the file.
        executor: where the worker runs that writes it.

    Raises:
        ConfigError: if a package that writes the format is missing.
        RunFailed: if the machinery fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        written = executor.run(ExportJob(policy.job.env, str(policy.folder), form), Path(folder))
        if written.status != "ok":
            raise WorkerFailed(f"the policy of {policy.owner!r} is not exported: {written.cause}")
        shutil.copyfile(Path(folder) / written.file, out)
    return written


def spell_use(policy: TrainedPolicy, form: PolicyFormat, out: Path) -> list[str]:
    """Return the lines of Python that run an exported policy for a step."""
    loads = {
        "onnx": ("import onnxruntime", f"policy = onnxruntime.InferenceSession({out.name!r})"),
        "sb3": (
            f"from stable_baselines3 import {policy.algorithm}",
            f"policy = {policy.algorithm}.load({out.name!r})",
        ),
        "torchscript": ("import torch", f"policy = torch.jit.load({out.name!r})"),
    }
    acts = {
        "onnx": 'action = policy.run(None, {"observation": obs[None].astype("float64")})[0][0]',
        "sb3": "action, _ = policy.predict(obs, deterministic=True)",
        "torchscript": "action = policy(torch.from_numpy(obs[None]))[0].numpy()",
    }
    imported, loaded = loads[form]
    if env_families.is_resident(policy.job.env.env_id):
        # No Gymnasium environment: mjlab's own gives tensors of all its environments.
        return [imported, loaded, 'obs = env.reset()[0]["actor"][0].cpu().numpy()', acts[form]]
    return [
        f"import gymnasium; {imported}",
        f"env = {spell_make_call(policy.job.env)}",
        loaded,
        "obs, _ = env.reset(seed=0)",
        acts[form],
    ]


def _spell_training(run: Run, owner: str) -> str:
    """Return the command that trains a policy of an owner again."""
    result = run.read_result()
    program = run.layout.best_program if owner == "final" else run.layout.candidate_program(owner)
    if owner == "final" and result is not None:
        program = run.layout.candidate_program(result.best.id)
    if owner == "environment-reward":
        return f"`rewardsmith baseline {run.task.env.env_id}`"
    parts = ["rewardsmith", "train", str(program), "--env", run.task.env.env_id, "--fitness", run.task.fitness]
    parts += ["--steps", str(run.config.search.env_steps)]
    return f"`{shlex.join(parts)}`"
