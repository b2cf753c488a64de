"""Shared parts of the tests of mjlab's tasks: a small task, a program, and its training."""

from __future__ import annotations

import os
from typing import Any

import pytest
from fakes.families import needs

from rewardsmith.contract.records import EnvSpec, Signal, TrainJob, TrainSettings

BALANCE = "mjlab:Mjlab-Cartpole-Balance"
DEVICE = os.environ.get("REWARDSMITH_TEST_DEVICE", "cpu")
"""Where the tests compute; "cuda:0" on a machine with a GPU."""
SIGNALS = (
    Signal("angle", (), "rad", "the pole's angle", "qpos[cartpole/hinge_1]"),
    Signal("place", (), "m", "the cart's place", "qpos[cartpole/slider]"),
    Signal("rate", (), "rad/s", "the pole's rate", "qvel[cartpole/hinge_1]"),
    Signal("pole", (3,), "m", "the pole's place", "xpos[cartpole/pole_1]"),
    Signal("last_action", (1,), "1", "the last action", "last_action"),
)
SPEC = EnvSpec(BALANCE, {"device": DEVICE}, signals=SIGNALS, max_episode_steps=12)
PROGRAM = """
WEIGHTS = {"upright": 1.0, "centre": 0.1}

def reward(before, action, after):
    return {"upright": np.cos(after.angle), "centre": -after.place**2}
"""
MJLABS_OWN = """
def reward(after):
    upright = (np.cos(after.angle) + 1) / 2
    centred = (1 + np.exp(-0.5 * (after.place / 2.0) ** 2 * -2 * np.log(0.1))) / 2
    control = (4 + np.maximum(0.0, 1 - 0.9 * after.last_action[:, 0] ** 2)) / 5
    slow = (1 + np.exp(-0.5 * (after.rate / 5.0) ** 2 * -2 * np.log(0.1))) / 2
    return {"smooth": 0.05 * upright * centred * control * slow}
"""
"""mjlab's own reward of the task, with the step's 0.05 s by which mjlab multiplies its rewards."""
SMALL = TrainSettings(n_envs=4, n_steps=32, checkpoints=2)
NEEDS_MJLAB: pytest.MarkDecorator = needs(BALANCE)
TO_THE_LAST_BIT = pytest.mark.skipif(DEVICE != "cpu", reason="a GPU adds in another order each time")


def lab_job(program: str | None = PROGRAM, **changes: Any) -> TrainJob:
    """Return a small training job."""
    fields: dict[str, Any] = {
        "env": SPEC,
        "fitness": "mean(cos(angle))",
        "seed": 3,
        "env_steps": 256,
        "settings": SMALL,
    }
    return TrainJob(program=program, **(fields | changes))
