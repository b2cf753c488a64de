"""Who leads by comparisons, how sure that is, and what makes it doubtful: too few answers, raters who disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import counted
from rewardsmith.search.feedback import bradley_terry
from rewardsmith.search.feedback.bradley_terry import Match, Pair, Strengths
from rewardsmith.search.feedback.events import Preference, State
from rewardsmith.search.feedback.state import state
from rewardsmith.search.storage import Run
from rewardsmith.spec.settings import FeedbackSettings

SCORES = {"a": 1.0, "b": 0.0, "equal": 0.5}
SURE = 0.9
"""Below this probability that the first is better than the second, the first place is called uncertain."""


@dataclass(frozen=True)
class Standing:
    """One candidate among the others."""

    candidate: str
    strength: float
    """Log-odds to be preferred to the average candidate."""
    low: float
    """Of its 95 % interval."""
    high: float
    elo: float
    wins: int
    losses: int
    ties: int
    score: float
    """What it is ranked by: its strength and, where a metric is blended in, that."""


@dataclass(frozen=True)
class Standings:
    """All candidates that have a trained policy, best first."""

    rows: tuple[Standing, ...]
    comparisons: int
    """How many answers they rest on; "neither" says nothing about an order and is not counted."""
    raters: tuple[str, ...]
    agreement: float | None
    """Part of the answers to the same pair by two raters that agree; None where no pair has two."""
    agreement_of: int
    """How many pairs of answers that is a part of."""
    warnings: tuple[str, ...]


def standings(run: Run) -> Standings:
    """Return the standings of a run as they are now.

    Raises:
        RunError: if the journal is damaged.
    """
    known = state(run)
    return rank(run.candidates(), known, known.settings(run.config.feedback))


def next_pairs(run: Run, count: int = 3) -> tuple[Pair, ...]:
    """Return the pairs of candidates about which an answer would tell most; see `standings` for what it raises."""
    known = state(run)
    strengths, preferences = _strengths(run.candidates(), known, known.settings(run.config.feedback))
    asked = Counter(frozenset(one.candidates) for one in preferences)
    return bradley_terry.next_pairs(strengths, count, asked)


def rank(candidates: Sequence[Candidate], state: State, settings: FeedbackSettings) -> Standings:
    """Return the standings by everything that was preferred; a judge's answers count where it is the one that ranks."""
    strengths, preferences = _strengths(candidates, state, settings)
    z = _metric(candidates)
    rows = [_row(item, strengths, preferences, settings.blend * z[item]) for item in strengths.items]
    rows.sort(key=lambda row: (-row.score, row.candidate))
    raters = tuple(dict.fromkeys(one.by for one in preferences))
    agreement, of = agreed(preferences)
    warnings = tuple(_warnings(rows, strengths, preferences, agreement, of))
    return Standings(tuple(rows), len(preferences), raters, agreement, of, warnings)


def apply(candidates: Sequence[Candidate], state: State, settings: FeedbackSettings) -> list[Candidate]:
    """Return the candidates with what they are ranked by; without a standing where fitness ranks."""
    if settings.rank == "metric":
        return [replace(candidate, standing=None) for candidate in candidates]
    scores = {row.candidate: row.score for row in rank(candidates, state, settings).rows}
    return [replace(candidate, standing=scores.get(candidate.id)) for candidate in candidates]


def agreed(preferences: Iterable[Preference]) -> tuple[float | None, int]:
    """Return which part of the answers by two raters to one pair agree, and how many such pairs of answers there are.

    A rater who answered one pair several times takes part with the last answer.
    """
    said: dict[frozenset[str], dict[str, str]] = {}
    for one in preferences:
        said.setdefault(frozenset(one.candidates), {})[one.by] = _winner(one)
    pairs = [pair for answers in said.values() for pair in combinations(answers.values(), 2)]
    return (sum(a == b for a, b in pairs) / len(pairs) if pairs else None), len(pairs)


def compared(candidates: Sequence[Candidate], preferences: Iterable[Preference]) -> set[str]:
    """Return the ids of the candidates about which there is an answer that tells something about their order."""
    known = {candidate.id for candidate in candidates}
    pairs = [one.candidates for one in preferences if one.answer in SCORES]
    return {id for a, b in pairs if a in known and b in known and a != b for id in (a, b)}


def rankable(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that have a trained policy to look at."""
    return [one for one in candidates if one.status == "ok" and one.fitness is not None]


def _strengths(
    candidates: Sequence[Candidate], state: State, settings: FeedbackSettings
) -> tuple[Strengths, list[Preference]]:
    items = [candidate.id for candidate in rankable(candidates)]
    counted = [*state.preferences, *(state.judged if settings.rank == "judge" else ())]
    preferences = [one for one in counted if one.answer in SCORES and set(one.candidates) <= set(items)]
    preferences = [one for one in preferences if len(set(one.candidates)) == 2]
    matches = [Match(*one.candidates, SCORES[one.answer]) for one in preferences]
    return bradley_terry.fit(items, matches, settings.prior), preferences


def _metric(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return each candidate's fitness in standard deviations from the mean over all of them."""
    items = rankable(candidates)
    values = np.array([candidate.fitness for candidate in items], dtype=np.float64)
    spread = float(values.std()) if len(values) else 0.0
    z = (values - values.mean()) / spread if spread > 0.0 else np.zeros(len(values))
    return {candidate.id: float(value) for candidate, value in zip(items, z, strict=True)}


def _row(item: str, strengths: Strengths, preferences: Sequence[Preference], metric: float) -> Standing:
    strength = float(strengths.mean[strengths.items.index(item)])
    low, high = strengths.interval(item)
    outcomes = Counter(_winner(one) for one in preferences if item in one.candidates)
    ties, wins = outcomes.pop("", 0), outcomes.pop(item, 0)
    losses = sum(outcomes.values())
    return Standing(
        item, strength, low, high, bradley_terry.elo(strength), wins, losses, ties, round(strength + metric, 9)
    )


def _winner(preference: Preference) -> str:
    """Return the id of the preferred candidate; "" for a tie."""
    a, b = preference.candidates
    return {"a": a, "b": b}.get(preference.answer, "")


def _warnings(
    rows: Sequence[Standing],
    strengths: Strengths,
    preferences: Sequence[Preference],
    agreement: float | None,
    agreement_of: int,
) -> Iterable[str]:
    n = len(rows)
    if n < 2:
        return
    if not preferences:
        yield "nobody has compared any two candidates yet"
        return
    if len(preferences) < n - 1:
        count = counted(len(preferences), "comparison")
        yield f"{count} cannot order {n} candidates; at least {n - 1} are needed"
    groups = _groups([row.candidate for row in rows], preferences)
    if len(groups) > 1:
        named = "; ".join(" ".join(sorted(group)) for group in groups)
        yield f"{len(groups)} groups were never compared with each other, only the prior orders them: {named}"
    if agreement is not None and agreement < 1.0:
        pairs = _disputed(preferences)
        yield f"raters disagree: {agreement:.0%} of {agreement_of} answers to the same pair agree ({pairs})"
    chance = strengths.chance(rows[0].candidate, rows[1].candidate)
    if chance < SURE:
        first, second = rows[0].candidate, rows[1].candidate
        yield f"the first place is not certain: {first} is preferred to {second} with a probability of {chance:.0%}"


def _groups(items: Sequence[str], preferences: Sequence[Preference]) -> list[set[str]]:
    """Return the sets of items that answers connect."""
    groups = [{item} for item in items]
    for one in preferences:
        joined = [group for group in groups if group & set(one.candidates)]
        groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return groups


def _disputed(preferences: Sequence[Preference]) -> str:
    said: dict[frozenset[str], dict[str, str]] = {}
    for one in preferences:
        said.setdefault(frozenset(one.candidates), {})[one.by] = _winner(one)
    pairs = [" – ".join(sorted(pair)) for pair, answers in said.items() if len(set(answers.values())) > 1]
    return ", ".join(pairs[:3]) + (" …" if len(pairs) > 3 else "")
