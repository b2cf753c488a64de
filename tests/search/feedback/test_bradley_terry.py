"""Strengths from answers: made-up raters of known taste, and the figures against another way to compute them."""

import math

import numpy as np
import pytest

from rewardsmith.contract.records import Candidate, Proposal
from rewardsmith.search.feedback import Preference, State
from rewardsmith.search.feedback.bradley_terry import Match, Strengths, fit, information, next_pairs
from rewardsmith.search.feedback.events import Said
from rewardsmith.search.feedback.ranking import agreed, apply, rank
from rewardsmith.spec.config import FeedbackSettings

NAMES = tuple("abcdef")


def answers(theta: np.ndarray, count: int, rng: np.random.Generator) -> list[Match]:
    """Return what a rater with these strengths in mind says about random pairs."""
    found = []
    for _ in range(count):
        i, j = rng.choice(len(theta), 2, replace=False)
        chance = 1.0 / (1.0 + math.exp(theta[j] - theta[i]))
        found.append(Match(NAMES[i], NAMES[j], float(rng.random() < chance)))
    return found


def test_a_raters_ranking_is_recovered():
    theta = np.array([3.0, 1.8, 0.6, -0.6, -1.8, -3.0])
    strengths = fit(NAMES, answers(theta, 400, np.random.default_rng(0)))
    assert sorted(NAMES, key=lambda name: -strengths.mean[NAMES.index(name)]) == list(NAMES)
    assert strengths.mean == pytest.approx(theta, abs=0.8)


def test_intervals_cover_the_true_strengths():
    rng, inside, total = np.random.default_rng(1), 0, 0
    for _ in range(60):
        theta = rng.normal(0.0, 1.5, len(NAMES))
        strengths = fit(NAMES, answers(theta, 40, rng))
        for name, truth in zip(NAMES, theta - theta.mean(), strict=True):
            low, high = strengths.interval(name)
            inside, total = inside + (low <= truth <= high), total + 1
    assert 0.9 <= inside / total <= 0.99


def test_the_estimate_is_the_mode_of_the_posterior():
    # Two items: theta_a - theta_b = d has the prior variance 2 * 1.5², and three wins to one.
    d = np.linspace(-5.0, 5.0, 200_001)
    log = 3.0 * -np.log1p(np.exp(-d)) - np.log1p(np.exp(d)) - d**2 / (2 * 2 * 1.5**2)
    matches = [Match("a", "b", 1.0)] * 3 + [Match("a", "b", 0.0)]
    strengths = fit(("a", "b"), matches)
    assert strengths.mean[0] - strengths.mean[1] == pytest.approx(d[log.argmax()], abs=1e-3)


def test_only_wins_give_no_infinite_strength():
    strengths = fit(("a", "b"), [Match("a", "b", 1.0)] * 1000)
    assert 0.0 < strengths.mean[0] < 20.0


def test_nothing_is_known_without_answers():
    strengths = fit(NAMES, [])
    assert strengths.mean == pytest.approx(np.zeros(6))
    assert strengths.chance("a", "b") == 0.5


def test_a_tie_pulls_together():
    apart = fit(("a", "b"), [Match("a", "b", 1.0)]).mean[0]
    tied = fit(("a", "b"), [Match("a", "b", 1.0), Match("a", "b", 0.5)]).mean[0]
    assert 0.0 < tied < apart


def test_the_next_pair_is_one_of_which_least_is_known():
    strengths = fit(("a", "b", "c"), [Match("a", "b", 1.0)] * 8)
    first = next_pairs(strengths, 1)[0]
    assert "c" in (first.a, first.b)


def test_several_pairs_are_not_the_same_question():
    pairs = next_pairs(fit(NAMES, []), 3)
    assert len({frozenset((pair.a, pair.b)) for pair in pairs}) == 3
    assert len({name for pair in pairs for name in (pair.a, pair.b)}) == 6


def test_asking_where_it_tells_most_needs_fewer_answers():
    theta, gains = np.array([2.5, 1.5, 0.5, -0.5, -1.5, -2.5]), []
    for seed in range(12):
        errors = []
        for chosen in (True, False):
            rng, told = np.random.default_rng(seed), list[Match]()
            for _ in range(30):
                i, j = rng.choice(6, 2, replace=False)
                if chosen:
                    pair = next_pairs(fit(NAMES, told), 1)[0]
                    i, j = NAMES.index(pair.a), NAMES.index(pair.b)
                chance = 1.0 / (1.0 + math.exp(theta[j] - theta[i]))
                told.append(Match(NAMES[i], NAMES[j], float(rng.random() < chance)))
            errors.append(float(np.trace(fit(NAMES, told).covariance)))
        gains.append(errors[1] - errors[0])
    assert np.mean(gains) > 0.0


def test_a_sure_answer_tells_nothing():
    assert information(20.0, 1e-6) == pytest.approx(0.0, abs=1e-6)
    assert information(0.0, 100.0) > information(0.0, 1.0) > information(3.0, 1.0)


def test_a_certain_difference_has_a_chance_of_one_or_zero():
    strengths = Strengths(("a", "b"), np.array([5.0, -5.0]), np.eye(2))
    assert strengths.chance("a", "b") > 0.99
    assert strengths.chance("b", "a") < 0.01


# ---------------------------------------------------------------- standings


def candidate(slot: int, fitness: float | None = 0.0) -> Candidate:
    return Candidate(
        f"g0c{slot:02d}", 0, slot, Proposal("", "test"), "ok" if fitness is not None else "failed", fitness=fitness
    )


def said(*preferences: Preference) -> State:
    return State(tuple(Said(n, "", "", one) for n, one in enumerate(preferences, 1)), begun=1)


CANDIDATES = [candidate(0, 1.0), candidate(1, 2.0), candidate(2, 3.0), candidate(3, None)]
PEOPLE = FeedbackSettings(rank="people")


def test_people_rank_against_the_metric():
    state = said(Preference("g0c00", "g0c01", "a"), Preference("g0c01", "g0c02", "a"))
    found = rank(CANDIDATES, state, PEOPLE)
    assert [row.candidate for row in found.rows] == ["g0c00", "g0c01", "g0c02"]
    assert [(row.wins, row.losses, row.ties) for row in found.rows] == [(1, 0, 0), (1, 1, 0), (0, 1, 0)]
    assert found.rows[0].elo > 1500 > found.rows[-1].elo


def test_a_blended_metric_decides_where_people_say_nothing():
    rows = rank(CANDIDATES, said(), PEOPLE.model_copy(update={"blend": 0.5})).rows
    assert [row.candidate for row in rows] == ["g0c02", "g0c01", "g0c00"]
    assert rows[0].score == pytest.approx(0.5 * math.sqrt(1.5))


def test_a_failure_has_no_standing():
    assert [one.standing is None for one in apply(CANDIDATES, said(), PEOPLE)] == [False, False, False, True]
    assert all(one.standing is None for one in apply(CANDIDATES, said(), FeedbackSettings()))


def test_too_few_answers_are_said():
    assert "nobody has compared" in rank(CANDIDATES, said(), PEOPLE).warnings[0]
    warnings = " ".join(rank(CANDIDATES, said(Preference("g0c00", "g0c01", "a")), PEOPLE).warnings)
    assert "cannot order 3 candidates; at least 2 are needed" in warnings
    assert "2 groups were never compared" in warnings
    assert "the first place is not certain" in warnings


def test_disagreement_is_shown_with_its_pair():
    state = said(Preference("g0c00", "g0c01", "a", by="Ada"), Preference("g0c01", "g0c00", "a", by="Bo"))
    found = rank(CANDIDATES, state, PEOPLE)
    assert (found.agreement, found.agreement_of, found.raters) == (0.0, 1, ("Ada", "Bo"))
    assert any("raters disagree" in line and "g0c00 – g0c01" in line for line in found.warnings)


def test_a_rater_who_changes_his_mind_disagrees_with_nobody():
    assert agreed([Preference("g0c00", "g0c01", "a"), Preference("g0c00", "g0c01", "b")]) == (None, 0)


def test_neither_says_nothing_about_an_order():
    found = rank(CANDIDATES, said(Preference("g0c00", "g0c01", "neither")), PEOPLE)
    assert found.comparisons == 0
    assert {row.strength for row in found.rows} == {0.0}
