"""Evaluator: measures a policy's fitness and metrics on held-out seeds; it never sees the program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rewardsmith.contract.records import EvaluateJob, Evaluation, Probe
from rewardsmith.executors.base import Executor
from rewardsmith.spec.config import Config
from rewardsmith.spec.task_cards import Task

SELECTION, REPORT = 1_000_000_000, 1_500_000_000
"""First episode seeds of the selection and of the report, far from each other and from the training seeds."""


def episode_seeds(config: Config, first: int, count: int) -> tuple[int, ...]:
    """Return `count` episode seeds, the same for every candidate of a search.

    Args:
        config: for the seed of the search.
        first: SELECTION or REPORT.
        count: how many, at most 10,000.
    """
    start = first + 10_000 * (config.search.seed % 10_000)
    return tuple(range(start, start + count))


def evaluate_policy(
    executor: Executor,
    task: Task,
    probe: Probe,
    policy: Path | None,
    episodes: tuple[int, ...],
    out: Path,
    reads: Sequence[str] = (),
    deterministic: bool = True,
) -> Evaluation:
    """Run a policy for one episode per seed; blocks until it is done.

    Args:
        executor: where it runs.
        task: with the fitness expression and the metrics that are measured.
        probe: the environment's catalogue.
        policy: folder of the policy; None acts at random.
        episodes: one seed each.
        out: folder for the recorded episodes.
        reads: signals to record with those that the task names: the program's, which is not seen here.
        deterministic: take the policy's likeliest actions; else draw them with the episode's seed.

    Raises:
        WorkerFailed: if the machinery failed repeatedly.
    """
    job = EvaluateJob(
        env=probe.complete_env(task.env),
        policy=None if policy is None else str(policy),
        fitness=task.fitness,
        seeds=episodes,
        record=tuple(dict.fromkeys((*(signal.name for signal in task.env.signals), *reads))),
        deterministic=deterministic,
        metrics=task.metric_expressions,
    )
    return executor.run(job, out)
