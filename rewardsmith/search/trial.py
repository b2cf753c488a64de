"""A trial: one training seed of a program, trained, run on held-out episodes, and kept in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rewardsmith.contract.records import Evaluation, Probe, Status, Training
from rewardsmith.contract.reward_program import parse
from rewardsmith.executors.base import Executor
from rewardsmith.search.callbacks import Watch
from rewardsmith.search.concurrency import raised, together
from rewardsmith.search.steps import evaluator, trainer
from rewardsmith.search.storage import Journal, Run
from rewardsmith.search.successive_halving import Lane

FINAL, BASELINE = "final", "baseline"
"""Phases of the report: the best program trained anew ("final/<candidate>"), and what it is compared with."""


@dataclass(frozen=True)
class Trial:
    """The outcome of one training seed."""

    training: Training
    evaluation: Evaluation | None
    """None where the training gave no policy."""

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.evaluation.status if self.evaluation else self.training.status

    @property
    def cause(self) -> str | None:
        """Why it has no figure, unless ok."""
        return self.evaluation.cause if self.evaluation else self.training.cause

    @property
    def fitness(self) -> float | None:
        """Mean over the evaluated episodes."""
        return self.evaluation.fitness if self.evaluation else None


class Trials:
    """Runs the trials of one search; what the journal knows is not run again."""

    def __init__(self, run: Run, journal: Journal, executor: Executor, watch: Watch, probe: Probe) -> None:
        self.run, self.journal, self.executor, self.watch, self.probe = run, journal, executor, watch, probe

    def of(
        self,
        owner: str,
        program: str | None,
        seeds: Sequence[int],
        episodes: tuple[int, ...],
        lane: Lane | None = None,
    ) -> list[Trial]:
        """Run a trial per training seed, at once.

        Args:
            owner: a candidate's id, "final/<candidate>" or "baseline".
            program: the program's text; None for the environment's own reward.
            seeds: of the trainings.
            episodes: seeds of the held-out episodes.
            lane: of the race that the trainings run in; None: they all run to their end.

        Raises:
            WorkerFailed: if the machinery failed repeatedly.
        """
        return raised(together(lambda seed: self._trial(owner, program, seed, episodes, lane), seeds))

    def evaluate(
        self, owner: str, policy: Path | None, name: str, episodes: tuple[int, ...], program: str | None = None
    ) -> Evaluation:
        """Run a policy, or random actions, on held-out episodes, and record what its program read.

        See `of` for what it raises.
        """
        out = self.home(owner) / f"eval-{name}"
        key = f"{owner}/evaluator/{name}"
        reads = parse(program).signals if program else ()
        best = self.run.config.evaluation.deterministic
        make = partial(evaluator.evaluate, self.executor, self.run.task, self.probe, policy, episodes, out, reads, best)
        found = self.journal.once(key, Evaluation, make, keep=is_final)
        if found.status == "ok" and found.cause:
            self.watch.notice(f"{key}: {found.cause}")
        return found

    def home(self, owner: str) -> Path:
        """Return the folder of a candidate or of a phase."""
        return self.run.folder(owner) if is_phase(owner) else self.run.folder("candidates", owner)

    def _trial(self, owner: str, program: str | None, seed: int, episodes: tuple[int, ...], lane: Lane | None) -> Trial:
        key, out = f"{owner}/trainer/s{seed}", self.home(owner) / f"train-s{seed}"
        watch = partial(self.watch.curve, key)
        task, config = self.run.task, self.run.config
        decide = partial(lane.goes_on, seed) if lane and config.search.rungs else None
        make = partial(trainer.train, self.executor, task, self.probe, config, program, seed, out, watch, decide)
        self.watch.stage(owner, "train")
        try:
            training = self.journal.once(key, Training, make, keep=is_final)
        finally:
            if lane:
                lane.leave(seed)
        self.watch.trained(key)
        if training.status != "ok":
            return Trial(training, None)
        if training.cause:
            self.watch.notice(f"{key}: {training.cause}")
        self.watch.stage(owner, "evaluate")
        return Trial(training, self.evaluate(owner, out, f"s{seed}", episodes, program))


def is_phase(owner: str) -> bool:
    """Return whether trials belong to the report rather than to a candidate of the search."""
    return owner.split("/")[0] in (FINAL, BASELINE)


def is_final(record: Training | Evaluation | Probe) -> bool:
    """Return whether a resumed search takes the record as it is; a failure of the machine is tried again."""
    return record.status != "infrastructure"
