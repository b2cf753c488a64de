"""Successive halving: the trainings of one generation run up to a rung, where the lower ones end and the others go on.

It is over environment steps (Jamieson & Talwalkar, 2016). A training that goes on is continued and not started
again. Everybody waits at a rung until all who are still running have come, so that what is decided
does not depend on who is faster; the decision is an event in the journal, and a resumed search takes it from there.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from rewardsmith.contract.errors import RunError
from rewardsmith.contract.known_values import average_known
from rewardsmith.contract.records import Rung
from rewardsmith.search.storage import Journal
from rewardsmith.search.storage.journal_keys import rung_key

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RungResult:
    """A candidate at a rung."""

    candidate: str
    fitness: float | None
    """Mean over its training seeds of the recent training episodes' fitness; None before the first ended."""


@dataclass(frozen=True)
class RungDecision:
    """The candidates that continue from a rung."""

    env_steps: int
    standings: tuple[RungResult, ...]
    """Results, best first; equal ones by id, and those without a fitness last."""
    kept: tuple[str, ...]
    reason: str


class SuccessiveHalving:
    """Successive halving in one generation; its methods are called from the threads of its trainings."""

    def __init__(
        self, journal: Journal, generation: int, candidates: Sequence[str], seeds: Sequence[int], keep: float
    ) -> None:
        """Begin with every training running.

        Args:
            journal: where decisions are kept.
            generation: whose trainings these are.
            candidates: their ids.
            seeds: of each one's trainings.
            keep: part that goes on from a rung, in (0, 1]; at least one candidate does.
        """
        self._journal, self._generation, self._keep = journal, generation, keep
        self._running = {(candidate, seed) for candidate in candidates for seed in seeds}
        self._reported: dict[int, dict[tuple[str, int], float | None]] = {}
        self._decided: dict[int, RungDecision] = {}
        self._failed: RunError | None = None
        self._changed = threading.Condition()

    def handle_for(self, candidate: str) -> CandidateHandle:
        """Return what one candidate's trainings hold of it."""
        return CandidateHandle(self, candidate)

    def should_continue(self, candidate: str, seed: int, rung: Rung) -> bool:
        """Report a training at a rung, wait for the others, and return whether it continues.

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

    def withdraw(self, candidate: str, seed: int | None = None) -> None:
        """Take note that a training (all of a candidate's without a seed) runs no more, for whatever reason."""
        with self._changed:
            self._running = {
                (id, number) for id, number in self._running if id != candidate or seed not in (None, number)
            }
            self._decide()

    def _decide(self) -> None:
        """Decide the lowest open rung once everybody who is running has come to it."""
        for env_steps in sorted(self._reported.keys() - self._decided.keys()):
            fitness = self._reported[env_steps]
            if not self._running or not self._running <= fitness.keys():
                return
            reports: dict[str, list[float | None]] = {}
            for candidate, seed in sorted(self._running):
                reports.setdefault(candidate, []).append(fitness[candidate, seed])
            key, decide = rung_key(self._generation, env_steps), partial(decide_rung, env_steps, reports, self._keep)
            try:
                decision = self._journal.once(key, RungDecision, decide)
                self._decided[env_steps] = add_latecomers(decision, reports, self._keep)
                kept = ", ".join(self._decided[env_steps].kept)
                logger.info("rung %d of g%d: %s go on; %s", env_steps, self._generation, kept, decision.reason)
            except RunError as error:
                self._failed = error  # a full disk, for instance: nobody waits for what cannot be written
                raise
            finally:
                self._changed.notify_all()


@dataclass(frozen=True)
class CandidateHandle:
    """One candidate's place in successive halving; as a context, it withdraws the candidate at the end."""

    halving: SuccessiveHalving
    candidate: str

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.withdraw()

    def should_continue(self, seed: int, rung: Rung) -> bool:
        """Return whether a training goes on from a rung; see `SuccessiveHalving.should_continue`."""
        return self.halving.should_continue(self.candidate, seed, rung)

    def withdraw(self, seed: int | None = None) -> None:
        """Take note that a training, or all of them, runs no more."""
        self.halving.withdraw(self.candidate, seed)


def decide_rung(env_steps: int, reports: dict[str, list[float | None]], keep: float) -> RungDecision:
    """Decide which candidates continue from a rung.

    >>> decide_rung(100, {"a": [1.0], "b": [3.0], "c": [None], "d": [2.0]}, 0.5).kept
    ('b', 'd')

    Args:
        env_steps: the rung.
        reports: candidate to the fitness of each of its trainings.
        keep: part that continues, in (0, 1].
    """
    standings = [RungResult(id, average_known(values)) for id, values in reports.items()]
    standings.sort(key=lambda result: (result.fitness is None, -(result.fitness or 0.0), result.candidate))
    count = max(1, math.ceil(keep * len(standings)))
    reason = f"{count} of {len(standings)} go on by the fitness of their recent training episodes"
    kept = tuple(result.candidate for result in standings[:count])
    return RungDecision(env_steps, tuple(standings), kept, reason)


def add_latecomers(decision: RungDecision, reports: dict[str, list[float | None]], keep: float) -> RungDecision:
    """Return a decision with the candidates that were absent when it was made, as a failure of the machine ended them.

    A latecomer continues if it would have been kept beside the others; what was decided about the others stands.

    >>> decision = decide_rung(100, {"a": [1.0], "b": [3.0]}, 0.5)
    >>> add_latecomers(decision, {"c": [2.0]}, 0.5).kept, add_latecomers(decision, {"d": [0.0]}, 0.5).kept
    (('b', 'c'), ('b',))
    """
    present = {result.candidate: [result.fitness] for result in decision.standings}
    late = {id: values for id, values in reports.items() if id not in present}
    if not late:
        return decision
    joint = decide_rung(decision.env_steps, present | late, keep)
    kept_latecomers = [id for id in joint.kept if id in late]
    return replace(decision, standings=joint.standings, kept=(*decision.kept, *kept_latecomers))
