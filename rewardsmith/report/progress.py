"""Progress of a search as data: for a server that reports it, and for a view that draws it (`notebook`)."""

from __future__ import annotations

import threading
import time
from collections import deque

from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result
from rewardsmith.contract.text import format_number
from rewardsmith.report.text import format_duration, replace_control_chars
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.storage.journal_keys import owner_of_training
from rewardsmith.search.storage.layout import ENSEMBLE, FINAL, FINALISTS, LINEAGE, MEASURED_ID, is_ablation, is_finalist

KEPT_EVENTS = 200
"""Number of lines about its course that are kept."""


def describe_owner(owner: str) -> str:
    """Name in words what trainings belong to.

    >>> [describe_owner(owner) for owner in ("g0c00", "final/g1c00", "final/user", "final/ensemble-g0c00-g1c00")]
    ['g0c00', 'final g1c00', 'program', 'ensemble']
    >>> describe_owner("finalists/g1c00"), describe_owner("ablation/g1c00/without-effort")
    ('finalist g1c00', 'without effort')
    """
    if is_ablation(owner):
        return owner.rpartition("/")[2].replace("-", " ")
    if is_finalist(owner):
        return f"finalist {owner.removeprefix(f'{FINALISTS}/')}"
    name = owner.removeprefix(f"{FINAL}/")
    if name.startswith((f"{ENSEMBLE}-", f"{LINEAGE}-")):
        return name.partition("-")[0]
    if name == MEASURED_ID:
        return "program"
    return name if name == owner else f"final {name}"


class ProgressEstimate:
    """Fraction of the search's trainings that is done, and an estimate of the time left."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.total = 0
        """Environment steps of all planned trainings."""
        self.env_steps = 1
        """Environment steps of one training."""
        self.done: dict[str, int] = {}
        """Environment steps done, by training."""
        self.resumed = 0
        """Environment steps that an earlier session did."""

    def set_plan(self, trainings: int, env_steps: int) -> None:
        """Record how many trainings are planned, and restart the clock."""
        self.total, self.env_steps = trainings * env_steps, env_steps
        self.began = time.monotonic()

    def record_point(self, training: str, point: CurvePoint) -> None:
        """Record a training's progress."""
        self.done[training] = min(point.env_steps, self.env_steps)

    def record_end(self, training: str) -> None:
        """Record a training's end; one without a single point was finished by an earlier session."""
        if training not in self.done:
            self.resumed += self.env_steps
        self.done[training] = self.env_steps

    def seconds_left(self) -> float | None:
        """Return the estimated seconds until all trainings are done; None while nothing is measured."""
        done = sum(self.done.values())
        worked = done - self.resumed
        if worked <= 0 or done >= self.total:
            return None
        return (time.monotonic() - self.began) / worked * (self.total - done)

    def fraction_done(self) -> float:
        """Return the fraction that is done, in [0, 1]."""
        return min(1.0, sum(self.done.values()) / self.total) if self.total else 0.0


class SearchProgress(SearchCallback):
    """Progress of a search: how much of its trainings is done, the stage of each candidate, and what happened."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self.changed = threading.Condition()
        self.stages: dict[str, str] = {}
        """Candidate, or owner of trainings, to the stage that it is in."""
        self.ended: dict[str, Candidate] = {}
        """Candidates that have ended, by id."""
        self._estimate = ProgressEstimate()
        self._events: deque[str] = deque(maxlen=KEPT_EVENTS)
        self._taken = 0
        self._number = 0

    @property
    def fraction(self) -> float:
        """The part of the environment steps that is done, in [0, 1]."""
        return self._estimate.fraction_done()

    def describe(self) -> str:
        """Return the progress in a line: the part that is done, the time left, and what runs."""
        left = self._estimate.seconds_left()
        running = [f"{describe_owner(owner)}: {stage}" for owner, stage in self.stages.items() if stage]
        parts = [f"{self.fraction:.0%} of the environment steps done"]
        parts += [f"about {format_duration(left)} left"] if left else []
        return "; ".join([*parts, *running])

    def take_events(self) -> list[str]:
        """Return the lines since the last call, oldest first."""
        with self.changed:
            count = min(self._number - self._taken, len(self._events))
            self._taken = self._number
            return list(self._events)[len(self._events) - count :]

    def list_events(self) -> list[str]:
        """Return the lines that are kept, oldest first."""
        with self.changed:
            return list(self._events)

    def add_event(self, line: str) -> None:
        """Keep a line about the job's course."""
        with self.changed:
            self._events.append(replace_control_chars(line))
            self._number += 1
            self.changed.notify_all()

    def on_search_start(self, trainings: int, env_steps: int) -> None:
        self._estimate.set_plan(trainings, env_steps)
        self.add_event(f"at most {trainings} trainings of {env_steps:,} environment steps")

    def on_generation_start(self, brief: Brief) -> None:
        self.add_event(f"generation {brief.generation} starts: {brief.population} programs")

    def on_stage(self, owner: str, stage: str) -> None:
        with self.changed:
            self.stages[owner] = stage
            self.changed.notify_all()

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        with self.changed:
            self._estimate.record_point(training, point)
            self.changed.notify_all()

    def on_training_end(self, training: str) -> None:
        with self.changed:
            self._estimate.record_end(training)
            self.stages.pop(owner_of_training(training), None)
            self.changed.notify_all()

    def on_candidate_end(self, candidate: Candidate) -> None:
        with self.changed:
            self.stages.pop(candidate.id, None)
            self.ended[candidate.id] = candidate
        outcome = f"fitness {format_number(candidate.fitness)}" if candidate.status == "ok" else candidate.cause or ""
        self.add_event(f"{candidate.id} {candidate.status}: {outcome}")

    def on_notice(self, text: str) -> None:
        self.add_event(f"note: {text}")

    def on_search_end(self, result: Result) -> None:
        self.add_event(f"the search ends: the best program is {result.best.id}")
