"""Probe of the environment before anything is designed: its signals, and transitions under random actions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness import AuxiliaryMetrics, Fitness
from rewardsmith.contract.records import Probe, ProbeJob, Signal
from rewardsmith.executors.base import Executor
from rewardsmith.search import lost_files
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.layout import PROBE_KEY
from rewardsmith.search.trial import is_settled
from rewardsmith.spec.task_cards import Task

PROBE_TRANSITIONS = 1024
"""Transitions that are recorded under random actions for the critic's trial of a program."""


def probe_environment(
    run: Run, journal: Journal, executor: Executor, notify: Callable[[str], None] = lambda text: None
) -> Probe:
    """Record the signal catalogue and random-action transitions of a run's environment, once.

    Args:
        run: the run.
        journal: of the run, open for writing.
        executor: where the environment is stepped.
        notify: called where recorded transitions are missing and were recorded again.

    Raises:
        TaskError: if the environment cannot be made.
        FitnessError: if the fitness or a metric names a signal that the environment does not have.
    """
    job = ProbeJob(run.task.env, run.config.search.seed, PROBE_TRANSITIONS)

    def run_probe() -> Probe:
        return executor.run(job, run.layout.probe_dir)

    recorded = journal.get(PROBE_KEY, Probe)
    probe = journal.once(PROBE_KEY, Probe, run_probe, keep=is_settled)
    fault = lost_files.find_arrays_fault(run.transitions) if recorded is not None and recorded.status == "ok" else None
    if fault:
        lost_files.repeat_job(PROBE_KEY, fault, probe, run.layout.probe_dir, run_probe, notify)
    if probe.status != "ok":
        raise TaskError(f"the environment {run.task.env.env_id!r} cannot be run: {probe.cause}")
    check_task_signals(run.task, probe.signals, probe.privileged_signals)
    check_trainer(run.config.training.trainer, probe)
    return probe


def check_trainer(trainer: str, probe: Probe) -> None:
    """Make sure that the policies of a trainer can act in the environment.

    Raises:
        TaskError: if they cannot: SAC and TD3 scale their actions to bounds, which choices and open ranges lack.
    """
    if trainer not in ("sac", "td3"):
        return
    is_choice = probe.discrete_actions is not None
    if is_choice or not all(map(math.isfinite, (*probe.action_low, *probe.action_high))):
        what = "choices for actions" if is_choice else "actions without bounds"
        raise TaskError(
            f"training.trainer = {trainer!r} is for boxes with bounds, and this environment has {what}; --trainer fast"
            " trains it"
        )


def check_task_signals(task: Task, signals: Iterable[Signal], privileged_signals: Iterable[Signal]) -> None:
    """Make sure that the fitness and the metrics of a task read signals that the environment has.

    Raises:
        FitnessError: if one names another.
    """
    names = [signal.name for signal in (*signals, *privileged_signals)]
    Fitness.parse(task.fitness).check_signals(names)
    AuxiliaryMetrics.parse(task.metric_expressions).check_signals(names)
