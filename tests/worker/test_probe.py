"""The probe job."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, ProbeJob
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import probe


def run(env, tmp_path, transitions=120, seed=0):
    found = probe.run(ProbeJob(env, seed, transitions), tmp_path)
    with np.load(tmp_path / "transitions.npz", allow_pickle=False) as file:
        return found, dict(file)


def test_describes_the_environment(tmp_path):
    hopper = load_task(None, "hopper").env
    found, _ = run(hopper, tmp_path)
    assert found.signals[: len(hopper.signals)] == hopper.signals
    assert len(found.signals) > len(hopper.signals)
    assert (found.action_shape, found.action_low, found.action_high) == ((3,), (-1.0,) * 3, (1.0,) * 3)
    assert (found.observation_shape, found.max_episode_steps, found.discrete_actions) == ((11,), 1000, None)
    assert (found.status, found.transitions) == ("ok", 120)


def test_records_every_signal_of_every_transition(tmp_path):
    found, arrays = run(load_task(None, "reacher").env, tmp_path)
    for signal in found.signals:
        for state in ("before", "after", "start"):
            assert arrays[f"{state}/{signal.name}"].shape == (120, *signal.shape)
    assert arrays["action"].shape == (120, 2)
    assert arrays["step"].shape == (120,)
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_an_episode_s_transitions_follow_each_other(tmp_path):
    _, arrays = run(load_task(None, "hopper").env, tmp_path)
    first = np.flatnonzero(arrays["step"] == 0)
    assert len(first) >= 2
    height, step = {state: arrays[f"{state}/torso_height"] for state in ("before", "after", "start")}, arrays["step"]
    inside = np.flatnonzero(step[1:] > 0)
    np.testing.assert_array_equal(height["before"][inside + 1], height["after"][inside])
    np.testing.assert_array_equal(height["start"][inside + 1], height["start"][inside])
    np.testing.assert_array_equal(height["before"][first], height["start"][first])


def test_recorded_transitions_are_those_of_gymnasium(tmp_path):
    """The first episode, acted again in the original, goes through the same states."""
    _, arrays = run(load_task(None, "hopper").env, tmp_path, seed=3)
    env = gymnasium.make("Hopper-v5")
    env.reset(seed=3)
    for t in range(int(np.flatnonzero(arrays["step"] == 0)[1])):
        assert arrays["before/x_position"][t] == env.unwrapped.data.qpos[0]
        env.step(arrays["action"][t].astype(np.float32))
        assert arrays["after/x_position"][t] == env.unwrapped.data.qpos[0]


def test_the_seed_decides(tmp_path):
    pendulum = load_task(None, "pendulum").env
    one, again, other = (run(pendulum, tmp_path, seed=seed)[1]["action"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_discrete_actions_and_an_environment_without_a_card(tmp_path):
    found, arrays = run(EnvSpec("CartPole-v1"), tmp_path)
    assert found.discrete_actions == 2
    assert [signal.name for signal in found.signals][-1] == "obs"
    assert set(np.unique(arrays["action"])) == {0.0, 1.0}


def test_an_unknown_environment_is_named_with_the_nearest(tmp_path):
    with pytest.raises(TaskError, match="Hopper-v5"):
        run(EnvSpec("Hoper-v5"), tmp_path)


def test_an_environment_of_images_alone_has_no_signals_and_its_actions_are_recorded(tmp_path):
    found, arrays = run(EnvSpec("CarRacing-v3"), tmp_path, transitions=8)
    assert (found.status, found.signals) == ("ok", ())
    assert sorted(arrays) == ["action", "step", "terminated"]
    assert arrays["action"].shape == (8, 3)
