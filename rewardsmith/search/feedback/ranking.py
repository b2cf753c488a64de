"""Ranking of the candidates by comparisons, and its uncertainty: few answers, raters who disagree, a close lead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rewardsmith.contract.records import Candidate
from rewardsmith.contract.text import pluralize
from rewardsmith.search.feedback import bradley_terry
from rewardsmith.search.feedback.bradley_terry import PairwiseOutcome, StrengthEstimate, SuggestedPair
from rewardsmith.search.feedback.events import FeedbackState, Preference
from rewardsmith.search.feedback.state import load_state
from rewardsmith.search.storage import Run
from rewardsmith.spec.settings import FeedbackSettings

SCORES = {"a": 1.0, "b": 0.0, "equal": 0.5}
"""Score of the first candidate by answer; "neither" has none, because it gives no order."""
CERTAIN_ABOVE = 0.9
"""The first place is called uncertain while the first beats the second with a smaller probability."""
MAX_DISPUTED_PAIRS = 3
"""Pairs that a warning names."""
SUGGESTED_PAIRS = 3
"""Pairs that people are asked to compare next."""


@dataclass(frozen=True)
class RankedCandidate:
    """A candidate's place in a ranking by comparisons."""

    candidate: str
    strength: float
    """Log-odds to be preferred to the average candidate."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    elo: float
    wins: int
    losses: int
    ties: int
    score: float
    """Sort key: the strength plus, where a metric is blended in, its weighted z-score."""


@dataclass(frozen=True)
class PreferenceRanking:
    """Ranking of all candidates that have a trained policy, best first."""

    rows: tuple[RankedCandidate, ...]
    comparisons: int
    """Number of answers behind the ranking; "neither" gives no order and is not counted."""
    raters: tuple[str, ...]
    agreement: float | None
    """Share of agreeing answers, over pairs of answers by two raters to one question; None without such a pair."""
    agreement_of: int
    """Number of these pairs of answers."""
    warnings: tuple[str, ...]


def load_ranking(run: Run) -> PreferenceRanking:
    """Rank the candidates of a run by the comparisons so far.

    Raises:
        RunError: if the journal is damaged.
    """
    state = load_state(run)
    return rank_candidates(run.read_candidates(), state, state.effective_settings(run.config.feedback))


def suggest_pairs(run: Run) -> tuple[SuggestedPair, ...]:
    """Return the pairs of candidates whose comparison is the most informative; raises as `load_ranking`."""
    state = load_state(run)
    settings = state.effective_settings(run.config.feedback)
    strengths, preferences = _fit_strengths(run.read_candidates(), state, settings)

    ask_counts = Counter(frozenset(preference.candidates) for preference in preferences)
    return bradley_terry.select_pairs(strengths, SUGGESTED_PAIRS, ask_counts)


def rank_candidates(
    candidates: Sequence[Candidate], state: FeedbackState, settings: FeedbackSettings
) -> PreferenceRanking:
    """Rank candidates by all preferences of people and, where the judge ranks, by its answers too."""
    strengths, preferences = _fit_strengths(candidates, state, settings)
    z_scores = _standardize_fitness(candidates)

    rows = [_build_row(id, strengths, preferences, settings.blend * z_scores[id]) for id in strengths.items]
    rows.sort(key=lambda row: (-row.score, row.candidate))

    agreement, answer_pairs = measure_agreement(preferences)
    return PreferenceRanking(
        rows=tuple(rows),
        comparisons=len(preferences),
        raters=tuple(dict.fromkeys(preference.by for preference in preferences)),
        agreement=agreement,
        agreement_of=answer_pairs,
        warnings=tuple(_find_warnings(rows, strengths, preferences, agreement, answer_pairs)),
    )


def assign_standings(
    candidates: Sequence[Candidate], state: FeedbackState, settings: FeedbackSettings
) -> list[Candidate]:
    """Return the candidates with the score of the ranking as their standing; None where the metric ranks."""
    if settings.rank == "metric":
        return [replace(candidate, standing=None) for candidate in candidates]
    scores = {row.candidate: row.score for row in rank_candidates(candidates, state, settings).rows}
    return [replace(candidate, standing=scores.get(candidate.id)) for candidate in candidates]


def measure_agreement(preferences: Iterable[Preference]) -> tuple[float | None, int]:
    """Return the share of agreeing answers by two raters to one pair, and the number of such pairs of answers.

    Of a rater who answered one pair several times the last answer counts.
    """
    answer_pairs = [
        answer_pair
        for answers_by_rater in _group_answers(preferences).values()
        for answer_pair in combinations(answers_by_rater.values(), 2)
    ]
    if not answer_pairs:
        return None, 0
    agreeing = sum(first == second for first, second in answer_pairs)
    return agreeing / len(answer_pairs), len(answer_pairs)


def find_compared_ids(candidates: Sequence[Candidate], preferences: Iterable[Preference]) -> set[str]:
    """Return the ids of the candidates that were compared with another one, with an answer that gives an order."""
    ids = {candidate.id for candidate in candidates}
    return {id for preference in preferences if _gives_order(preference, ids) for id in preference.candidates}


def select_rankable(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates that have a trained policy, which can be looked at."""
    return [candidate for candidate in candidates if candidate.status == "ok" and candidate.fitness is not None]


def _gives_order(preference: Preference, ids: set[str]) -> bool:
    """Return whether a preference gives an order of two different candidates among these."""
    a, b = preference.candidates
    return preference.answer in SCORES and a != b and a in ids and b in ids


def _fit_strengths(
    candidates: Sequence[Candidate], state: FeedbackState, settings: FeedbackSettings
) -> tuple[StrengthEstimate, list[Preference]]:
    """Return the strengths of the rankable candidates, and the preferences that they were fitted to."""
    ids = [candidate.id for candidate in select_rankable(candidates)]
    judge_preferences = state.judge_preferences if settings.rank == "judge" else ()
    preferences = [one for one in (*state.preferences, *judge_preferences) if _gives_order(one, set(ids))]

    outcomes = [PairwiseOutcome(*preference.candidates, SCORES[preference.answer]) for preference in preferences]
    return bradley_terry.fit_strengths(ids, outcomes), preferences


def _standardize_fitness(candidates: Sequence[Candidate]) -> dict[str, float]:
    """Return each rankable candidate's fitness as a z-score over all of them."""
    rankable = select_rankable(candidates)
    fitness = np.array([candidate.fitness for candidate in rankable], dtype=np.float64)
    std = float(fitness.std()) if len(fitness) else 0.0
    z_scores = (fitness - fitness.mean()) / std if std > 0.0 else np.zeros(len(fitness))
    return {candidate.id: float(z) for candidate, z in zip(rankable, z_scores, strict=True)}


def _build_row(
    id: str, strengths: StrengthEstimate, preferences: Sequence[Preference], metric_score: float
) -> RankedCandidate:
    strength = float(strengths.mean[strengths.items.index(id)])
    low, high = strengths.confidence_interval(id)
    preferred_ids = [_preferred_id(preference) for preference in preferences if id in preference.candidates]
    wins, ties = preferred_ids.count(id), preferred_ids.count("")
    return RankedCandidate(
        candidate=id,
        strength=strength,
        low=low,
        high=high,
        elo=bradley_terry.to_elo(strength),
        wins=wins,
        losses=len(preferred_ids) - wins - ties,
        ties=ties,
        score=round(strength + metric_score, 9),
    )


def _preferred_id(preference: Preference) -> str:
    """Return the id of the preferred candidate; "" for a tie."""
    a, b = preference.candidates
    return {"a": a, "b": b}.get(preference.answer, "")


def _group_answers(preferences: Iterable[Preference]) -> Mapping[frozenset[str], dict[str, str]]:
    """Return, for each pair of candidates, the last preferred id by rater."""
    answers: dict[frozenset[str], dict[str, str]] = {}
    for preference in preferences:
        pair = frozenset(preference.candidates)
        answers.setdefault(pair, {})[preference.by] = _preferred_id(preference)
    return answers


def _find_warnings(
    rows: Sequence[RankedCandidate],
    strengths: StrengthEstimate,
    preferences: Sequence[Preference],
    agreement: float | None,
    answer_pairs: int,
) -> Iterable[str]:
    """Yield a line for everything that makes the ranking uncertain."""
    n = len(rows)
    if n < 2:
        return
    if not preferences:
        yield "nobody has compared any two candidates yet"
        return

    # Too few answers for an order.
    if len(preferences) < n - 1:
        count = pluralize(len(preferences), "comparison")
        yield f"{count} cannot order {n} candidates; at least {n - 1} are needed"

    # Groups without a comparison between them.
    groups = _find_connected_groups([row.candidate for row in rows], preferences)
    if len(groups) > 1:
        group_list = "; ".join(" ".join(sorted(group)) for group in groups)
        yield f"{len(groups)} groups were never compared with each other, only the prior orders them: {group_list}"

    # Raters who disagree.
    if agreement is not None and agreement < 1.0:
        pairs = _format_disputed_pairs(preferences)
        yield f"raters disagree: {agreement:.0%} of {answer_pairs} answers to the same pair agree ({pairs})"

    # A lead that may be chance.
    first, second = rows[0].candidate, rows[1].candidate
    probability = strengths.win_probability(first, second)
    if probability < CERTAIN_ABOVE:
        yield f"the first place is uncertain: {first} beats {second} with a probability of {probability:.0%}"


def _find_connected_groups(ids: Sequence[str], preferences: Sequence[Preference]) -> list[set[str]]:
    """Return the sets of candidates that answers connect."""
    groups = [{id} for id in ids]
    for preference in preferences:
        joined = [group for group in groups if group & set(preference.candidates)]
        groups = [group for group in groups if group not in joined] + [set().union(*joined)]
    return groups


def _format_disputed_pairs(preferences: Sequence[Preference]) -> str:
    answers = _group_answers(preferences)
    disputed = [" – ".join(sorted(pair)) for pair, by_rater in answers.items() if len(set(by_rater.values())) > 1]
    more = " …" if len(disputed) > MAX_DISPUTED_PAIRS else ""
    return ", ".join(disputed[:MAX_DISPUTED_PAIRS]) + more
