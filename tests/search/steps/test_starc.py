"""The STARC metric on small problems, where all of its stated properties can be checked."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rewardsmith.search.steps.critic import starc

STATES, ACTIONS, GAMMA = 4, 3, 0.9
NOW = np.repeat(np.eye(STATES), ACTIONS, axis=0)
"""(states * actions, states): the state of each pair."""


class Problem:
    """A random Markov decision process without rewards."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.step = self.rng.dirichlet(np.full(STATES, 0.5), STATES * ACTIONS)
        self.start = self.rng.dirichlet(np.ones(STATES))
        self.policies = self.rng.dirichlet(np.full(ACTIONS, 0.3), (60, STATES))

    def reward(self) -> np.ndarray:
        """Return a reward of pair and next state, (pairs, states)."""
        return self.rng.standard_normal((STATES * ACTIONS, STATES))

    def shaped(self, reward: np.ndarray) -> np.ndarray:
        potential = 5.0 * self.rng.standard_normal(STATES)
        return reward + GAMMA * potential - (NOW @ potential)[:, None]

    def redistributed(self, reward: np.ndarray) -> np.ndarray:
        """Return another reward with the same expectation over next states."""
        noise = self.rng.standard_normal(reward.shape)
        return reward + noise - (self.step * noise).sum(axis=1, keepdims=True)

    def standard(self, reward: np.ndarray) -> np.ndarray:
        expected = (self.step * reward).sum(axis=1)
        return starc.normalize_reward(
            starc.canonicalize_reward(expected, NOW, self.step, GAMMA), float(np.linalg.norm(expected))
        )

    def distance(self, first: np.ndarray, second: np.ndarray) -> float:
        return starc.measure_distance(self.standard(first), self.standard(second))

    def returns(self, reward: np.ndarray) -> np.ndarray:
        """Return what each of the policies is worth."""
        pairs = (self.step * reward).sum(axis=1).reshape(STATES, ACTIONS)
        steps = self.step.reshape(STATES, ACTIONS, STATES)
        worth = []
        for policy in self.policies:
            moves = np.einsum("sa,sat->st", policy, steps)
            values = np.linalg.solve(np.eye(STATES) - GAMMA * moves, (policy * pairs).sum(axis=1))
            worth.append(self.start @ values)
        return np.array(worth)


@pytest.fixture(params=range(5))
def problem(request: pytest.FixtureRequest) -> Problem:
    return Problem(request.param)


def test_shaping_redistribution_and_scale_make_no_difference(problem: Problem) -> None:
    reward = problem.reward()
    same = 7.0 * problem.redistributed(problem.shaped(reward))
    assert problem.distance(reward, same) == pytest.approx(0.0, abs=1e-9)


def test_a_constant_is_shaping_where_no_episode_ends(problem: Problem) -> None:
    reward = problem.reward()
    assert problem.distance(reward, reward + 3.0) == pytest.approx(0.0, abs=1e-9)


def test_distance_0_and_one_order_of_policies_go_together(problem: Problem) -> None:
    reward, other = problem.reward(), problem.reward()
    same = 0.1 * problem.shaped(reward)
    order = np.argsort(problem.returns(reward))
    assert np.array_equal(order, np.argsort(problem.returns(same)))
    assert problem.distance(reward, other) > 0.01
    assert not np.array_equal(order, np.argsort(problem.returns(other)))


def test_the_opposite_reward_is_at_distance_1(problem: Problem) -> None:
    reward = problem.reward()
    assert problem.distance(reward, -2.0 * problem.shaped(reward)) == pytest.approx(1.0)


def test_it_is_a_pseudometric_within_0_and_1(problem: Problem) -> None:
    rewards = [problem.reward() for _ in range(5)]
    far = {(i, j): problem.distance(rewards[i], rewards[j]) for i, j in itertools.product(range(5), repeat=2)}
    assert all(0.0 <= value <= 1.0 for value in far.values())
    assert all(far[i, j] == pytest.approx(far[j, i]) for i, j in far)
    assert all(far[i, k] <= far[i, j] + far[j, k] + 1e-12 for i, j in far for k in range(5))


def test_a_reward_that_is_all_shaping_is_trivial(problem: Problem) -> None:
    nothing, something = problem.shaped(np.zeros((STATES * ACTIONS, STATES))), problem.reward()
    assert not problem.standard(nothing).any()
    assert problem.distance(nothing, 0.0 * something) == 0.0
    assert problem.distance(nothing, something) == pytest.approx(0.5)


def test_potentials_that_the_features_cannot_express_are_kept() -> None:
    states = np.random.default_rng(0).standard_normal((200, 2))
    before, after = states[:, :1], states[:, 1:]
    shaping = GAMMA * after[:, 0] - before[:, 0]
    bent = GAMMA * after[:, 0] ** 2 - before[:, 0] ** 2
    assert np.abs(starc.canonicalize_reward(shaping, before, after, GAMMA)).max() < 1e-9
    assert np.abs(starc.canonicalize_reward(bent, before, after, GAMMA)).max() > 0.1
