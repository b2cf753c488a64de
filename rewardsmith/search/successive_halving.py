"""A race: the trainings of one generation run up to a rung, where the lower ones end and the others go on.

This is successive halving over environment steps (Jamieson & Talwalkar, 2016). A training that goes on is continued
and not started again. Everybody waits at a rung until all who are still running have come, so that what is decided
does not depend on who is faster; the decision is an event in the journal, and a resumed search takes it from there.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.records import Rung
from rewardsmith.search.storage import Journal


@dataclass(frozen=True)
class Standing:
    """A candidate at a rung."""

    candidate: str
    fitness: float | None
    """Mean over its training seeds of the recent training episodes' fitness; None before the first ended."""


@dataclass(frozen=True)
class Decision:
    """Who goes on from a rung."""

    env_steps: int
    standings: tuple[Standing, ...]
    """Best first; equal ones by id, and those without a figure last."""
    kept: tuple[str, ...]
    reason: str


class Race:
    """The race of one generation; its methods are called from the threads of its trainings."""

    def __init__(
        self, journal: Journal, name: str, candidates: Sequence[str], seeds: Sequence[int], keep: float
    ) -> None:
        """Start it.

        Args:
            journal: where decisions are kept.
            name: of the generation, "g1" for instance.
            candidates: their ids.
            seeds: of each one's trainings.
            keep: part that goes on from a rung, in (0, 1]; at least one candidate does.
        """
        self._journal, self._name, self._keep = journal, name, keep
        self._running = {(candidate, seed) for candidate in candidates for seed in seeds}
        self._reported: dict[int, dict[tuple[str, int], float | None]] = {}
        self._decided: dict[int, Decision] = {}
        self._failed: RunError | None = None
        self._changed = threading.Condition()

    def lane(self, candidate: str) -> Lane:
        """Return the race as one candidate's trainings see it."""
        return Lane(self, candidate)

    def goes_on(self, candidate: str, seed: int, rung: Rung) -> bool:
        """Report a training at a rung, wait for the others, and return whether it goes on.

        Raises:
            RunError: if the decision cannot be written, for everybody who waits for it.
        """
        with self._changed:
            self._reported.setdefault(rung.env_steps, {})[candidate, seed] = rung.fitness
            self._decide()
            self._changed.wait_for(lambda: rung.env_steps in self._decided or self._failed)
            if self._failed:
                raise self._failed
            return candidate in self._decided[rung.env_steps].kept

    def leave(self, candidate: str, seed: int | None = None) -> None:
        """Take note that a training (all of a candidate's without a seed) runs no more, for whatever reason."""
        with self._changed:
            self._running = {
                (id, number) for id, number in self._running if id != candidate or seed not in (None, number)
            }
            self._decide()

    def _decide(self) -> None:
        """Decide the lowest open rung once everybody who is running has come to it."""
        for env_steps in sorted(self._reported.keys() - self._decided.keys()):
            figures = self._reported[env_steps]
            if not self._running or not self._running <= figures.keys():
                return
            reports: dict[str, list[float | None]] = {}
            for candidate, seed in sorted(self._running):
                reports.setdefault(candidate, []).append(figures[candidate, seed])
            key, make = f"{self._name}/evolution/{env_steps}", partial(decide, env_steps, reports, self._keep)
            try:
                self._decided[env_steps] = joined(self._journal.once(key, Decision, make), reports, self._keep)
            except RunError as error:
                self._failed = error  # a full disk, for instance: nobody waits for what cannot be written
                raise
            finally:
                self._changed.notify_all()


@dataclass(frozen=True)
class Lane:
    """The race as one candidate's trainings see it."""

    race: Race
    candidate: str

    def goes_on(self, seed: int, rung: Rung) -> bool:
        """Return whether a training goes on from a rung; see `Race.goes_on`."""
        return self.race.goes_on(self.candidate, seed, rung)

    def leave(self, seed: int | None = None) -> None:
        """Take note that a training, or all of them, runs no more."""
        self.race.leave(self.candidate, seed)


def decide(env_steps: int, reports: dict[str, list[float | None]], keep: float) -> Decision:
    """Decide who goes on.

    >>> decide(100, {"a": [1.0], "b": [3.0], "c": [None], "d": [2.0]}, 0.5).kept
    ('b', 'd')

    Args:
        env_steps: the rung.
        reports: candidate to the fitness of each of its trainings.
        keep: part that goes on, in (0, 1].
    """
    standings = [Standing(id, _mean(figures)) for id, figures in reports.items()]
    standings.sort(key=lambda one: (one.fitness is None, -(one.fitness or 0.0), one.candidate))
    count = max(1, math.ceil(keep * len(standings)))
    reason = f"{count} of {len(standings)} go on by the fitness of their recent training episodes"
    return Decision(env_steps, tuple(standings), tuple(one.candidate for one in standings[:count]), reason)


def joined(decision: Decision, reports: dict[str, list[float | None]], keep: float) -> Decision:
    """Return a decision with those who were not there when it was made, as a failure of the machine had ended them.

    Who would have been kept beside the others goes on; what was decided about the others stands.

    >>> known = decide(100, {"a": [1.0], "b": [3.0]}, 0.5)
    >>> joined(known, {"c": [2.0]}, 0.5).kept, joined(known, {"d": [0.0]}, 0.5).kept
    (('b', 'c'), ('b',))
    """
    there = {one.candidate: [one.fitness] for one in decision.standings}
    late = {id: figures for id, figures in reports.items() if id not in there}
    if not late:
        return decision
    anew = decide(decision.env_steps, there | late, keep)
    return replace(decision, standings=anew.standings, kept=(*decision.kept, *(id for id in anew.kept if id in late)))


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if known else None
