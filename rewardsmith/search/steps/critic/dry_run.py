"""What a program does on transitions recorded under random actions, in the sealed reward process."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import DryRun, Finding, Limits, Probe, TermStats
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.sandbox import RewardProcess, open_process, recorded
from rewardsmith.sandbox.recorded import Indices, Outcome, Recording, score
from rewardsmith.search.steps.critic.source_lines import line_of, line_of_term
from rewardsmith.search.steps.critic.static_checks import nearest

TIMED_CALLS = 3
DROWNING_SHARE = 0.95
HUGE = 1e6
"""Magnitude of a weighted term from which sums of an episode lose the small terms' digits."""
SLOW_US = 100.0
"""Microseconds per transition that only a loop over transitions reaches; arrays cost about 0.2 to 2."""
ARRAYS_US = 1.0
"""What arrays cost, about."""


def dry_run(program: RewardProgram, probe: Probe, path: Path, limits: Limits) -> tuple[DryRun | None, list[Finding]]:
    """Run a program on recorded transitions; see `review` in this package for what it raises.

    Args:
        program: without errors in its text.
        probe: the catalogue, and the shape of an action.
        path: the .npz of the recording.
        limits: of the reward process.

    Returns:
        The figures, None where the program failed; and what was found.
    """
    recording = recorded.probe(path, program)
    try:
        with open_process(program, recorded.layout(probe), limits) as process:
            outcome, us = _timed(process, recording)
            errors = [*_terms_that_vary(program, outcome), *_unknown_weights(program, outcome)]
            errors += [*_change(process, recording, outcome), *_mixing(process, recording, outcome)]
    except RewardFailed as failure:
        return None, [_told(failure, program)]
    if any(finding.code == "terms-vary" for finding in errors):
        return None, errors
    stats = statistics(program, outcome)
    return DryRun(recording.transitions.n, us, stats), [*errors, *_warnings(program, outcome, stats, us)]


# ---------------------------------------------------------------- running


def _timed(process: RewardProcess, recording: Recording) -> tuple[Outcome, float]:
    """Return what the program gives, and the microseconds per transition once it is warm: the least of a few calls."""
    outcome = score(process, recording)
    seconds: list[float] = []
    for _ in range(1 if process.program.memory else TIMED_CALLS):
        began = time.perf_counter()
        score(process, recording)
        seconds.append(time.perf_counter() - began)
    return outcome, 1e6 * min(seconds) / recording.transitions.n


# ---------------------------------------------------------------- errors


def _told(failure: RewardFailed, program: RewardProgram) -> Finding:
    message = str(failure)
    if "read-only" in message:
        message += "; before, action, after and start are inputs: make a new array"
    return Finding(f"run-{failure.code}", message, line=line_of(failure, program.source))


def _terms_that_vary(program: RewardProgram, outcome: Outcome) -> Iterator[Finding]:
    for name, values in outcome.terms.items():
        if np.isnan(values).any():
            message = (
                f"the term {name!r} is returned on some calls only; return every term each time, 0 where it is idle"
            )
            yield Finding("terms-vary", message, line=line_of_term(name, program.source))


def _unknown_weights(program: RewardProgram, outcome: Outcome) -> Iterator[Finding]:
    for name in program.weights:
        if name not in outcome.terms:
            message = f"WEIGHTS names {name!r}, which reward() does not return; {nearest(name, list(outcome.terms))}"
            yield Finding("unknown-weight", message)


def _change(process: RewardProcess, recording: Recording, outcome: Outcome) -> Iterator[Finding]:
    """Find values that differ from call to call."""
    name = _difference(outcome, score(process, recording), rtol=0.0)
    if name is not None:
        message = (
            f"the term {name!r} differs between two calls on the same transitions; a reward has no state of its own"
        )
        message += ": declare MEMORY = {...} and take the argument `memory`"
        yield Finding("not-deterministic", message, line=line_of_term(name, process.program.source))


def _mixing(process: RewardProcess, recording: Recording, outcome: Outcome) -> Iterator[Finding]:
    """Find values that depend on which other transitions are in the call, as a mean over axis 0 does."""
    for episodes in _parts(process.program, recording):
        part = recording.part(*episodes)
        try:
            scored = score(process, part)
        except RewardFailed as failure:
            message = f"in a smaller call, of {part.transitions.n:,} transitions: {failure}"
            raise RewardFailed(message, code=failure.code, line=failure.line) from failure
        name = _difference(outcome.at(np.concatenate(episodes)), scored, rtol=1e-6)
        if name is not None:
            message = f"the term {name!r} of a transition depends on the others in the call; axis 0 is the transition"
            message += ": reduce over axis=1, never over axis 0 or over all axes"
            yield Finding("mixes-transitions", message, line=line_of_term(name, process.program.source))
            return


def _parts(program: RewardProgram, recording: Recording) -> list[list[Indices]]:
    """Return parts of a recording to score alone: shuffled halves and single transitions, or single episodes."""
    if program.memory:
        return [[recording.episodes[-1]]]
    n = recording.transitions.n
    shuffled = np.random.default_rng(0).permutation(n)
    return [[shuffled[: n // 2]], [shuffled[:1]]]


def _difference(first: Outcome, second: Outcome, rtol: float) -> str | None:
    """Return a term that the two do not have alike; None where there is none."""
    for name in {**first.terms, **second.terms}:
        a, b = first.terms.get(name), second.terms.get(name)
        if a is None or b is None:
            return name
        scale = float(np.nanmax(np.abs(a), initial=0.0))
        if not np.allclose(a, b, rtol=rtol, atol=rtol * scale, equal_nan=True):
            return name
    return None


# ---------------------------------------------------------------- figures and warnings


def statistics(program: RewardProgram, outcome: Outcome) -> tuple[TermStats, ...]:
    """Return each term's figures over the recording."""
    sizes = {name: float(np.mean(np.abs(program.weight(name) * term))) for name, term in outcome.terms.items()}
    whole = sum(sizes.values())
    return tuple(
        TermStats(
            name=name,
            weight=program.weight(name),
            mean=float(np.mean(term)),
            std=float(np.std(term)),
            min=float(np.min(term)),
            max=float(np.max(term)),
            share=sizes[name] / whole if whole > 0.0 else 0.0,
        )
        for name, term in outcome.terms.items()
    )


def _warnings(program: RewardProgram, outcome: Outcome, stats: tuple[TermStats, ...], us: float) -> Iterator[Finding]:
    n = len(outcome.total)
    if np.ptp(outcome.total) == 0.0:
        message = (
            f"the total is {outcome.total[0]:g} on all {n:,} transitions under random actions: nothing to learn from"
        )
        yield Finding("constant-total", message, "warning")
    for term in stats:
        yield from _about_term(term, n, alone=len(stats) == 1)
    if us > SLOW_US and not program.memory:
        yield Finding("slow", slowness(us), "warning")


def slowness(us: float) -> str:
    """Say that a program is slow, in words that a measurement of the same program changes hardly ever: by decades.

    >>> slowness(180.0)
    'scoring costs more than 100 µs per transition, over 100 times what whole arrays cost; compute without loops'

    Args:
        us: microseconds per transition, more than `SLOW_US`.
    """
    decade = 10 ** int(math.log10(us / ARRAYS_US))
    limit = f"scoring costs more than {SLOW_US:.0f} µs per transition"
    return f"{limit}, over {decade:,} times what whole arrays cost; compute without loops"


def _about_term(term: TermStats, n: int, alone: bool) -> Iterator[Finding]:
    if term.min == term.max:
        message = (
            f"the term {term.name!r} is {term.min:g} on all {n:,} transitions under random actions; a constant only "
        )
        yield Finding("constant-term", f"{message}rewards that the episode goes on", "warning")
    if term.share > DROWNING_SHARE and not alone:
        message = (
            f"the term {term.name!r} makes {term.share:.0%} of the total under random actions and drowns the others"
        )
        yield Finding("drowning-term", f"{message}; lower its weight of {term.weight:g} or bound it", "warning")
    largest = abs(term.weight) * max(abs(term.min), abs(term.max))
    if largest > HUGE:
        message = f"the weighted term {term.name!r} reaches {largest:.3g}; keep it below {HUGE:g}, best near 1"
        yield Finding("huge-term", message, "warning")
