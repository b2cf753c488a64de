"""Job that renders a recorded episode: as its evaluation ran it, with the policy in the folder beside it."""

from __future__ import annotations

from pathlib import Path

from rewardsmith.contract import env_families, records
from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import EvaluateJob, RenderJob

POLICY_FILES = ("policy.json", "policy.safetensors")


def render_job_for_episode(owner: str, evaluation: Path, seed: int) -> RenderJob:
    """Return the job that renders an episode as its evaluation ran it.

    Args:
        owner: name of the candidate whose policy acts, for messages.
        evaluation: folder of the evaluation; the run may have been moved since.
        seed: seed of the episode.

    Raises:
        RunError: if the evaluation's job cannot be read, or its policy is not there.
    """
    path = evaluation / "job.json"
    try:
        job = records.read(EvaluateJob, path)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is missing or damaged, so the episode cannot be repeated") from error
    policy = evaluation.with_name(Path(job.policy).name).resolve() if job.policy else None
    if policy is not None and not all((policy / name).is_file() for name in POLICY_FILES):
        raise RunError(f"the policy of {owner!r} is gone from {policy}, so its episodes cannot be repeated")
    return RenderJob(
        env=job.env,
        policy=str(policy) if policy else None,
        fitness=job.fitness,
        seed=seed,
        deterministic=job.deterministic,
        evaluation=str(evaluation.resolve()) if env_families.is_resident(job.env.env_id) else None,
    )
