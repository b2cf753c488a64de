"""Checks that the score of a transition depends on its arguments alone: recorded transitions are scored again.

First in the same call, and in parts of fixed sizes: that finds the honest mistakes, such as a mean over axis 0. Then in
calls whose number and sizes nobody can foresee: that finds a program that counts its calls or looks at how many
transitions a call has. What shows only later, in training, the trainer finds: it scores transitions again too
(`worker/training/score_checks`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Finding
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.sandbox import RewardProcess
from rewardsmith.sandbox.recorded_scores import Indices, RecordedScores, RecordedTransitions, score_recording
from rewardsmith.sandbox.reference_scores import find_different_term
from rewardsmith.search.steps.critic.source_lines import find_term_line

RANDOM_CALLS = (8, 20)
"""Least and greatest number of random calls. They cost about as much as three calls on the whole recording."""
RANDOM_WALKS = (3, 6)
"""The same for a program with memory, each over the first steps of some episodes."""
MAX_WALK_STEPS = 64


def find_other_scores(
    process: RewardProcess, recording: RecordedTransitions, scores: RecordedScores
) -> Iterator[Finding]:
    """Find a term that gives other scores when the transitions of a recording are scored again.

    Args:
        process: of the program.
        recording: what was scored.
        scores: of the first call.

    Raises:
        RewardFailed: if the program misbehaves.
        WorkerFailed: if the process fails otherwise.
    """
    fixed = [*_find_nondeterminism(process, recording, scores), *_find_mixing(process, recording, scores)]
    yield from fixed
    if not fixed:
        yield from _find_in_random_calls(process, recording, scores)


def _find_nondeterminism(
    process: RewardProcess, recording: RecordedTransitions, scores: RecordedScores
) -> Iterator[Finding]:
    """Find values that differ from call to call."""
    name = find_different_term(scores.terms, score_recording(process, recording).terms, tolerance=0.0)
    if name is not None:
        yield _build_state_finding(name, process.program)


def _find_mixing(process: RewardProcess, recording: RecordedTransitions, scores: RecordedScores) -> Iterator[Finding]:
    """Find values that depend on which other transitions are in the call, as a mean over axis 0 does."""
    for episodes in _choose_parts(process.program, recording):
        part = recording.select_episodes(*episodes)
        part_scores = _score_part(process, part)
        name = find_different_term(scores.select_rows(np.concatenate(episodes)).terms, part_scores.terms)
        if name is not None:
            is_returned = name in scores.terms and name in part_scores.terms
            build_finding = _build_mixing_finding if is_returned else build_absence_finding
            yield build_finding(name, process.program)
            return


def _find_in_random_calls(
    process: RewardProcess, recording: RecordedTransitions, scores: RecordedScores
) -> Iterator[Finding]:
    """Find values that change after some calls, or with sizes that the other checks do not have."""
    # Seeded by the operating system, so that no program can know the calls. One that depends on its arguments alone
    # passes them all, whatever they are: its verdict is always the same.
    rng = np.random.default_rng()
    least, greatest = RANDOM_WALKS if process.program.memory else RANDOM_CALLS
    for _ in range(rng.integers(least, greatest + 1)):
        episodes = _draw_part(rng, process.program, recording)
        part_scores = _score_part(process, recording.select_episodes(*episodes))
        name = find_different_term(scores.select_rows(np.concatenate(episodes)).terms, part_scores.terms)
        if name is None:
            continue
        if name not in scores.terms or name not in part_scores.terms:
            yield build_absence_finding(name, process.program)
            return

        # The whole recording once more tells state from a dependence on the size of the call.
        whole = score_recording(process, recording)
        if find_different_term(scores.terms, whole.terms, tolerance=0.0) is None:
            yield _build_mixing_finding(name, process.program)
        else:
            yield _build_state_finding(name, process.program)
        return


def _choose_parts(program: RewardProgram, recording: RecordedTransitions) -> list[list[Indices]]:
    """Return parts of a recording to score alone: a shuffled half and a single transition, or a single episode."""
    if program.memory:
        return [[recording.episodes[-1]]]
    n = recording.transitions.n
    shuffled = np.random.default_rng(0).permutation(n)
    return [[shuffled[: n // 2]], [shuffled[:1]]]


def _draw_part(rng: np.random.Generator, program: RewardProgram, recording: RecordedTransitions) -> list[Indices]:
    """Draw some transitions, or with memory the first steps of some episodes, the longest first."""
    if program.memory:
        count = _draw_size(rng, len(recording.episodes))
        chosen = sorted(rng.permutation(len(recording.episodes))[:count])
        steps = _draw_size(rng, MAX_WALK_STEPS)
        return [recording.episodes[index][:steps] for index in chosen]
    n = recording.transitions.n
    return [rng.permutation(n)[: _draw_size(rng, n)]]


def _draw_size(rng: np.random.Generator, most: int) -> int:
    """Return a size from 1 to `most`, each order of magnitude as likely as the next."""
    return min(most, int(math.exp(rng.uniform(0.0, math.log(most + 1)))))


def _score_part(process: RewardProcess, part: RecordedTransitions) -> RecordedScores:
    """Score a part alone; the message of a failure says that the call was a smaller one."""
    try:
        return score_recording(process, part)
    except RewardFailed as failure:
        message = f"in a smaller call, of {part.transitions.n:,} transitions: {failure}"
        raise RewardFailed(message, code=failure.code, line=failure.line) from failure


def build_absence_finding(name: str, program: RewardProgram) -> Finding:
    """Return the finding for a term that some calls do not return."""
    message = f"the term {name!r} is returned on some calls only; return every term each time, 0 where it is idle"
    return Finding("terms-vary", message, line=find_term_line(name, program.source))


def _build_state_finding(name: str, program: RewardProgram) -> Finding:
    message = (
        f"the term {name!r} differs between two calls on the same transitions; a reward has no state of its own: "
        "declare MEMORY = {...} and take the argument `memory`"
    )
    return Finding("not-deterministic", message, line=find_term_line(name, program.source))


def _build_mixing_finding(name: str, program: RewardProgram) -> Finding:
    message = (
        f"the term {name!r} of a transition depends on the others in the call; axis 0 is the transition: "
        "reduce over axis=1, never over axis 0 or over all axes"
    )
    return Finding("mixes-transitions", message, line=find_term_line(name, program.source))
