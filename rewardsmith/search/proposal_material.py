"""Material of proposals: the task as their prompts tell it, and episodes on which an answer is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewardsmith.contract.records import EvaluateJob, Evaluation, Probe
from rewardsmith.contract.records.fitness import MOTIONS, Motion
from rewardsmith.executors.base import Executor
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.steps import evaluator
from rewardsmith.search.steps.designer.signal_table import render_signal_table
from rewardsmith.search.storage import Run

EPISODES = 4
"""Episodes of random actions, and of each motion."""
REASON_CHARS = 600
"""Longest reason of a model that is kept."""


def describe_task(run: Run, probe: Probe, card_signal_count: int) -> dict[str, Any]:
    """Return the values that every prompt for a proposal names: task, environment, signals, action, time limit.

    Args:
        run: with the task.
        probe: of its environment.
        card_signal_count: how many of the probe's signals are listed in full, from the first.
    """
    task = run.task
    return {
        "task": task.text,
        "environment": f"{task.env.env_id}\n{task.env_about}",
        "signals": render_signal_table(probe.signals, card_signal_count, run.config.llm.catalogue_tokens),
        "action": task.action or probe.action_about,
        "limit": probe.max_episode_steps,
    }


def measure_motions(
    run: Run, probe: Probe, executor: Executor, fitness: str, metrics: Mapping[str, str], purpose: str
) -> dict[Motion | None, Evaluation]:
    """Run the episodes of random actions (None) and of each scripted motion, and measure expressions on them.

    Args:
        run: with the task and the seeds.
        probe: of its environment.
        executor: where the episodes run.
        fitness: an expression.
        metrics: name to further expressions.
        purpose: folder of the run directory for the episodes.
    """
    env = probe.complete_env(run.task.env)
    seeds = evaluator.episode_seeds(run.config, evaluator.SELECTION, EPISODES)

    def measure(motion: Motion | None) -> Evaluation:
        job = EvaluateJob(env, None, fitness, seeds, metrics=dict(metrics), motion=motion)
        return executor.run(job, run.layout.motion_dir(motion, purpose))

    motions: tuple[Motion | None, ...] = (None, *MOTIONS)
    return dict(zip(motions, results_or_raise(run_in_threads(measure, motions)), strict=True))
