"""Probe of the environment before anything is designed: its signals, and transitions under random actions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

from rewardsmith.contract.errors import FitnessError, TaskError
from rewardsmith.contract.fitness import AuxiliaryMetrics, Fitness
from rewardsmith.contract.observation import check_observation
from rewardsmith.contract.records import Probe, ProbeJob, Signal, SignalFacts
from rewardsmith.contract.records.fitness import AUTO_FITNESS
from rewardsmith.contract.reward_program import Array
from rewardsmith.contract.trainers import find_trainer
from rewardsmith.executors.base import Executor
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.search import lost_files
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal_keys import PROBE_KEY
from rewardsmith.spec.behaviour import check_descriptor_signals
from rewardsmith.spec.task_cards import Task

STILL = 1e-12
"""Range of a component below which it never changes; rounding moves what physics leaves alone."""
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

    folder = run.layout.probe_dir
    run_probe, find_fault = partial(executor.run, job, folder), partial(lost_files.find_arrays_fault, run.transitions)
    probe = lost_files.run_once(journal, PROBE_KEY, run_probe, Probe, folder, find_fault, notify)
    if probe.status != "ok":
        raise TaskError(f"the environment {run.task.env.env_id!r} cannot be run: {probe.cause}")
    check_task_signals(run.task, probe.signals, probe.privileged_signals)
    check_trainer(run.config.training.trainer, probe)
    check_observation(run.config.training, probe.signals, probe.privileged_signals)
    return probe


def measure_signals(run: Run, probe: Probe) -> dict[str, SignalFacts]:
    """Return what the recording under random actions shows of each signal; {} where it cannot be read.

    Args:
        run: with the recorded transitions.
        probe: of its environment.
    """
    import numpy as np

    file = TransitionFile(run.transitions)
    names = [signal.name for signal in probe.signals]
    try:
        after, start = file.read_signals("after", names), file.read_signals("start", names)
        action = file.read_action()
    except (OSError, KeyError, ValueError):
        return {}
    facts: dict[str, SignalFacts] = {}
    # What a motor gives is the action itself.
    columns = set(_hash_columns(action, ()))
    for name in names:
        values, starts = (states[name].reshape(len(states[name]), -1) for states in (after, start))
        low, high = values.min(axis=0), values.max(axis=0)
        still = np.flatnonzero(np.maximum(high, starts.max(axis=0)) - np.minimum(low, starts.min(axis=0)) <= STILL)
        facts[name] = SignalFacts(
            start=tuple(starts.mean(axis=0).tolist()),
            low=tuple(low.tolist()),
            mean=tuple(values.mean(axis=0).tolist()),
            high=tuple(high.tolist()),
            constant=tuple(still.tolist()),
            repeats=len(still) < len(low) and all(column in columns for column in _hash_columns(values, still)),
            start_low=tuple(starts.min(axis=0).tolist()),
            start_high=tuple(starts.max(axis=0).tolist()),
        )
        columns |= set(_hash_columns(values, ()))
    return facts


def _hash_columns(values: Array, without: Iterable[int]) -> list[bytes]:
    """Return the columns of (n, k) values, rounded, as keys; those of the given numbers are left out."""
    left_out = set(without)
    rounded = values.round(9) + 0.0  # no -0.0, which equals 0.0 in other bytes
    return [rounded[:, index].tobytes() for index in range(values.shape[1]) if index not in left_out]


def check_trainer(trainer: str, probe: Probe) -> None:
    """Make sure that the policies of a trainer can act in the environment.

    Raises:
        ConfigError: if there is no such trainer.
        TaskError: if they cannot: SAC and TD3 scale their actions to bounds, which choices and open ranges lack.
    """
    if not find_trainer(trainer).needs_bounded_actions:
        return
    is_choice = probe.discrete_actions is not None
    if is_choice or not all(map(math.isfinite, (*probe.action_low, *probe.action_high))):
        what = "choices for actions" if is_choice else "actions without bounds"
        raise TaskError(
            f"training.trainer = {trainer!r} is for boxes with bounds, and this environment has {what}; --trainer fast"
            " trains it"
        )


def check_task_signals(task: Task, signals: Iterable[Signal], privileged_signals: Iterable[Signal]) -> None:
    """Make sure that the fitness, metrics, descriptors and stages of a task give numbers in the environment.

    Raises:
        FitnessError: if one names a signal that the environment does not have, or does not come to one number.
    """
    signals, privileged_signals = tuple(signals), tuple(privileged_signals)
    known = (*signals, *privileged_signals)
    check_descriptor_signals(task.behaviour, signals, [signal.name for signal in privileged_signals])
    if task.fitness != AUTO_FITNESS:
        Fitness.parse(task.fitness).try_on(known)
    AuxiliaryMetrics.parse(task.metric_expressions).try_on(known)
    for number, stage in enumerate(task.stages, start=1):
        try:
            Fitness.parse(stage.fitness).try_on(known)
        except FitnessError as error:
            raise FitnessError(f"stage {number} of the card {task.name!r}: {error.cause}") from error
