"""Progress of a search as data: for a server that reports it, and for a view that draws it (`notebook`)."""

from __future__ import annotations

import threading
from collections import deque

from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result
from rewardsmith.contract.text import format_number
from rewardsmith.report.live import ProgressEstimate, describe_owner
from rewardsmith.report.text import format_duration, replace_control_chars
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.storage.layout import owner_of_training

KEPT_EVENTS = 200
"""Lines about its course that are kept."""


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
        """See `SearchCallback.on_search_start`."""
        self._estimate.set_plan(trainings, env_steps)
        self.add_event(f"at most {trainings} trainings of {env_steps:,} environment steps")

    def on_generation_start(self, brief: Brief) -> None:
        """See `SearchCallback.on_generation_start`."""
        self.add_event(f"generation {brief.generation} starts: {brief.population} programs")

    def on_stage(self, candidate: str, stage: str) -> None:
        """See `SearchCallback.on_stage`."""
        with self.changed:
            self.stages[candidate] = stage
            self.changed.notify_all()

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        """See `SearchCallback.on_curve_point`."""
        with self.changed:
            self._estimate.record_point(training, point)
            self.changed.notify_all()

    def on_training_end(self, training: str) -> None:
        """See `SearchCallback.on_training_end`."""
        with self.changed:
            self._estimate.record_end(training)
            self.stages.pop(owner_of_training(training), None)
            self.changed.notify_all()

    def on_candidate_end(self, candidate: Candidate) -> None:
        """See `SearchCallback.on_candidate_end`."""
        with self.changed:
            self.stages.pop(candidate.id, None)
            self.ended[candidate.id] = candidate
        outcome = f"fitness {format_number(candidate.fitness)}" if candidate.status == "ok" else candidate.cause or ""
        self.add_event(f"{candidate.id} {candidate.status}: {outcome}")

    def on_notice(self, text: str) -> None:
        """See `SearchCallback.on_notice`."""
        self.add_event(f"note: {text}")

    def on_search_end(self, result: Result) -> None:
        """See `SearchCallback.on_search_end`."""
        self.add_event(f"the search ends: the best program is {result.best.id}")
