"""A reward from a ranking of factors: it orders episodes as the ranking does, and is a program like any other."""

import numpy as np
import pytest
from fakes.played_runs import PlayedExecutor, make_finished_run, write_program

from rewardsmith.api import searches
from rewardsmith.contract.errors import FitnessError, UserError
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.search import feedback
from rewardsmith.search.feedback import factor_ranking

SPREAD = [
    [write_program(up=float(up), fast=float(fast)) for up, fast in ((1, 4), (2, 1), (3, 3), (4, 2), (2, 5), (1, 2))]
]


def test_the_first_factor_that_differs_decides():
    factors = np.array([[1.0, 0.0], [1.05, 9.0], [5.0, -9.0]])
    pairs = factor_ranking.label_pairs(factors, np.array([0.1, 1.0]), np.random.default_rng(0))
    assert {tuple(pair) for pair in pairs.tolist()} == {(1, 0), (2, 0), (2, 1)}


def test_pairs_within_all_margins_have_no_label():
    factors = np.array([[1.0], [1.05]])
    assert len(factor_ranking.label_pairs(factors, np.array([0.1]), np.random.default_rng(0))) == 0


def test_the_weights_of_a_known_reward_are_recovered():
    rng = np.random.default_rng(1)
    features, truth = rng.standard_normal((60, 3)), np.array([2.0, -1.0, 0.0])
    pairs = factor_ranking.label_pairs((features @ truth)[:, None], np.zeros(1), rng)
    weights = factor_ranking.fit_weights(features, pairs, np.full(3, 1e-3))
    assert weights @ truth / np.linalg.norm(weights) / np.linalg.norm(truth) > 0.99
    assert factor_ranking.measure_accuracy(features, pairs, weights) > 0.97


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_finished_run(
        tmp_path_factory.mktemp("ranked") / "run", SPREAD, search={"population": 6}, evaluation={"episodes": 6}
    )


def test_a_learnt_reward_repeats_the_ranking_on_programs_that_it_never_saw(run):
    learnt = factor_ranking.learn_reward(run, ["height[-1]", "mean(speed)"])
    assert learnt.accuracy > 0.75
    assert {"after"} == {name for name, reads in parse_program(learnt.source).reads.items() if reads}
    assert "height[-1] > mean(speed)" in learnt.source


def test_the_order_of_the_factors_matters(run):
    by_height, by_speed = (
        factor_ranking.learn_reward(run, order).source for order in (["height[-1]"], ["mean(speed)"])
    )
    weights = [parse_program(source).weights for source in (by_height, by_speed)]
    assert weights[0]["height"] > weights[0].get("speed", 0.0)
    assert weights[1]["speed"] > weights[1].get("height", 0.0)


def test_a_factor_that_names_nothing_recorded_is_refused(run):
    with pytest.raises(FitnessError, match="hight"):
        factor_ranking.learn_reward(run, ["hight[-1]"])


def test_factors_that_tell_no_episodes_apart_are_refused(run):
    with pytest.raises(UserError, match="pairs that differ by the margins"):
        factor_ranking.learn_reward(run, ["0 * height[-1]"])


def test_a_learnt_reward_is_a_candidate_beside_the_programs(tmp_path):
    answers = [SPREAD[0], SPREAD[0]]
    run = make_finished_run(tmp_path / "run", answers, search={"population": 6}, evaluation={"episodes": 6})
    said = factor_ranking.submit_learned_reward(run, factor_ranking.learn_reward(run, ["height[-1]"]))
    assert said.input.about.startswith("Learned from the ranking height[-1]")
    result = searches.run_next_generation(run, executor=PlayedExecutor())
    learnt = next(one for one in result.candidates if one.id == "g1c06")
    assert (learnt.status, learnt.proposal.author) == ("ok", "user")
    assert learnt.proposal.rationale == said.input.about
    assert feedback.load_state(run).pending == ()
