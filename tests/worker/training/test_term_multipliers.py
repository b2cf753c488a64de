"""Terms held at limits: the multipliers find the constrained optimum, stay bounded, and serve every trainer."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import OffPolicySettings, TrainJob, TrainSettings
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.contract.term_limits import parse_limit, parse_limits
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.training import train
from rewardsmith.worker.training.term_multipliers import HIGHEST, LOWEST, LimitedTotal, TermMultiplier

PENDULUM = load_task(None, "pendulum")
SOURCE = """
WEIGHTS = {"up": 2.0, "effort": -0.5}

def reward(action, after):
    return {"up": after.cos_angle, "effort": np.mean(action**2, axis=1)}
"""
SMALL = OffPolicySettings(net_arch=(8, 8), learning_starts=200, n_steps=8, updates_per_step=0.05, batch_size=32)


def make_job(trainer: str = "fast", program: str | None = SOURCE, **changes: object) -> TrainJob:
    settings = TrainSettings(
        trainer=trainer,  # type: ignore[arg-type]
        n_envs=4,
        n_steps=64,
        n_epochs=2,
        net_arch=(16, 16),
        checkpoints=4,
        off_policy=SMALL,
    )
    settings = replace(settings, **changes)  # type: ignore[arg-type]
    return TrainJob(PENDULUM.env, program, PENDULUM.fitness, 0, 1_600, settings)


# ---------------------------------------------------------------- the multipliers


@pytest.mark.parametrize("weight", [0.02, 1.0, 50.0])
@pytest.mark.parametrize(("limit", "best"), [("effort <= 0.25", 0.5), ("effort >= 4", 2.0)])
def test_an_ascent_on_the_total_ends_where_the_limit_is_kept(weight: float, limit: str, best: float) -> None:
    """The goal is 2 x - x^2 with its optimum at x = 1, and effort is x^2."""
    program = parse_program(SOURCE.replace("-0.5", str(-weight)))
    limited = LimitedTotal(program, parse_limits([limit]))
    rng = np.random.default_rng(0)
    x, course = 1.0, []
    for _ in range(600):
        tried = x + 0.1 * rng.normal(size=2_048)
        terms = {"up": tried - 0.5 * tried**2, "effort": tried**2}
        total = limited.compute_total(terms, limited.compute_goal(terms))
        # The slope of the total by regression: what a policy gradient estimates
        x += 0.1 * float(np.mean((total - total.mean()) * (tried - x)) / 0.01)
        course.append(x)
    assert np.mean(course[-100:]) == pytest.approx(best, rel=0.06)


def test_the_total_is_the_normalised_lagrangian() -> None:
    limited = LimitedTotal(parse_program(SOURCE), parse_limits(["effort <= 0.5"]))
    terms = {"up": np.array([1.0, -1.0]), "effort": np.array([0.0, 1.0])}
    goal = limited.compute_goal(terms)
    np.testing.assert_allclose(goal, [2.0, -2.0])
    total = limited.compute_total(terms, goal)
    (multiplier,) = limited.multipliers.values()
    assert multiplier == pytest.approx(0.5)
    np.testing.assert_allclose(total, (goal + multiplier * (0.5 - terms["effort"])) / (1.0 + multiplier))


def test_a_limit_that_cannot_be_kept_ends_at_the_bound_of_its_multiplier() -> None:
    multiplier = TermMultiplier(parse_limit("effort <= 0"), 0.5)
    for _ in range(2_000):
        multiplier.update(np.ones(2_048))
    assert multiplier.value == pytest.approx(0.5 * math.exp(HIGHEST))
    for _ in range(4_000):
        multiplier.update(-np.ones(2_048))
    assert multiplier.value == pytest.approx(0.5 * math.exp(LOWEST))


def test_many_short_rollouts_teach_as_much_as_a_long_one() -> None:
    long, short = (TermMultiplier(parse_limit("effort <= 0.5"), 1.0) for _ in range(2))
    values = np.random.default_rng(0).normal(0.6, 0.2, 2_048 * 5)
    for part in np.split(values, 5):
        long.update(part)
    for part in np.split(values, 5 * 256):
        short.update(part)
    assert short.learned == pytest.approx(long.learned, rel=0.15)
    assert short.value > 1.2


def test_a_rollout_of_thousands_of_environments_is_one_step() -> None:
    large, usual = (TermMultiplier(parse_limit("effort <= 0.5"), 1.0) for _ in range(2))
    large.update(np.linspace(0.0, 2.0, 98_304))
    usual.update(np.linspace(0.0, 2.0, 2_048))
    assert large.value == pytest.approx(usual.value, rel=0.01)


def test_a_weight_of_zero_begins_with_a_multiplier_of_one() -> None:
    limited = LimitedTotal(parse_program(SOURCE.replace("-0.5", "0.0")), parse_limits(["effort <= 0.5"]))
    assert limited.multipliers == {"effort <= 0.5": 1.0}


# ---------------------------------------------------------------- trainings


@pytest.mark.parametrize("trainer", ["fast", "sb3", "sac", "td3"])
def test_every_trainer_learns_under_limits_and_records_their_multipliers(trainer: str, tmp_path: Path) -> None:
    training = train.run(make_job(trainer, constraints=("effort <= 0.01",)), tmp_path)
    assert training.status == "ok"
    courses = [point.multipliers["effort <= 0.01"] for point in training.curve]
    assert len(courses) == 4
    assert courses[-1] > 0.5
    assert "the limit 'effort <= 0.01' was not kept" in (training.cause or "")


def test_the_return_of_the_curve_is_that_of_the_goal(tmp_path: Path) -> None:
    training = train.run(make_job(constraints=("effort <= 0.01",)), tmp_path)
    last = training.curve[-1]
    assert last.reward is not None and last.length is not None
    # 200 steps an episode, and the effort is no part of the return
    assert last.reward == pytest.approx(2.0 * last.terms["up"] * last.length, rel=0.5, abs=60.0)
    assert abs(last.reward) <= 2.0 * last.length


def test_a_generous_limit_says_nothing_and_no_limit_leaves_no_trace(tmp_path: Path) -> None:
    generous = train.run(make_job(constraints=("effort <= 100",)), tmp_path)
    assert generous.cause is None
    plain = train.run(make_job(), tmp_path)
    assert all(not point.multipliers for point in plain.curve)


def test_equal_seeds_give_equal_trainings(tmp_path: Path) -> None:
    first, second = (train.run(make_job(constraints=("effort <= 0.5",)), tmp_path) for _ in range(2))
    assert first.curve == second.curve


def test_a_term_that_the_program_lacks_is_one_line() -> None:
    limited = LimitedTotal(parse_program(SOURCE), parse_limits(["speed >= 1"]))
    with pytest.raises(RewardFailed, match="holds 'speed >= 1', and the program returns no such term; it returns up"):
        limited.compute_goal({"up": np.ones(2)})
    limited = LimitedTotal(parse_program(SOURCE), parse_limits(["up >= 1"]))
    with pytest.raises(RewardFailed, match="no goal is left"):
        limited.compute_goal({"up": np.ones(2)})


def test_the_baseline_has_no_terms_to_limit(tmp_path: Path) -> None:
    training = train.run(make_job(program=None, constraints=("effort <= 0.5",)), tmp_path)
    assert training.status == "ok"
    assert not training.curve[-1].multipliers
