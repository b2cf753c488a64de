"""Heavy terms that rest on what the policy does not see."""

from __future__ import annotations

import pytest

from rewardsmith.contract.records import Probe, Signal, TermStats
from rewardsmith.contract.reward_program import parse_program
from rewardsmith.search.steps.critic.observed_terms import find_unobserved_terms

SIGNALS = (
    Signal("x", (), "m", "", "qpos[0]"),
    Signal("v", (), "m/s", "", "qvel[0]"),
    Signal("place", (3,), "m", "", "xpos[torso]"),
)
PROBE = Probe(SIGNALS, (1,), (-1.0,), (1.0,), None, (1,), 32, 64, unobserved={"x": (0,), "place": (0, 1)})


def find(body: str, signature: str = "before, after", share: float = 0.5, head: str = "") -> list[str]:
    program = parse_program(f"{head}def reward({signature}):\n    {body}\n")
    stats = [TermStats("t", 1.0, 0.0, 1.0, -1.0, 1.0, share)]
    return [finding.message for finding in find_unobserved_terms(program, PROBE, stats)]


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("return {'t': after.x}", "after.x"),
        ("far = np.abs(after.x)\n    return {'t': far * after.v}", "after.x"),
        ("return {'t': after.place[:, 0]}", "after.place[:, 0]"),
    ],
)
def test_a_place_that_the_policy_does_not_see_is_named(body: str, names: str) -> None:
    (message,) = find(body)
    assert f"does not see: {names};" in message
    assert "OBSERVATION" in message


@pytest.mark.parametrize(
    "body",
    [
        "return {'t': after.v}",
        "return {'t': after.x - before.x}",
        "return {'t': after.place[:, 2]}",
        "return {'t': after.place[:, 0] - before.place[:, 0]}",
    ],
)
def test_what_is_seen_and_changes_of_places_raise_nothing(body: str) -> None:
    assert find(body) == []


def test_a_light_term_raises_nothing() -> None:
    assert find("return {'t': after.x}", share=0.1) == []


def test_what_is_remembered_is_not_seen_either() -> None:
    (message,) = find("return {'t': memory.best}", "after, memory", head="MEMORY = {'best': 0.0}\n")
    assert "does not see: memory" in message


def test_a_helper_is_followed() -> None:
    (message,) = find("return {'t': far(after)}", head="def far(state):\n    return np.abs(state.x)\n")
    assert "after.x" in message


def test_a_program_that_lets_the_policy_observe_the_place_raises_nothing() -> None:
    assert find("return {'t': after.x}", head="OBSERVATION = ['x', 'v']\n") == []


def test_nothing_is_said_where_it_is_not_known_what_the_policy_sees() -> None:
    program = parse_program("def reward(after):\n    return {'t': after.x}\n")
    probe = Probe(SIGNALS, (1,), (-1.0,), (1.0,), None, (1,), 32, 64)
    assert not list(find_unobserved_terms(program, probe, [TermStats("t", 1.0, 0.0, 1.0, -1.0, 1.0, 1.0)]))
