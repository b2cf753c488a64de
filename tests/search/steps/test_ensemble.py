"""An ensemble of programs: it pays what its members agree on, and keeps the contract."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from rewardsmith.contract import shaping
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Candidate, CurvePoint, Proposal, TermStats, Training, TrialScoring, Verdict
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.search.steps.evolution.ensemble import MemberScale, fit_scale, join_programs

UP = """import numpy as np

WEIGHTS = {"up": 2.0, "still": 0.5}
GAIN = 3.0


def bent(value):
    return np.tanh(GAIN * value)


def reward(before, after):
    return {"up": bent(after.height), "still": -np.abs(after.height - before.height)}
"""
FAR = """WEIGHTS = {"far": 1.0}
GAIN = 0.1


def bent(value):
    return GAIN * value


def reward(after, action):
    return {"far": bent(after.height), "bonus": action[:, 0]}
"""
BEST = """MEMORY = {"best": 0.5}


def reward(after, memory):
    memory.best = np.maximum(memory.best, after.height)
    return {"best": memory.best}
"""


def member(id: str, source: str, means: dict[str, float], std: float = 1.0, trained: dict | None = None) -> Candidate:
    terms = tuple(TermStats(name, 1.0, mean, std, 0.0, 1.0, 0.5) for name, mean in means.items())
    curve = (CurvePoint(1, 1, 0.0, 1.0, 0.0, trained or {}),)
    training = Training("ok", 0, 1, curve, 0.0, 0.0, 0.0)
    verdict = Verdict(True, (), TrialScoring(8, 1.0, terms))
    return Candidate(id, 0, 0, Proposal(source, "test"), "ok", verdict, (training,), fitness=1.0)


ONE = member("g0c01", UP, {"up": 0.0, "still": -0.2}, trained={"up": 0.9, "still": -0.4})
TWO = member("g1c00", FAR, {"far": 0.1, "bonus": 0.0}, trained={"far": 0.5, "bonus": 0.6})
PAST = member("g2c00", BEST, {"best": 0.5}, trained={"best": 2.5})


def paid(source: str, *names: str, **arguments: object) -> dict[str, np.ndarray]:
    space = {"np": np, "math": math, "shaping": shaping}
    exec(compile(source, "<reward>", "exec"), space)
    return space["reward"](*(arguments[name] for name in parse_program(source).arguments))


@pytest.fixture
def seen() -> dict[str, object]:
    rng = np.random.default_rng(0)
    before, after, action = rng.standard_normal(16), rng.standard_normal(16), rng.standard_normal((16, 2))
    memory = SimpleNamespace(best=np.full(16, 0.5), g2c00_best=np.full(16, 0.5))
    return {
        "before": SimpleNamespace(height=before),
        "after": SimpleNamespace(height=after),
        "action": action,
        "memory": memory,
    }


def total(candidate: Candidate, seen: dict[str, object]) -> np.ndarray:
    """Return a member's total on its own scale."""
    parsed = parse_program(candidate.proposal.source)
    own = fit_scale(candidate, parsed)
    terms = paid(candidate.proposal.source, **seen)
    return (sum(parsed.weight(name) * term for name, term in terms.items()) - own.zero) / own.unit


def test_the_worst_case_is_the_least_of_the_members_totals(seen):
    joined = join_programs([ONE, TWO], "worst")
    assert parse_program(joined).weights == {"ensemble": 1.0}
    expected = np.minimum(total(ONE, seen), total(TWO, seen))
    np.testing.assert_allclose(paid(joined, **seen)["ensemble"], expected)
    assert 0 < np.sum(total(ONE, seen) < total(TWO, seen)) < 16


def test_the_cautious_mean_takes_off_what_the_members_disagree(seen):
    totals = np.stack([total(ONE, seen), total(TWO, seen)])
    expected = totals.mean(axis=0) - totals.std(axis=0)
    np.testing.assert_allclose(paid(join_programs([ONE, TWO], "cautious"), **seen)["ensemble"], expected)


def test_a_members_memory_gets_a_name_of_its_own(seen):
    joined = join_programs([ONE, PAST], "worst")
    assert parse_program(joined).memory == {"g2c00_best": 0.5}
    expected = np.minimum(total(ONE, seen), total(PAST, seen))
    np.testing.assert_allclose(paid(joined, **seen)["ensemble"], expected)
    assert np.all(seen["memory"].g2c00_best >= 0.5)


def test_random_actions_earn_0_and_the_members_own_policy_1():
    assert fit_scale(ONE, parse_program(UP)) == MemberScale(
        pytest.approx(-0.1), pytest.approx(2 * 0.9 - 0.5 * 0.4 + 0.1)
    )


@pytest.mark.parametrize("trained", [{}, {"up": 0.01, "still": -0.2}, {"up": math.nan, "still": 0.0}])
def test_a_policy_that_learnt_nothing_gives_no_scale_and_the_spread_does(trained):
    poor = member("g0c00", UP, {"up": 0.0, "still": -0.2}, std=2.0, trained=trained)
    assert fit_scale(poor, parse_program(UP)).unit == pytest.approx(math.hypot(2 * 2.0, 0.5 * 2.0))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("from numpy import tanh\n" + FAR, "imports with 'from numpy import tanh'"),
        (FAR.replace("GAIN", "value"), "'value' is a constant and an argument at once"),
        (FAR.replace("GAIN * value", "WEIGHTS['far'] * value"), "reads WEIGHTS"),
    ],
)
def test_a_program_whose_names_cannot_be_told_apart_is_refused_by_name(source, words):
    with pytest.raises(ProgramError, match=f"g1c00 cannot join an ensemble: .*{words}"):
        join_programs([ONE, member("g1c00", source, {"far": 0.0})], "worst")
