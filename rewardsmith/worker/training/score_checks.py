"""Checks that a program still scores as it did: a training scores transitions again, at moments drawn at random.

A reward depends on its arguments alone. A program that counts its calls, or looks at how many transitions a call has,
could pay one thing in the critic's trial scoring and another in training; here it fails, with the reason. The policy
never sees these scores: an honest program's training is the same to the last bit with and without the checks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.reward_program import Array, RewardProgram, Scores, Transitions
from rewardsmith.sandbox import RewardProcess
from rewardsmith.sandbox.reference_scores import ScoredBatch, find_different_term

Bools = NDArray[np.bool_]

KEPT_TRANSITIONS = 256
"""Transitions from the beginning of a training that are kept. A call of the first reward process takes as many."""
INTERVAL = 8_192
"""Transitions between two checks, on average. A check scores 46 transitions on average, which is 0.6 % of the scoring,
and the scoring is a small part of a training (benchmarks/LOG.md)."""
MIN_CHECKS = 8
"""Checks of a training that is shorter than so many intervals, about."""


class ScoreChecker:
    """Scores kept transitions again, now and then, and compares."""

    def __init__(self, program: RewardProgram, env_steps: int, reference: ScoredBatch | None) -> None:
        """Prepare the checks of one training.

        Args:
            program: what is trained on.
            env_steps: of the whole training.
            reference: what the program's trial scoring gave; None where it is not known.
        """
        self._program = program
        # Seeded by the operating system: no program can know it, and the training's random numbers stay as they are.
        self._rng = np.random.default_rng()
        self._interval = max(1, min(INTERVAL, env_steps // MIN_CHECKS))
        self._until_check = self._draw_interval()
        self._names: tuple[str, ...] = ()
        self._trial_names = frozenset(reference.terms) if reference else None
        self._batches = [reference] if reference else []
        self._recorder: BatchRecorder | None = BatchRecorder()

    def check_scores(self, process: RewardProcess, transitions: Transitions, ended: Bools, scores: Scores) -> None:
        """Check the names of a call's terms and, at random moments, score kept transitions again.

        Args:
            process: of the program.
            transitions: T * n, which the call scored.
            ended: (T, n), where an episode ended with the transition.
            scores: of the call.

        Raises:
            RewardFailed: if other terms or values come than before, or the program fails.
        """
        self._check_names(scores.terms)
        if self._recorder is not None:
            self._recorder.add(transitions, ended, scores.terms)
            if self._recorder.is_full:
                self._batches.append(self._recorder.build_batch())
                self._recorder = None

        self._until_check -= transitions.n
        if self._until_check <= 0 and self._batches:
            self._until_check = self._draw_interval()
            self._score_again(process, self._batches[self._rng.integers(len(self._batches))])

    def _draw_interval(self) -> int:
        """Return the transitions until the next check, from 1 to twice the mean."""
        return int(self._rng.integers(1, 2 * self._interval + 1))

    def _check_names(self, terms: Mapping[str, Array]) -> None:
        """Compare the terms' names with those of the trial scoring and of the calls before."""
        names = tuple(terms)
        if names == self._names:
            return
        if self._names and set(names) != set(self._names):
            raise _build_names_error(names, self._names, "an earlier call of the training")
        if self._trial_names is not None and self._trial_names != set(names):
            raise _build_names_error(names, sorted(self._trial_names), "the trial scoring")
        self._names = names

    def _score_again(self, process: RewardProcess, batch: ScoredBatch) -> None:
        """Score a part of a batch, of random size, and compare it with its scores."""
        rows, ended = self._choose_rows(batch)
        part = batch.transitions.select_rows(rows)
        try:
            if self._program.memory:
                start = {name: np.full(ended.shape[1], value) for name, value in self._program.memory.items()}
                scores = process.walk(part, ended, start)
            else:
                scores = process.score(part)
        except RewardFailed as failure:
            message = f"in a call of {part.n:,} transitions that it had scored before: {failure}"
            raise RewardFailed(message, code=failure.code, line=failure.line) from failure

        expected = {name: values[rows] for name, values in batch.terms.items()}
        if set(expected) != set(scores.terms):
            raise _build_names_error(tuple(scores.terms), tuple(expected), "an earlier call on the same transitions")
        name = find_different_term(expected, scores.terms)
        if name is not None:
            raise _build_value_error(name, expected[name], scores.terms[name])

    def _choose_rows(self, batch: ScoredBatch) -> tuple[NDArray[np.intp], Bools]:
        """Draw the rows of a part, and where its episodes ended; any rows, or with memory the first steps of some."""
        steps, n = batch.ended.shape
        if not self._program.memory:
            rows = self._rng.permutation(steps * n)[: self._draw_size(steps * n)]
            return rows, np.zeros((1, len(rows)), np.bool_)
        columns = self._rng.permutation(n)[: self._draw_size(n)]
        first_steps = np.arange(self._draw_size(steps))
        rows = (first_steps[:, None] * n + columns).ravel()
        return rows, batch.ended[: len(first_steps), columns]

    def _draw_size(self, most: int) -> int:
        """Return a size from 1 to `most`, each order of magnitude as likely as the next."""
        return min(most, int(math.exp(self._rng.uniform(0.0, math.log(most + 1)))))


class BatchRecorder:
    """Copies the first transitions of a training with their scores, over as many calls as they take."""

    def __init__(self) -> None:
        self._parts: list[ScoredBatch] = []
        self._kept = 0
        self.is_full = False
        """Whether no further step fits."""

    def add(self, transitions: Transitions, ended: Bools, terms: Mapping[str, Array]) -> None:
        """Copy the first steps of a call's transitions, as many as are still missing; at least one step."""
        steps, n = ended.shape
        missing_steps = min(steps, max(1, (KEPT_TRANSITIONS - self._kept) // n))
        rows = np.arange(missing_steps * n)
        kept_terms = {name: values[rows] for name, values in terms.items()}
        self._parts.append(ScoredBatch(transitions.select_rows(rows), ended[:missing_steps].copy(), kept_terms))
        self._kept += len(rows)
        self.is_full = self._kept + n > KEPT_TRANSITIONS

    def build_batch(self) -> ScoredBatch:
        """Return what is kept, in time order."""
        parts = self._parts
        transitions = Transitions.concatenate([part.transitions for part in parts])
        terms = {name: np.concatenate([part.terms[name] for part in parts]) for name in parts[0].terms}
        return ScoredBatch(transitions, np.concatenate([part.ended for part in parts]), terms)


def _build_value_error(name: str, expected: Array, repeated: Array) -> RewardFailed:
    """Return the failure for a term that scored differently, with the transition where it differs most."""
    worst = int(np.argmax(np.abs(repeated - expected)))
    before, now = float(expected[worst]), float(repeated[worst])
    digits = next((digits for digits in (3, 6) if f"{before:.{digits}g}" != f"{now:.{digits}g}"), 17)
    return RewardFailed(
        f"the term {name!r} gave {now:.{digits}g} for a transition that it had scored {before:.{digits}g} before: "
        "a reward must depend on its arguments alone",
        code="not-deterministic",
    )


def _build_names_error(names: tuple[str, ...], earlier: tuple[str, ...] | list[str], where: str) -> RewardFailed:
    return RewardFailed(
        f"the terms {_join_term_names(names)} are not those of {where}, {_join_term_names(earlier)}: "
        "return every term each time, 0 where it is idle",
        code="not-deterministic",
    )


def _join_term_names(names: tuple[str, ...] | list[str]) -> str:
    """Return the names of terms as a text, the first of them where they are many."""
    most = 6
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more
