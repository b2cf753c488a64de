"""Signals read from the simulation's tensors: equal to MuJoCo's own, current, and of the true last state."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np
import pytest
import torch
from fakes.lab_case import BALANCE, NEEDS_MJLAB, SPEC

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.contract.signal_source import FUNCTIONS as NUMPY_FUNCTIONS
from rewardsmith.worker.envs.base import SignalLayout
from rewardsmith.worker.mjlab.catalogue import survey_lab_task
from rewardsmith.worker.mjlab.fields import FUNCTIONS, SignalGatherer
from rewardsmith.worker.mjlab.recorder import RewardRecorder
from rewardsmith.worker.mjlab.rollouts import DeviceRollout
from rewardsmith.worker.mjlab.tasks import load_lab_task, make_lab_env


def test_the_functions_of_sources_give_what_they_give_in_numpy():
    assert set(FUNCTIONS) == set(NUMPY_FUNCTIONS)
    vectors = np.random.default_rng(0).normal(size=(5, 2)) * 4.0
    for name, function in FUNCTIONS.items():
        np.testing.assert_allclose(function(torch.from_numpy(vectors)), NUMPY_FUNCTIONS[name](vectors), rtol=1e-12)


@pytest.fixture(scope="module")
def recorded():
    """Give a rollout of 30 steps with episodes of 12, of every signal of the task, and the model."""
    task = load_lab_task(replace(SPEC, signals=()))
    env = make_lab_env(task, 3, 0)
    layout = SignalLayout(
        (
            *survey_lab_task(task, env).signals,
            Signal("positions", (2,), "1", "", "qpos[0:2]"),
            Signal("velocities", (2,), "1", "", "qvel[0:2]"),
            Signal("turned", (), "1", "", "cos(qpos[cartpole/hinge_1]) - 1"),
            Signal("matrix", (), "1", "", "xmat[cartpole/pole_1,8]"),
        )
    )
    gatherer = SignalGatherer(env, layout)
    recorder = RewardRecorder(env, gatherer, pays=True)
    env.reset()
    rollout = DeviceRollout(30, env, gatherer, recorder)
    for step in range(30):
        actions = torch.randn(3, 1)
        rollout.record_before(step, actions)
        _, own, terminated, truncated, _ = env.step(actions)
        rollout.record_after(step, own, terminated, terminated | truncated)
    return rollout.copy_to_host(), layout, env.sim.mj_model


@NEEDS_MJLAB
@pytest.mark.parametrize("state", ["before", "after", "start"])
def test_signals_equal_what_mujoco_computes_from_the_same_positions(recorded, state):
    host, layout, model = recorded
    signals = layout.unpack_signals(getattr(host, state))
    data = mujoco.MjData(model)
    for step, row in np.ndindex(30, 3):
        data.qpos[:], data.qvel[:] = signals["positions"][step, row], signals["velocities"][step, row]
        mujoco.mj_forward(model, data)
        body, velocity = model.body("cartpole/pole_1").id, np.zeros(6)
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_XBODY, body, velocity, 0)
        expected = {
            "cartpole_pole_1_position": data.xpos[body],
            "cartpole_pole_1_velocity": velocity[3:],
            "cartpole_pole_1_angular_velocity": velocity[:3],
            "turned": np.cos(data.qpos[1]) - 1.0,
            "matrix": data.xmat[body, 8],
        }
        for name, value in expected.items():
            np.testing.assert_allclose(signals[name][step, row], value, atol=2e-5, err_msg=name)


@NEEDS_MJLAB
def test_the_last_state_of_an_episode_is_recorded_before_the_next_one_starts(recorded):
    host, layout, _ = recorded
    signals = {state: layout.unpack_signals(getattr(host, state)) for state in ("before", "after", "start")}
    assert host.ended.sum(axis=1).tolist() == [3 if step in (11, 23) else 0 for step in range(30)]
    assert not host.mark_terminations().any()
    assert all(end.truncated for end in host.episode_ends)

    place = {state: values["positions"] for state, values in signals.items()}
    np.testing.assert_array_equal(place["before"][1:12], place["after"][:11])
    np.testing.assert_array_equal(place["start"][:12], np.broadcast_to(place["before"][0], (12, 3, 2)))
    # Acted on for 12 steps the pole has left the upright, where the next episode begins.
    assert (np.abs(place["after"][11, :, 1]) > 0.05).any()
    assert (np.abs(place["before"][12, :, 1]) < 0.035).all()
    np.testing.assert_array_equal(place["start"][12:24], np.broadcast_to(place["before"][12], (12, 3, 2)))


@NEEDS_MJLAB
def test_the_last_action_is_0_at_a_start_and_then_that_of_the_step(recorded):
    host, layout, _ = recorded
    last = {
        state: layout.unpack_signals(getattr(host, state), ["last_action"])["last_action"]
        for state in ("before", "after")
    }
    np.testing.assert_array_equal(last["after"], host.clipped_actions)
    np.testing.assert_array_equal(last["before"][1:12], host.clipped_actions[:11])
    assert not last["before"][[0, 12, 24]].any()


@NEEDS_MJLAB
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("xpos[trunk]", "the model has no body 'trunk'"),
        ("info[x]", "a task of mjlab has time, qpos"),
        ("cfrc_ext[cartpole/cart]", "a task of mjlab has"),
        ("command[twist]", r"command\[twist\]: there is no such name; it has none"),
        ("qpos[7]", "is outside the field, of shape"),
        ("qpos[0:2]", "has shape"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(source, message):
    task = load_lab_task(EnvSpec(BALANCE))
    env = make_lab_env(task, 2, 0)
    with pytest.raises(TaskError, match=message) as caught:
        SignalGatherer(env, SignalLayout((Signal("x", (), "1", "", source),)))
    assert "\n" not in str(caught.value)
