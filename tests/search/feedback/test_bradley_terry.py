"""Strengths from comparisons: simulated raters with known strengths, and results against another computation."""

import math

import numpy as np
import pytest

from rewardsmith.contract.records import Candidate, Proposal
from rewardsmith.search.feedback import FeedbackState, Preference
from rewardsmith.search.feedback.bradley_terry import (
    PairwiseOutcome,
    StrengthEstimate,
    expected_information,
    fit_strengths,
    select_pairs,
)
from rewardsmith.search.feedback.events import FeedbackEvent
from rewardsmith.search.feedback.ranking import assign_standings, measure_agreement, rank_candidates
from rewardsmith.spec.config import FeedbackSettings

NAMES = tuple("abcdef")


def answers(theta: np.ndarray, count: int, rng: np.random.Generator) -> list[PairwiseOutcome]:
    """Return the comparisons of random pairs by a rater who knows these strengths."""
    found = []
    for _ in range(count):
        i, j = rng.choice(len(theta), 2, replace=False)
        chance = 1.0 / (1.0 + math.exp(theta[j] - theta[i]))
        found.append(PairwiseOutcome(NAMES[i], NAMES[j], float(rng.random() < chance)))
    return found


def test_a_raters_ranking_is_recovered():
    theta = np.array([3.0, 1.8, 0.6, -0.6, -1.8, -3.0])
    strengths = fit_strengths(NAMES, answers(theta, 400, np.random.default_rng(0)))
    assert sorted(NAMES, key=lambda name: -strengths.mean[NAMES.index(name)]) == list(NAMES)
    assert strengths.mean == pytest.approx(theta, abs=0.8)


def test_intervals_cover_the_true_strengths():
    rng, inside, total = np.random.default_rng(1), 0, 0
    for _ in range(60):
        theta = rng.normal(0.0, 1.5, len(NAMES))
        strengths = fit_strengths(NAMES, answers(theta, 40, rng))
        for name, truth in zip(NAMES, theta - theta.mean(), strict=True):
            low, high = strengths.confidence_interval(name)
            inside, total = inside + (low <= truth <= high), total + 1
    assert 0.9 <= inside / total <= 0.99


def test_the_estimate_is_the_mode_of_the_posterior():
    # Two items: theta_a - theta_b = d has the prior variance 2 * 1.5², and three wins to one.
    d = np.linspace(-5.0, 5.0, 200_001)
    log = 3.0 * -np.log1p(np.exp(-d)) - np.log1p(np.exp(d)) - d**2 / (2 * 2 * 1.5**2)
    matches = [PairwiseOutcome("a", "b", 1.0)] * 3 + [PairwiseOutcome("a", "b", 0.0)]
    strengths = fit_strengths(("a", "b"), matches)
    assert strengths.mean[0] - strengths.mean[1] == pytest.approx(d[log.argmax()], abs=1e-3)


def test_only_wins_give_no_infinite_strength():
    strengths = fit_strengths(("a", "b"), [PairwiseOutcome("a", "b", 1.0)] * 1000)
    assert 0.0 < strengths.mean[0] < 20.0


def test_nothing_is_known_without_answers():
    strengths = fit_strengths(NAMES, [])
    assert strengths.mean == pytest.approx(np.zeros(6))
    assert strengths.win_probability("a", "b") == 0.5


def test_a_tie_pulls_together():
    apart = fit_strengths(("a", "b"), [PairwiseOutcome("a", "b", 1.0)]).mean[0]
    tied = fit_strengths(("a", "b"), [PairwiseOutcome("a", "b", 1.0), PairwiseOutcome("a", "b", 0.5)]).mean[0]
    assert 0.0 < tied < apart


def test_the_next_pair_is_one_of_which_least_is_known():
    strengths = fit_strengths(("a", "b", "c"), [PairwiseOutcome("a", "b", 1.0)] * 8)
    first = select_pairs(strengths, 1)[0]
    assert "c" in (first.a, first.b)


def test_several_pairs_are_not_the_same_question():
    pairs = select_pairs(fit_strengths(NAMES, []), 3)
    assert len({frozenset((pair.a, pair.b)) for pair in pairs}) == 3
    assert len({name for pair in pairs for name in (pair.a, pair.b)}) == 6


def test_asking_where_it_tells_most_needs_fewer_answers():
    theta, gains = np.array([2.5, 1.5, 0.5, -0.5, -1.5, -2.5]), []
    for seed in range(12):
        errors = []
        for chosen in (True, False):
            rng, told = np.random.default_rng(seed), list[PairwiseOutcome]()
            for _ in range(30):
                i, j = rng.choice(6, 2, replace=False)
                if chosen:
                    pair = select_pairs(fit_strengths(NAMES, told), 1)[0]
                    i, j = NAMES.index(pair.a), NAMES.index(pair.b)
                chance = 1.0 / (1.0 + math.exp(theta[j] - theta[i]))
                told.append(PairwiseOutcome(NAMES[i], NAMES[j], float(rng.random() < chance)))
            errors.append(float(np.trace(fit_strengths(NAMES, told).covariance)))
        gains.append(errors[1] - errors[0])
    assert np.mean(gains) > 0.0


def test_a_sure_answer_tells_nothing():
    assert expected_information(20.0, 1e-6) == pytest.approx(0.0, abs=1e-6)
    assert expected_information(0.0, 100.0) > expected_information(0.0, 1.0) > expected_information(3.0, 1.0)


def test_a_certain_difference_has_a_chance_of_one_or_zero():
    strengths = StrengthEstimate(("a", "b"), np.array([5.0, -5.0]), np.eye(2))
    assert strengths.win_probability("a", "b") > 0.99
    assert strengths.win_probability("b", "a") < 0.01


# ---------------------------------------------------------------- standings


def candidate(slot: int, fitness: float | None = 0.0) -> Candidate:
    return Candidate(
        f"g0c{slot:02d}", 0, slot, Proposal("", "test"), "ok" if fitness is not None else "failed", fitness=fitness
    )


def said(*preferences: Preference) -> FeedbackState:
    return FeedbackState(
        tuple(FeedbackEvent(n, "", "", one) for n, one in enumerate(preferences, 1)), generations_started=1
    )


CANDIDATES = [candidate(0, 1.0), candidate(1, 2.0), candidate(2, 3.0), candidate(3, None)]
PEOPLE = FeedbackSettings(rank="people")


def test_people_rank_against_the_metric():
    state = said(Preference("g0c00", "g0c01", "a"), Preference("g0c01", "g0c02", "a"))
    found = rank_candidates(CANDIDATES, state, PEOPLE)
    assert [row.candidate for row in found.rows] == ["g0c00", "g0c01", "g0c02"]
    assert [(row.wins, row.losses, row.ties) for row in found.rows] == [(1, 0, 0), (1, 1, 0), (0, 1, 0)]
    assert found.rows[0].elo > 1500 > found.rows[-1].elo


def test_a_blended_metric_decides_where_people_say_nothing():
    rows = rank_candidates(CANDIDATES, said(), PEOPLE.model_copy(update={"blend": 0.5})).rows
    assert [row.candidate for row in rows] == ["g0c02", "g0c01", "g0c00"]
    assert rows[0].score == pytest.approx(0.5 * math.sqrt(1.5))


def test_a_failure_has_no_standing():
    assert [one.standing is None for one in assign_standings(CANDIDATES, said(), PEOPLE)] == [False, False, False, True]
    assert all(one.standing is None for one in assign_standings(CANDIDATES, said(), FeedbackSettings()))


def test_too_few_answers_are_said():
    assert "nobody has compared" in rank_candidates(CANDIDATES, said(), PEOPLE).warnings[0]
    warnings = " ".join(rank_candidates(CANDIDATES, said(Preference("g0c00", "g0c01", "a")), PEOPLE).warnings)
    assert "cannot order 3 candidates; at least 2 are needed" in warnings
    assert "2 groups were never compared" in warnings
    assert "the first place is uncertain" in warnings


def test_disagreement_is_shown_with_its_pair():
    state = said(Preference("g0c00", "g0c01", "a", by="Ada"), Preference("g0c01", "g0c00", "a", by="Bo"))
    found = rank_candidates(CANDIDATES, state, PEOPLE)
    assert (found.agreement, found.agreement_of, found.raters) == (0.0, 1, ("Ada", "Bo"))
    assert any("raters disagree" in line and "g0c00 – g0c01" in line for line in found.warnings)


def test_a_rater_who_changes_his_mind_disagrees_with_nobody():
    assert measure_agreement([Preference("g0c00", "g0c01", "a"), Preference("g0c00", "g0c01", "b")]) == (None, 0)


def test_neither_says_nothing_about_an_order():
    found = rank_candidates(CANDIDATES, said(Preference("g0c00", "g0c01", "neither")), PEOPLE)
    assert found.comparisons == 0
    assert {row.strength for row in found.rows} == {0.0}
