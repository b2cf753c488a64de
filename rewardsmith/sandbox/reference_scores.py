"""Reference scores: a few recorded transitions with a program's scores, which its training scores again.

choose_sample     picks the transitions of a trial scoring, for its record
build_reference   puts their signals to them, for a training job
ScoredBatch       transitions with their scores, as a training holds them
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.contract.records import ReferenceScores, ScoredSample
from rewardsmith.contract.reward_program import STATES, Array, RewardProgram, Transitions
from rewardsmith.sandbox.inside.wire import Bools
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.sandbox.recorded_scores import RecordedScores, RecordedTransitions

SAMPLE_ROWS = 16
SAMPLE_NUMBERS = 20_000
"""Numbers of all signals in a sample, about: a job's file stays below half a megabyte."""
REPEAT_TOLERANCE = 1e-6
"""Relative difference of a term, scored again in a call of another size or on another machine, that rounding explains:
sums and products are taken in another order then."""


@dataclass(frozen=True)
class ScoredBatch:
    """T steps of n transitions with their scores; where the program has memory, they begin with its start values."""

    transitions: Transitions
    """T * n, step after step."""
    ended: Bools
    """(T, n), where an episode ended with the transition."""
    terms: Mapping[str, Array]
    """Term name to (T * n,)."""


def choose_sample(
    program: RewardProgram, recording: RecordedTransitions, scores: RecordedScores
) -> ScoredSample | None:
    """Choose transitions of a recording that stand for its scores.

    Returns:
        None where a signal of theirs is not finite.
    """
    transitions = recording.transitions
    arrays = [transitions.action, *(array for state in STATES for array in getattr(transitions, state).values())]
    width = sum(math.prod(array.shape[1:]) for array in arrays)
    count = max(1, min(SAMPLE_ROWS, SAMPLE_NUMBERS // max(width, 1)))

    # With memory the first steps of an episode, else rows that are spread over the recording.
    if program.memory:
        rows = recording.episodes[0][:count]
    else:
        rows = np.unique(np.linspace(0, transitions.n - 1, count).astype(np.intp))
    if not all(np.isfinite(array[rows]).all() for array in arrays):
        return None
    return ScoredSample(
        rows=tuple(int(row) for row in rows),
        terms={name: tuple(values[rows].tolist()) for name, values in scores.terms.items()},
    )


def build_reference(path: Path, program: RewardProgram, sample: ScoredSample) -> ReferenceScores:
    """Return a sample with the signals of its transitions.

    Args:
        path: the .npz of the recording that the sample was chosen from.
        program: says which signals are needed.
        sample: of its trial scoring.

    Raises:
        OSError: if the recording cannot be read.
    """
    rows = np.array(sample.rows, np.intp)
    transitions = TransitionFile(path).read(program).transitions
    states = {
        state: {name: tuple(array[rows].ravel().tolist()) for name, array in getattr(transitions, state).items()}
        for state in STATES
    }
    terminated = () if transitions.terminated is None else tuple(transitions.terminated[rows].tolist())
    return ReferenceScores(
        action=tuple(transitions.action[rows].ravel().tolist()), terms=sample.terms, terminated=terminated, **states
    )


def read_reference(reference: ReferenceScores, shapes: Mapping[str, tuple[int, ...]], action_width: int) -> ScoredBatch:
    """Return the reference of a job as arrays: the transitions of one environment, step after step.

    Args:
        reference: of the job.
        shapes: signal name to the shape of one transition's value.
        action_width: numbers of an action.
    """
    m = len(next(iter(reference.terms.values())))

    def read_state(signals: Mapping[str, tuple[float, ...]]) -> dict[str, Array]:
        return {name: np.array(values).reshape(m, *shapes[name]) for name, values in signals.items()}

    transitions = Transitions(
        np.array(reference.action).reshape(m, action_width),
        before=read_state(reference.before),
        after=read_state(reference.after),
        start=read_state(reference.start),
        terminated=np.array(reference.terminated, np.bool_) if reference.terminated else None,
    )
    terms = {name: np.array(values) for name, values in reference.terms.items()}
    return ScoredBatch(transitions, np.zeros((m, 1), np.bool_), terms)


def find_different_term(
    expected: Mapping[str, Array], repeated: Mapping[str, Array], tolerance: float = REPEAT_TOLERANCE
) -> str | None:
    """Return a term whose scores differ by more than `tolerance` of its greatest value; None if there is no such term.

    Args:
        expected: term name to the scores (n,) of an earlier call; NaN where the term was not returned.
        repeated: the same of a later one.
        tolerance: 0 asks for equal bits.
    """
    for name in {**expected, **repeated}:
        a, b = expected.get(name), repeated.get(name)
        if a is None or b is None:
            return name
        # Nearly always the bits are equal, which is found faster than a difference within rounding.
        if np.array_equal(a, b):
            continue
        scale = float(np.nanmax(np.abs(a), initial=0.0))
        if not np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True):
            return name
    return None
