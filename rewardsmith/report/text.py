"""Text from outside, made fit for a terminal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewardsmith.contract.text import counted

if TYPE_CHECKING:
    from rewardsmith.contract.records import Candidate, Result

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def plain(text: str) -> str:
    r"""Return the text without control characters: no escape sequence of a program reaches the terminal.

    >>> plain("red \x1b[31mherring")
    'red ?[31mherring'
    """
    return CONTROL.sub("?", text)


def figure(value: float | None, digits: int = 4) -> str:
    """Return a figure for a table: significant digits, and a dash where there is none.

    >>> figure(1234.567), figure(0.00123), figure(None)
    ('1235', '0.00123', '–')
    """
    if value is None:
        return "–"
    if value != 0 and abs(value) >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def duration(seconds: float) -> str:
    """Return a duration as people read it.

    >>> duration(8), duration(75), duration(3723)
    ('8 s', '1 min 15 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def verdict(result: Result) -> str | None:
    """Return in words how the reported program fared against the environment's own reward; None without both.

    Where two 95 % intervals do not overlap, a test of the difference at the 5 % level finds one too, and finds some
    that overlapping intervals hide: "apart" is said with caution, and an overlap says nothing about equality.
    """
    program, own = result.reported, result.baselines.own_reward
    if program is None or own is None:
        return None
    if len(program.values) != len(own.values):
        return "no verdict on the environment's own reward: a training gave no figure, and those left may flatter"
    if program.low is None or program.high is None or own.low is None or own.high is None:
        return "one training seed: no interval, so no verdict on the environment's own reward"
    if program.low == program.high or own.low == own.high:
        return "no verdict on the environment's own reward: training seeds that all gave one figure make no interval"
    if program.low <= own.high and own.low <= program.high:
        return (
            "not told apart from the environment's own reward: the 95 % intervals overlap; more training seeds may tell"
        )
    word = "better" if program.mean > own.mean else "worse"
    return f"{word} than the environment's own reward: the 95 % intervals do not overlap"


def remarks(candidate: Candidate) -> list[str]:
    """Return what the user should know of a candidate beside its figure: alarms, and what its review left open."""
    lines = [f"alarm: {alarm}" for alarm in (candidate.feedback.alarms if candidate.feedback else ())]
    found = candidate.verdict.findings if candidate.verdict and candidate.status == "ok" else ()
    return lines + [finding.message for finding in found if finding.code == "review"]


def further(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the names of the figures that were measured of candidates beside their fitness."""
    return tuple(dict.fromkeys(name for one in candidates for found in one.evaluations for name in found.figures))


def further_of(candidate: Candidate, names: Sequence[str]) -> list[float | None]:
    """Return a candidate's figures, each the mean over its trainings; None where it was not measured."""
    from rewardsmith.search.steps import evaluator

    over = evaluator.figures(candidate.evaluations)
    return [over[name].mean if name in over else None for name in names]


def saved(candidates: Sequence[Candidate]) -> str | None:
    """Return what the gates before training saved; None where they held nothing back.

    >>> from rewardsmith.contract.records import Candidate, Gate, Proposal
    >>> saved([Candidate("g1c00", 1, 0, Proposal("", "test"), "duplicate", gates=(Gate("duplicate", 2000),))])
    'the gates held 1 program back (1 duplicate), 2,000 environment steps of training'
    """
    held = [gate for candidate in candidates for gate in candidate.gates]
    if not held:
        return None
    counts = Counter(gate.name for gate in held)
    kinds = ", ".join(
        counted(count, name) if name == "duplicate" else f"{count} {name}" for name, count in counts.items()
    )
    # A slot is trained once at most, and not at all where none of its programs passed.
    untrained = [one for one in candidates if one.gates and one.status in ("invalid", "duplicate")]
    steps = sum(one.gates[-1].env_steps for one in untrained)
    spared = counted(steps, "environment step")
    return f"the gates held {counted(len(held), 'program')} back ({kinds}), {spared} of training"
