"""Demonstrations: recorded episodes of a policy, or of a function of a user's."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rewardsmith.contract import import_path
from rewardsmith.contract.errors import RunError, RunFailed
from rewardsmith.contract.records import Episode, EvaluateJob
from rewardsmith.executors.local import LocalExecutor
from rewardsmith.executors.probe import run_probe
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search import trusted_runs
from rewardsmith.spec.env_options import check_import_name

if TYPE_CHECKING:
    from rewardsmith.search.storage import Run
    from rewardsmith.spec.task_cards import Task

FIRST_SEED = 1_900_000_000
"""First episode seed of demonstrations, far from those of trainings and evaluations."""


@dataclass(frozen=True)
class Recording:
    """Episodes that were recorded."""

    kept: tuple[Episode, ...]
    """Episodes in the file, in its order."""
    left_out: tuple[Episode, ...]
    """Episodes whose fitness was too low."""


def record_policy(run: Run, owner: str, episodes: int, out: Path, least_fitness: float = -math.inf) -> Recording:
    """Record fresh episodes of a run's policy.

    Args:
        run: the run.
        owner: a candidate's id, or "final" or "environment-reward"; the best of its training seeds acts.
        episodes: how many to run.
        out: the file.
        least_fitness: of an episode that is kept.

    Raises:
        RunError: if there is no such policy, the run is not trusted on this machine, or the file cannot be written.
        RunFailed: if no episode is kept, or the machinery fails.
    """
    from rewardsmith.report.export.trained_policy import choose_policy

    trusted_runs.check_trusted(run, executor_is_given=True)
    policy = choose_policy(run, owner)
    learned = {signal.name for signal in policy.job.env.learned_signals}
    recorded = tuple(name for name in policy.job.record if name not in learned)
    job = replace(policy.job, policy=str(policy.folder), seeds=_choose_seeds(episodes), record=recorded, metrics={})
    return _record_job(job, out, least_fitness, trusted_runs.find_module_folder(run))


def record_actor(task: Task, actor: str, episodes: int, out: Path, least_fitness: float = -math.inf) -> Recording:
    """Record episodes in which a user's function acts.

    Args:
        task: its environment and fitness.
        actor: "module:function"; see `worker/user_actor.py`.
        episodes: how many to run.
        out: the file.
        least_fitness: of an episode that is kept.

    Raises:
        TaskError: if the environment cannot be made, or the function cannot be imported or gives no action.
        RunError: if the file cannot be written.
        RunFailed: if no episode is kept, or the machinery fails.
    """
    check_import_name(actor, "--act", "wrappers")
    probe = run_probe(task.env)
    env = probe.complete_env(task.env)
    # The card's signals are those that a person chose; of an environment without a card all are recorded.
    recorded = tuple(signal.name for signal in task.env.signals or probe.signals if not signal.is_learned)
    job = EvaluateJob(env, None, task.fitness, _choose_seeds(episodes), recorded, actor=actor)
    modules = (*env.modules, actor.partition(":")[0])
    return _record_job(job, out, least_fitness, import_path.find_module_folder(modules, Path.cwd()))


def _choose_seeds(episodes: int) -> tuple[int, ...]:
    return tuple(range(FIRST_SEED, FIRST_SEED + episodes))


def _record_job(job: EvaluateJob, out: Path, least_fitness: float, module_folder: Path | None) -> Recording:
    """Run the episodes of a job, and write those that are good enough."""
    executor = LocalExecutor(1, module_folder=module_folder)
    try:
        with tempfile.TemporaryDirectory() as folder:
            evaluation = executor.run(job, Path(folder))
            if evaluation.status != "ok":
                raise RunFailed(f"no episodes were recorded: {evaluation.cause}")
            kept = [place for place, episode in enumerate(evaluation.episodes) if episode.fitness >= least_fitness]
            file = EpisodeFile.in_folder(Path(folder))
            rollouts = [file.read_rollout(place, evaluation.episodes[place].terminated) for place in kept]
    finally:
        executor.close()

    dropped = [episode for episode in evaluation.episodes if episode.fitness < least_fitness]
    if not rollouts:
        best = max(episode.fitness for episode in dropped)
        raise RunFailed(
            f"none of {len(dropped)} episodes has a fitness of {least_fitness:g} or more, the best has {best:g};"
            " nothing was written"
        )
    try:
        EpisodeFile(out).write(rollouts)
    except OSError as error:
        raise RunError(f"cannot write the demonstrations {str(out)!r}: {error.strerror}") from error
    return Recording(tuple(evaluation.episodes[place] for place in kept), tuple(dropped))
