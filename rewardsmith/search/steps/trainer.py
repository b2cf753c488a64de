"""Trainer: trains a policy on a program, with a budget in environment steps and a seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rewardsmith.contract.records import CurvePoint, InitialPolicy, Probe, ReferenceScores, Training, TrainJob
from rewardsmith.contract.trainers import find_trainer
from rewardsmith.executors.base import Decide, Executor
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

SEARCH_SEEDS, FINALIST_SEEDS, FINAL_SEEDS = 0, 500, 1_000
"""First training seeds of the search, of its finalists and of the report; each search seed has 2,000 of them."""
ABLATION_SEEDS = 500_000_000
"""First training seed of the ablations, far from those of every search."""


def training_seeds(config: Config, first: int, count: int) -> range:
    """Return `count` training seeds: all candidates share those of a phase, and selection never sees the report's.

    Args:
        config: for the seed of the search.
        first: SEARCH_SEEDS, FINALIST_SEEDS, FINAL_SEEDS or ABLATION_SEEDS.
        count: how many, at most 500; of the report's, 1,000.
    """
    start = 2_000 * config.search.seed + first
    return range(start, start + count)


def search_seeds(config: Config) -> range:
    """Return the training seeds of the search."""
    return training_seeds(config, SEARCH_SEEDS, config.search.seeds)


def rung_env_steps(config: Config) -> tuple[int, ...]:
    """Return the environment steps of the rungs, where the lower trainings of a generation end."""
    return tuple(sorted({round(part * config.search.env_steps) for part in config.search.rungs}))


def observation_remark(config: Config, probe: Probe) -> str | None:
    """Return a remark where the trainer that is set is not for the environment's observations; else None."""
    shape, training = probe.observation_shape, config.training
    if len(shape) == 1 or not find_trainer(training.trainer).has_own_update or training.observation != "environment":
        return None
    size = "x".join(map(str, shape))
    return (
        f"observations are images ({size}): stable-baselines3 trains its CnnPolicy (training.trainer = 'sb3'), as the"
        " fast trainer is for vectors; expect tens to hundreds of steps per second"
    )


def train_policy(
    executor: Executor,
    task: Task,
    probe: Probe,
    config: Config,
    program: str | None,
    seed: int,
    out: Path,
    on_point: Callable[[CurvePoint], None],
    decide: Decide | None = None,
    reference: ReferenceScores | None = None,
    initial_policy: InitialPolicy | None = None,
) -> Training:
    """Train one policy; blocks until it is done or has failed.

    Args:
        executor: where it runs.
        task: what to train for.
        probe: the environment's catalogue.
        config: budget, settings and limits.
        program: the reward program's text; None for the environment reward.
        seed: of the training.
        out: folder for the policy and the curve.
        on_point: told each new point of the learning curve.
        decide: asked at each rung of the search whether the training goes on; None: it has no rungs.
        reference: what the program's trial scoring gave, which its scores in the training are compared with.
        initial_policy: what the policy begins with; None: from nothing.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
    """
    job = TrainJob(
        env=probe.complete_env(task.env),
        program=program,
        fitness=task.fitness,
        seed=seed,
        env_steps=config.search.env_steps,
        settings=config.training,
        limits=config.sandbox,
        rungs=rung_env_steps(config) if decide else (),
        reference=reference,
        initial_policy=initial_policy,
    )
    return executor.run(job, out, on_point, decide)
