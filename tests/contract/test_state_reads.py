"""Signals that a program reads in helpers which are given a whole state."""

from __future__ import annotations

import ast

from rewardsmith.contract.reward_program import parse_program
from rewardsmith.contract.state_reads import find_state_parameters

NESTED = """
def height(s):
    return s.torso_height

def potential(state, scale):
    return scale * height(state) + state.speed

def reward(before, after, start):
    gain = shaping.potential(potential(before, 1.0), potential(state=after, scale=1.0))
    return {"gain": gain, "rise": height(after) - height(start)}
"""


def test_reads_are_followed_through_helpers_of_helpers() -> None:
    reads = parse_program(NESTED).reads
    assert reads == {
        "before": ("speed", "torso_height"),
        "after": ("speed", "torso_height"),
        "start": ("torso_height",),
    }


def test_a_parameter_stands_for_every_state_that_it_is_given() -> None:
    assert find_state_parameters(ast.parse(NESTED)) == {
        ("height", "s"): ("after", "before", "start"),
        ("potential", "state"): ("after", "before"),
    }


def test_a_helper_that_calls_itself_ends() -> None:
    text = "def f(s, n):\n    return s.x if n < 1 else f(s, n - 1)\ndef reward(after):\n    return {'t': f(after, 3)}"
    assert parse_program(text).reads["after"] == ("x",)
