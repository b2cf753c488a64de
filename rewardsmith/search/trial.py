"""A trial: one training seed of a program, trained, evaluated on held-out episodes, and kept in the journal."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from rewardsmith.contract.records import (
    Candidate,
    Evaluation,
    InitialPolicy,
    Probe,
    ReferenceScores,
    ScoredSample,
    Status,
    Training,
    Verdict,
)
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.executors.base import Decide, Executor
from rewardsmith.sandbox.layers import describe_layers, list_missing_layers
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.sandbox.reference_scores import build_reference
from rewardsmith.search import lost_files
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.concurrency import results_or_raise, run_in_threads
from rewardsmith.search.curriculum import Curriculum
from rewardsmith.search.feedback.scoring_judge import ScoringJudge
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.storage.journal_keys import analyzer_key, evaluator_key, trainer_key
from rewardsmith.search.storage.layout import BASELINE, is_phase
from rewardsmith.search.successive_halving import CandidateHandle
from rewardsmith.spec.config import Config


@dataclass(frozen=True)
class Trial:
    """The outcome of one training seed."""

    training: Training
    evaluation: Evaluation | None
    """Evaluation of its policy; None if the training gave no policy."""

    @property
    def status(self) -> Status:
        """Status of the evaluation, or of a training that gave no policy."""
        return self.evaluation.status if self.evaluation else self.training.status

    @property
    def cause(self) -> str | None:
        """Reason why it has no fitness, unless ok."""
        return self.evaluation.cause if self.evaluation else self.training.cause

    @property
    def fitness(self) -> float | None:
        """Mean over the evaluated episodes."""
        return self.evaluation.fitness if self.evaluation else None


class TrialRunner:
    """Runs the trials of one search; what the journal has is not run again."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        executor: Executor,
        callback: SearchCallback,
        probe: Probe,
        judge: ScoringJudge | None = None,
    ) -> None:
        """Take what every trial needs.

        Args:
            run: with the task and the settings.
            journal: of the run, open for writing.
            executor: where trainings and evaluations run.
            callback: receives stages, curve points and ends.
            probe: the environment's catalogue.
            judge: scores the recorded episodes; None where no judge does.
        """
        self.run, self.journal, self.executor, self.callback, self.probe = run, journal, executor, callback, probe
        self._judge = judge
        self._trained_now: set[str] = set()
        """Keys of the trainings that this session did itself."""
        self._locks: dict[str, threading.Lock] = {}
        """Lock of each training, by its key: it runs once, even if two parts of the search ask for it at once."""
        self._announced: set[str] = set()
        """Keys of the trainings whose end was reported to the callback in this session."""
        self._samples: dict[str, ScoredSample] = {}
        self._parents: dict[str, Candidate] = {}
        """Owner of trainings to the candidate whose policies they begin with."""
        self._restoring = threading.RLock()
        self._curriculum = Curriculum(run, journal, executor, callback, probe) if run.task.stages else None

    def remember_verdict(self, source: str, verdict: Verdict) -> None:
        """Keep what a program's trial scoring gave; its trainings are compared with it."""
        if verdict.trial_scoring and verdict.trial_scoring.sample:
            self._samples[source] = verdict.trial_scoring.sample

    def inherit_policies(self, owner: str, parent: Candidate) -> None:
        """Let an owner's trainings begin with the policies of a candidate, seed by seed."""
        self._parents[owner] = parent

    def run_trials(
        self,
        owner: str,
        program: str | None,
        seeds: Sequence[int],
        episodes: tuple[int, ...],
        handle: CandidateHandle | None = None,
    ) -> list[Trial]:
        """Run a trial for each training seed, at once.

        Args:
            owner: a candidate's id, "final/<candidate>" or "baseline".
            program: the program's text; None for the environment reward.
            seeds: of the trainings.
            episodes: seeds of the held-out episodes.
            handle: of the candidate in successive halving; None: the trainings all run to their end.

        Raises:
            WorkerFailed: if the machinery failed repeatedly.
        """
        run_trial = partial(self._run_trial, owner, program, episodes, handle)
        return results_or_raise(run_in_threads(run_trial, seeds))

    def evaluate(
        self,
        owner: str,
        seed: int | None,
        episodes: tuple[int, ...],
        program: str | None = None,
        trained_by: str | None = None,
    ) -> Evaluation:
        """Run a policy on held-out episodes, and record the signals that its program reads.

        Args:
            owner: as in `run_trials`.
            seed: of the training that made the policy; None acts at random.
            episodes: seeds of the held-out episodes.
            program: the program's text; None for the environment reward and for random actions.
            trained_by: owner of the training; None: `owner`.

        Raises:
            WorkerFailed: if the machinery failed repeatedly.
        """
        layout, task, key = self.run.layout, self.run.task, evaluator_key(owner, seed)
        policy = None if seed is None else layout.training_dir(trained_by or owner, seed)
        out = layout.evaluation_dir(owner, seed)
        signals = parse_program(program).signals if program else ()
        if self._judge:
            signals = tuple(dict.fromkeys((*signals, *self._judge.recorded_signals)))
        deterministic = self.run.config.evaluation.deterministic

        def run_policy() -> Evaluation:
            if seed is not None:
                self._restore_policy(trained_by or owner, seed, program)
            measured = evaluator.evaluate_policy(
                self.executor, task, self.probe, policy, episodes, out, signals, deterministic
            )
            return self._judge.score_evaluation(owner, seed, measured) if self._judge else measured

        def find_fault() -> str | None:
            is_read = self._reads_episodes_later(owner)
            return lost_files.find_arrays_fault(EpisodeFile.in_folder(out).path) if is_read else None

        notify = self.callback.on_notice
        evaluation = lost_files.run_once(self.journal, key, run_policy, Evaluation, out, find_fault, notify)
        if evaluation.status == "ok" and evaluation.cause:
            self.callback.on_notice(f"{key}: {evaluation.cause}")
        return evaluation

    def _run_trial(
        self, owner: str, program: str | None, episodes: tuple[int, ...], handle: CandidateHandle | None, seed: int
    ) -> Trial:
        """Train on one seed, then evaluate the policy if there is one."""
        key = trainer_key(owner, seed)
        with self._locks.setdefault(key, threading.Lock()):
            is_announced = key in self._announced
            if not is_announced:
                self.callback.on_stage(owner, "train")
            training = self._train(owner, program, handle, seed)
            if training.status != "ok":
                return Trial(training, None)
            if training.cause and not is_announced:
                self.callback.on_notice(f"{key}: {training.cause}")

            if not is_announced:
                self.callback.on_stage(owner, "evaluate")
            return Trial(training, self.evaluate(owner, seed, episodes, program))

    def _train(self, owner: str, program: str | None, handle: CandidateHandle | None, seed: int) -> Training:
        """Train on one seed; however it ends, the trainings that wait at a rung do not wait for it any more."""
        key = trainer_key(owner, seed)
        decide = partial(handle.should_continue, seed) if handle and self.run.config.search.rungs else None
        train = partial(self._run_training, owner, program, seed, decide)
        try:
            if key not in self.journal:
                self._trained_now.add(key)
            training = self.journal.once(key, Training, train, keep=lost_files.is_settled)
        finally:
            if handle:
                handle.withdraw(seed)
        if key not in self._announced:
            self._record_layers(training)
            self.callback.on_training_end(key)
        if lost_files.is_settled(training):
            self._announced.add(key)
        return training

    def _restore_policy(self, owner: str, seed: int, program: str | None) -> None:
        """Train again where an earlier session trained, and the policy is gone or damaged; its parents' likewise."""
        key, out = trainer_key(owner, seed), self.run.layout.training_dir(owner, seed)
        recorded = self.journal.get(key, Training)
        fault = None if key in self._trained_now or recorded is None else lost_files.find_policy_fault(out)
        if fault is None or recorded is None:
            return
        goes_on = (lambda _: True) if self.run.config.search.rungs and not is_phase(owner) else None
        train = partial(self._run_training, owner, program, seed, goes_on)
        lost_files.repeat_job(key, fault, recorded, out, train, self.callback.on_notice)

    def _run_training(self, owner: str, program: str | None, seed: int, decide: Decide | None) -> Training:
        """Run the job of a training; see `trainer.train_policy`."""
        return trainer.train_policy(
            executor=self.executor,
            task=self.run.task,
            probe=self.probe,
            config=self._build_config(owner),
            program=program,
            seed=seed,
            out=self.run.layout.training_dir(owner, seed),
            on_point=partial(self.callback.on_curve_point, trainer_key(owner, seed)),
            decide=decide,
            reference=self._build_reference(program),
            initial_policy=self._find_initial_policy(owner, seed),
        )

    def _find_initial_policy(self, owner: str, seed: int) -> InitialPolicy | None:
        """Return the policy that a training begins with, made again if its file is gone; None: from nothing."""
        parent = self._parents.get(owner)
        if parent is None:
            return self._curriculum.find_initial_policy(owner, seed) if self._curriculum else None
        if not any(training.seed == seed and training.status == "ok" for training in parent.trainings):
            self.callback.on_notice(
                f"{trainer_key(owner, seed)}: trained from nothing: {parent.id} has no policy of this training seed"
            )
            return None
        with self._restoring:  # several children may begin with the same policy
            self._restore_policy(parent.id, seed, parent.proposal.source)
        folder = self.run.layout.training_dir(parent.id, seed)
        return InitialPolicy(str(folder), parent.id, self.run.config.search.warm_start_share)

    def _build_config(self, owner: str) -> Config:
        """Return the settings of an owner's trainings: the baseline of a curriculum has the steps of all its stages."""
        config = self.run.config
        if owner != BASELINE or self._curriculum is None:
            return config
        search = config.search.model_copy(update={"env_steps": self._curriculum.count_env_steps()})
        return config.model_copy(update={"search": search})

    def _reads_episodes_later(self, owner: str) -> bool:
        """Return whether a step that is not in the journal yet may read the episodes of a candidate."""
        if is_phase(owner):
            return False
        return self.run.config.feedback.rank == "judge" or analyzer_key(owner) not in self.journal

    def _record_layers(self, training: Training) -> None:
        """Put the layers that held a program into the run's provenance, and say where they are fewer than usual."""
        if training.layers and self.run.record_sandbox(describe_layers(training.layers)):
            if list_missing_layers(training.layers):
                self.callback.on_notice(f"reward programs are held by {describe_layers(training.layers)}")

    def _build_reference(self, program: str | None) -> ReferenceScores | None:
        """Return what the trial scoring of a program gave; None where that is not known."""
        sample = self._samples.get(program) if program else None
        if program is None or sample is None or not self.run.transitions.is_file():
            return None
        return build_reference(self.run.transitions, parse_program(program), sample)
