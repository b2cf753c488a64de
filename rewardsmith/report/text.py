"""Text for people: numbers, durations, verdicts and remarks, safe to print on a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewardsmith.contract.text import format_number, pluralize

if TYPE_CHECKING:
    from rewardsmith.contract.records import Candidate, Result

CONTROL_CHARS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def replace_control_chars(text: str) -> str:
    r"""Replace control characters by "?", so that no escape sequence of a program reaches the terminal.

    >>> replace_control_chars("red \x1b[31mherring")
    'red ?[31mherring'
    """
    return CONTROL_CHARS.sub("?", text)


def format_duration(seconds: float) -> str:
    """Format a duration for people.

    >>> format_duration(8), format_duration(75), format_duration(3723)
    ('8 s', '1 min 15 s', '1 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def compare_with_baseline(result: Result) -> str | None:
    """Say whether the reported program is better than the environment reward; None if one of them was not measured.

    The difference of the means is tested at the 5 % level (Welch's t-test over training seeds).
    """
    from rewardsmith.search.intervals import difference_interval

    program, baseline = result.reported, result.baselines.environment_reward
    if program is None or baseline is None:
        return None

    if len(program.values) != len(baseline.values):
        return "not compared with the environment reward: a training failed, and the rest may be biased upwards"
    if len(program.values) < 2:
        return "not compared with the environment reward: one training seed gives no interval"
    if len(set(program.values)) == 1 or len(set(baseline.values)) == 1:
        return "not compared with the environment reward: all training seeds gave the same value"

    low, high = difference_interval(program.values, baseline.values)
    if low <= 0.0 <= high:
        seeds = pluralize(len(program.values), "seed")
        return f"no significant difference from the environment reward ({seeds} each); run more seeds to decide"
    word = "better" if low > 0.0 else "worse"
    bounds = f"{format_number(low, 3)}, {format_number(high, 3)}"
    difference = format_number(program.mean - baseline.mean, 3)
    return f"{word} than the environment reward: difference {difference} [{bounds}], 95 % interval"


def collect_remarks(candidate: Candidate) -> list[str]:
    """Return the alarms of a candidate, and the concerns of its review that its author did not resolve."""
    alarms = candidate.reflection.alarms if candidate.reflection else ()
    findings = candidate.verdict.findings if candidate.verdict and candidate.status == "ok" else ()
    concerns = [finding.message for finding in findings if finding.code == "review"]
    return [f"alarm: {alarm}" for alarm in alarms] + concerns


def metric_names(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Return the names of the metrics that were measured in addition to the fitness."""
    evaluations = [evaluation for candidate in candidates for evaluation in candidate.evaluations]
    return tuple(dict.fromkeys(name for evaluation in evaluations for name in evaluation.metrics))


def mean_metrics(candidate: Candidate, names: Sequence[str]) -> list[float | None]:
    """Return a candidate's metrics, each the mean over its trainings; None for one that was not measured."""
    return [candidate.average_metric(name) for name in names]
