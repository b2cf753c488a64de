"""Curriculum: the stages of a task's card, each a search whose best policy the trainings of the next begin with.

The card's own task is the last stage. The stage before it is a whole run in the folder `previous-stage` of the run that
continues it, with the stage before that in its own folder, and so on. Candidates begin with the policy that the search
of the stage before found. What is reported is trained from nothing: for each fresh seed the best program of every stage
is trained in turn, each on the policy of the one before.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rewardsmith.contract.errors import RunError, WorkerFailed
from rewardsmith.contract.records import Candidate, InitialPolicy, Probe, StageOutcome, Training
from rewardsmith.contract.text import format_number
from rewardsmith.executors.base import Executor
from rewardsmith.search import lost_files
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.steps import trainer
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal import RESTORE
from rewardsmith.search.storage.journal_keys import trainer_key
from rewardsmith.search.storage.layout import BASELINE, FINALISTS, final_owner, is_phase
from rewardsmith.spec.config import Config, resolve_config
from rewardsmith.spec.task_cards import Task


@dataclass(frozen=True)
class LearnedStage:
    """A stage whose search has ended."""

    run: Run
    best: Candidate
    search_steps: int
    """Environment steps of all trainings of its search."""

    @property
    def policy_folder(self) -> Path:
        """Folder of its best policy: of the best program's trainings, the one with the highest fitness."""
        fitness = [evaluation.fitness for evaluation in self.best.evaluations]
        trained = [training for training in self.best.trainings if training.status == "ok"]
        pairs = [(value, training.seed) for value, training in zip(fitness, trained, strict=False) if value is not None]
        if not pairs:
            raise RunError(f"{self.run.path} has no policy that the next stage could begin with; {RESTORE}")
        highest = max(value for value, _ in pairs)
        seed = next(seed for value, seed in pairs if value == highest)
        return self.run.layout.training_dir(self.best.id, seed)


class Curriculum:
    """The policies that the trainings of a run with stages begin with."""

    def __init__(self, run: Run, journal: Journal, executor: Executor, callback: SearchCallback, probe: Probe) -> None:
        """Read the stages before the run's own task.

        Args:
            run: whose task has stages; their searches have ended.
            journal: of the run, open for writing.
            executor: where trainings run.
            callback: receives the events of trainings.
            probe: the environment's catalogue.

        Raises:
            RunError: if a stage has no result, or its policy is gone.
        """
        self._run, self._journal, self._executor, self._callback, self._probe = run, journal, executor, callback, probe
        self._stages = read_stages(run)
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
        fault = lost_files.find_policy_fault(self._stages[-1].policy_folder)
        if fault:
            raise RunError(f"{self._stages[-1].policy_folder}: {fault}, and the next stage begins with it; {RESTORE}")

    def find_initial_policy(self, owner: str, seed: int) -> InitialPolicy | None:
        """Return what a training begins with; None: from nothing, as the environment reward's.

        Args:
            owner: of the training.
            seed: of the training.

        Raises:
            WorkerFailed: if the machinery failed while a stage was trained again.
        """
        if owner == BASELINE:
            return None
        if is_phase(owner) and not owner.startswith(FINALISTS):
            return self._retrain_stages(seed)
        return InitialPolicy(str(self._stages[-1].policy_folder), "the stage before")

    def count_env_steps(self) -> int:
        """Return the environment steps of one training through all stages, that of the run's own task included."""
        earlier = [stage.run.config.search.env_steps for stage in self._stages]
        return sum(earlier) + self._run.config.search.env_steps

    def _retrain_stages(self, seed: int) -> InitialPolicy | None:
        """Train the best program of every stage in turn, each on the policy of the one before; once for each seed."""
        initial: InitialPolicy | None = None
        with self._locks[seed]:
            for number, stage in enumerate(self._stages, start=1):
                owner = final_owner(f"stage-{number}")
                training = self._train_stage(stage, owner, seed, initial)
                if training.status != "ok":
                    self._callback.on_notice(
                        f"{trainer_key(owner, seed)}: {training.cause}; the stages after it are trained from nothing"
                    )
                    return None
                initial = InitialPolicy(str(self._run.layout.training_dir(owner, seed)), f"stage {number}")
        return initial

    def _train_stage(self, stage: LearnedStage, owner: str, seed: int, initial: InitialPolicy | None) -> Training:
        """Train a stage's best program on a fresh seed; what the journal has and the disk too is not trained again."""
        key, out = trainer_key(owner, seed), self._run.layout.training_dir(owner, seed)

        def train() -> Training:
            return trainer.train_policy(
                executor=self._executor,
                task=stage.run.task,
                probe=self._probe,
                config=stage.run.config,
                program=stage.best.proposal.source,
                seed=seed,
                out=out,
                on_point=lambda point: self._callback.on_curve_point(key, point),
                initial_policy=initial,
            )

        self._callback.on_stage(owner, "train")
        find_fault = partial(lost_files.find_policy_fault, out)
        training = lost_files.run_once(self._journal, key, train, Training, out, find_fault, self._callback.on_notice)
        if training.status == "infrastructure":
            raise WorkerFailed(f"{key}: {training.cause}; `rewardsmith resume {self._run.path}` tries again")
        self._callback.on_training_end(key)
        self._callback.on_stage(owner, "done")
        return training


# ---------------------------------------------------------------- the runs of the stages


def open_previous_stage(run: Run) -> Run:
    """Open the run of the stage before a run's own task; it is made where it does not exist.

    Raises:
        RunError: if it cannot be made or read.
        ConfigError: if the run's settings do not fit the stage, its budget for instance.
    """
    path = run.layout.previous_stage_dir
    if path.exists():
        return Run.open(path)
    return Run.create(path, *plan_previous_stage(run.task, run.config), run.read_provenance().prompts)


def plan_previous_stage(task: Task, config: Config) -> tuple[Task, Config]:
    """Return the task and the settings of the last stage before a task; nothing of it is reported by itself.

    Raises:
        ConfigError: if the settings do not fit the stage.
    """
    *earlier, stage = task.stages
    settings = {"env_steps": stage.env_steps, "final_seeds": 0, "baseline": False, "ensemble": 0}
    stage_task = replace(task, text=stage.text, title="", fitness=stage.fitness, stages=tuple(earlier), anchors=())
    return stage_task, resolve_config(config.model_dump(), {"search": settings})


def count_stage_trainings(task: Task, config: Config) -> tuple[int, int]:
    """Return how many trainings the stages before a task take, those for its report included, and their steps.

    Raises:
        ConfigError: if the settings do not fit a stage.
    """
    reports = config.search.final_seeds
    trainings, env_steps = 0, 0
    while task.stages:
        task, config = plan_previous_stage(task, config)
        count = config.search.trainings + reports
        trainings, env_steps = trainings + count, env_steps + count * config.search.env_steps
    return trainings, env_steps


def read_stages(run: Run) -> list[LearnedStage]:
    """Read the stages before a run's own task, the first of them first.

    Raises:
        RunError: if one has no result.
    """
    stages: list[LearnedStage] = []
    while run.task.stages:
        run = Run.open(run.layout.previous_stage_dir)
        result = run.read_result()
        if result is None:
            raise RunError(f"{run.path} has no result yet, and the next stage continues it")
        stages.insert(0, LearnedStage(run, result.best, result.env_steps))
    return stages


def summarize_stages(run: Run) -> tuple[StageOutcome, ...]:
    """Return what the stages before a run's own task came to, the first of them first.

    Raises:
        RunError: if one has no result.
    """
    return tuple(
        StageOutcome(stage.run.task.text, stage.run.task.fitness, stage.best.fitness, stage.run.config.search.env_steps)
        for stage in read_stages(run)
    )


def count_earlier_steps(run: Run) -> int:
    """Return the environment steps of the searches of the stages before a run's own task.

    Raises:
        RunError: if one has no result.
    """
    return sum(stage.search_steps for stage in read_stages(run)[-1:])


class StageNotices(SearchCallback):
    """Tells another callback of an earlier stage in single notices: its candidates have the same ids as the next's."""

    def __init__(self, callback: SearchCallback, number: int) -> None:
        """Take the callback, and the number of the stage; the notices of a later stage are replaced, not nested."""
        self._callback: SearchCallback = callback._callback if isinstance(callback, StageNotices) else callback
        self._name = f"stage {number}"

    def on_candidate_end(self, candidate: Candidate) -> None:
        """See `SearchCallback`."""
        outcome = candidate.cause if candidate.fitness is None else f"fitness {format_number(candidate.fitness)}"
        self.on_notice(f"{candidate.id} {candidate.status}, {outcome}")

    def on_notice(self, text: str) -> None:
        """See `SearchCallback`."""
        self._callback.on_notice(f"{self._name}: {text}")
