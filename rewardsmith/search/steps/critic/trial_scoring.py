"""Trial scoring: runs a program on transitions recorded under random actions, in the sealed reward process.

It finds what no text shows: terms that are not always returned, and scores that differ when the same transitions are
scored again (`repeat_checks`). Its statistics show which terms are constant, too large, or drown the others.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.findings import MAX_PER_CODE, count_others, limit_findings
from rewardsmith.contract.records import Finding, Limits, Probe, TermStats, TrialScoring
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.contract.text import suggest_names
from rewardsmith.sandbox import RewardProcess, open_process
from rewardsmith.sandbox.recorded import TransitionFile
from rewardsmith.sandbox.recorded_scores import RecordedScores, RecordedTransitions, build_layout, score_recording
from rewardsmith.sandbox.reference_scores import choose_sample
from rewardsmith.search.steps.critic.repeat_checks import build_absence_finding, find_other_scores
from rewardsmith.search.steps.critic.source_lines import find_failure_line

TIMED_CALLS = 3
DROWNING_SHARE = 0.95
HUGE = 1e6
"""Magnitude of a weighted term from which sums of an episode lose the small terms' digits."""
SLOW_US = 100.0
"""Microseconds per transition that only a loop over transitions reaches; arrays cost about 0.2 to 2."""
ARRAYS_US = 1.0
"""Usual cost of arrays, in microseconds per transition."""


def score_trial(
    program: RewardProgram, probe: Probe, path: Path, limits: Limits
) -> tuple[TrialScoring | None, list[Finding]]:
    """Run a program on recorded transitions; see `check_program` for what it raises.

    Args:
        program: without errors in its text.
        probe: the catalogue, and the shape of an action.
        path: the .npz of the recording.
        limits: of the reward process.

    Returns:
        The statistics, None where the program failed; and the findings.
    """
    recording = TransitionFile(path).read(program)
    try:
        with open_process(program, build_layout(probe), limits) as process:
            scores, us_per_transition = _score_timed(process, recording)
            errors = [
                *_find_varying_terms(program, scores),
                *_find_unknown_weights(program, scores),
                *find_other_scores(process, recording, scores),
            ]
    except RewardFailed as failure:
        return None, limit_findings([_build_failure_finding(failure, program)])
    if any(finding.code == "terms-vary" for finding in errors):
        return None, limit_findings(errors)

    stats = compute_term_stats(program, scores)
    warnings = _find_warnings(program, scores, stats, us_per_transition)
    sample = choose_sample(program, recording, scores)
    scoring = TrialScoring(recording.transitions.n, us_per_transition, stats, sample)
    return scoring, limit_findings([*errors, *warnings])


def compute_term_stats(program: RewardProgram, scores: RecordedScores) -> tuple[TermStats, ...]:
    """Return the statistics of each term over a recording."""
    mean_sizes = {name: float(np.mean(np.abs(program.weight(name) * term))) for name, term in scores.terms.items()}
    total_size = sum(mean_sizes.values())
    return tuple(
        TermStats(
            name=name,
            weight=program.weight(name),
            mean=float(np.mean(term)),
            std=float(np.std(term)),
            min=float(np.min(term)),
            max=float(np.max(term)),
            share=mean_sizes[name] / total_size if total_size > 0.0 else 0.0,
        )
        for name, term in scores.terms.items()
    )


def describe_slowness(us: float) -> str:
    """Say that a program is slow, by decades, so that another measurement of the same program rarely changes the words.

    >>> describe_slowness(180.0)
    'scoring costs more than 100 µs per transition, over 100 times what whole arrays cost; compute without loops'

    Args:
        us: microseconds per transition, more than `SLOW_US`.
    """
    decade = 10 ** int(math.log10(us / ARRAYS_US))
    limit = f"scoring costs more than {SLOW_US:.0f} µs per transition"
    return f"{limit}, over {decade:,} times what whole arrays cost; compute without loops"


def _score_timed(process: RewardProcess, recording: RecordedTransitions) -> tuple[RecordedScores, float]:
    """Return the scores, and the microseconds per transition once the process is warm: the least of a few calls."""
    scores = score_recording(process, recording)
    seconds: list[float] = []
    for _ in range(1 if process.program.memory else TIMED_CALLS):
        began = time.perf_counter()
        score_recording(process, recording)
        seconds.append(time.perf_counter() - began)
    return scores, 1e6 * min(seconds) / recording.transitions.n


# ---------------------------------------------------------------- errors


def _build_failure_finding(failure: RewardFailed, program: RewardProgram) -> Finding:
    """Return the finding for a program that failed while it scored."""
    message = str(failure)
    if "read-only" in message:
        message += "; before, action, after, terminated and start are inputs: make a new array"
    return Finding(f"run-{failure.code}", message, line=find_failure_line(failure, program.source))


def _find_varying_terms(program: RewardProgram, scores: RecordedScores) -> Iterator[Finding]:
    """Find terms that are returned on some calls only; their scores are NaN on the others."""
    for name, values in scores.terms.items():
        if np.isnan(values).any():
            yield build_absence_finding(name, program)


def _find_unknown_weights(program: RewardProgram, scores: RecordedScores) -> Iterator[Finding]:
    """Find weights of terms that are not returned."""
    unknown = [name for name in program.weights if name not in scores.terms]
    for name in unknown[:MAX_PER_CODE]:
        suggestion = suggest_names(name, list(scores.terms))
        yield Finding("unknown-weight", f"WEIGHTS names {name!r}, which reward() does not return; {suggestion}")
    if len(unknown) > MAX_PER_CODE:
        yield count_others("unknown-weight", len(unknown) - MAX_PER_CODE)


# ---------------------------------------------------------------- warnings


def _find_warnings(
    program: RewardProgram, scores: RecordedScores, stats: tuple[TermStats, ...], us_per_transition: float
) -> Iterator[Finding]:
    """Find what does not stop a training, but makes a poor reward."""
    n = len(scores.total)
    if np.ptp(scores.total) == 0.0:
        message = (
            f"the total is {scores.total[0]:g} on all {n:,} transitions under random actions: nothing to learn from"
        )
        yield Finding("constant-total", message, "warning")
    for term in stats:
        yield from _find_term_warnings(term, n, is_only_term=len(stats) == 1)
    if us_per_transition > SLOW_US and not program.memory:
        yield Finding("slow", describe_slowness(us_per_transition), "warning")


def _find_term_warnings(term: TermStats, n: int, *, is_only_term: bool) -> Iterator[Finding]:
    """Find what is unusual about one term: constant, drowning the others, or huge."""
    if term.min == term.max:
        message = (
            f"the term {term.name!r} is {term.min:g} on all {n:,} transitions under random actions; a constant only "
            "rewards that the episode goes on"
        )
        yield Finding("constant-term", message, "warning")

    if term.share > DROWNING_SHARE and not is_only_term:
        message = (
            f"the term {term.name!r} makes {term.share:.0%} of the total under random actions and drowns the others; "
            f"lower its weight of {term.weight:g} or bound it"
        )
        yield Finding("drowning-term", message, "warning")

    largest = abs(term.weight) * max(abs(term.min), abs(term.max))
    if largest > HUGE:
        message = f"the weighted term {term.name!r} reaches {largest:.3g}; keep it below {HUGE:g}, best near 1"
        yield Finding("huge-term", message, "warning")
