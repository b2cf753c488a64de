"""The look at an environment before anything is designed: its catalogue, and transitions for the critic's dry run."""

from __future__ import annotations

from collections.abc import Iterable

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.fitness.expression import Fitness
from rewardsmith.contract.fitness.metrics import Figures
from rewardsmith.contract.records import Probe, ProbeJob, Signal
from rewardsmith.executors.base import Executor
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.trial import is_final
from rewardsmith.spec.task_cards import Task


def look(run: Run, journal: Journal, executor: Executor) -> Probe:
    """Look at the environment: its catalogue, and transitions for the critic's dry run.

    Raises:
        TaskError: if the environment cannot be made.
        FitnessError: if the fitness or a figure names what it does not have.
    """
    job = ProbeJob(run.task.env, run.config.search.seed, run.config.evaluation.probe_transitions)

    def ran() -> Probe:
        result = executor.run(job, run.folder("probe"))
        assert isinstance(result, Probe)  # the executor answers a job with its own kind of result
        return result

    probe = journal.once("probe/loop", Probe, ran, keep=is_final)
    if probe.status != "ok":
        raise TaskError(f"the environment {run.task.env.env_id!r} cannot be run: {probe.cause}")
    check_measures(run.task, probe.signals, probe.measures)
    return probe


def check_measures(task: Task, signals: Iterable[Signal], measures: Iterable[Signal]) -> None:
    """Make sure that the fitness and the figures of a task read what there is.

    Raises:
        FitnessError: if one names what there is not.
    """
    known = [signal.name for signal in (*signals, *measures)]
    Fitness.parse(task.fitness).check(known)
    Figures.parse(task.expressions).check(known)
