"""The step at the end of an episode, and steps in which the physics diverges."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from rewardsmith.contract.records import EnvSpec, Signal
from rewardsmith.worker.envs import mujoco_physics
from rewardsmith.worker.envs.make import make_envs

HEIGHT = Signal("height", (), "m", "", "qpos[rootz]")
FOOT = Signal("foot", (3,), "m", "", "geom_xpos[foot_geom]")


def fall(env):
    """Step until an episode ends; return the step, and what `read_signals` and `read_start_signals` gave before it."""
    rng = np.random.default_rng(0)
    env.reset(range(env.n))
    while True:
        current, start = env.read_signals().copy(), env.read_start_signals().copy()
        step = env.step(rng.uniform(-1, 1, (env.n, env.actions.width)))
        if len(step.ended):
            return step, current, start


def test_after_is_the_true_last_state_and_current_the_new_start():
    env = make_envs(EnvSpec("Hopper-v5", signals=(HEIGHT, FOOT)), 3, ("height", "foot"))
    step, _, start_before = fall(env)
    row, running = step.ended[0], [i for i in range(3) if i not in step.ended]
    after, current, start = (
        env.layout.unpack_signals(array) for array in (step.after, env.read_signals(), env.read_start_signals())
    )
    assert after["height"][row] == step.final_obs[row, 0]
    assert current["height"][row] == step.obs[row, 0] == start["height"][row]
    assert abs(current["height"][row] - 1.25) < 0.01
    assert after["height"][row] != current["height"][row]
    np.testing.assert_array_equal(step.after[running], env.read_signals()[running])
    np.testing.assert_array_equal(env.read_start_signals()[running], start_before[running])


def test_current_is_the_last_after_while_an_episode_runs():
    env = make_envs(EnvSpec("HalfCheetah-v5", signals=(Signal("x", (), "m", "", "qpos[rootx]"),)), 2, ("x",))
    env.reset((0, 1))
    after = env.step(np.zeros((2, 6))).after.copy()
    np.testing.assert_array_equal(env.read_signals(), after)


def test_an_episode_is_truncated_by_time_alone():
    env = make_envs(EnvSpec("Hopper-v5", max_episode_steps=5), 2)
    env.reset((0, 1))
    steps = [env.step(np.zeros((2, 3)))._replace() for _ in range(5)]
    assert steps[-1].truncated.all()
    assert not steps[-1].terminated.any()


@pytest.mark.parametrize("loop", [False, True])
def test_diverged_physics_ends_the_episode_with_finite_values(loop, monkeypatch):
    if loop:
        monkeypatch.setattr(mujoco_physics, "mujoco_batch", None)
    env = make_envs(EnvSpec("Hopper-v5", signals=(HEIGHT, FOOT)), 3, ("height", "foot"))
    before_obs = env.reset((0, 1, 2)).copy()
    before = env.read_signals().copy()
    _break(env, 1)
    step = env.step(np.zeros((3, 3)))
    assert step.broken.tolist() == step.terminated.tolist() == [False, True, False]
    assert step.ended.tolist() == [1]
    assert step.environment_reward[1] == 0.0
    np.testing.assert_array_equal(step.final_obs[1], before_obs[1])
    np.testing.assert_array_equal(step.after[1], before[1])
    assert all(np.isfinite(array).all() for array in (step.obs, step.final_obs, step.after, env.read_signals()))
    assert not env.step(np.zeros((3, 3))).broken.any()


def _break(env, row):
    """Give one simulation a velocity that is not a number, as a blow-up would."""
    simulations = env._physics
    if isinstance(simulations, mujoco_physics.LoopPhysics):
        simulations._datas[row].qvel[0] = np.nan
    else:
        simulations.stepped_buffer("qvel")[row, 0] = np.nan


class Faulty(gymnasium.Env):
    """Observes a number that is not finite in its third step."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2, start=5)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.sent = np.zeros(2), []
        return self.state, {}

    def step(self, action):
        self.sent.append(action)
        self.state = self.state + 0.1
        obs = np.full(2, np.nan) if len(self.sent) == 3 else self.state
        return obs, 1.0, False, False, {"count": len(self.sent), "reward_part": 1.0}


@pytest.fixture
def faulty():
    id = "FaultyNumbers-v0"
    gymnasium.register(id, Faulty, max_episode_steps=50)
    yield id
    gymnasium.registry.pop(id)


def test_a_gymnasium_environment_whose_observation_is_not_finite_ends_its_episode(faulty):
    env = make_envs(EnvSpec(faulty, signals=(Signal("state", (2,), "1", "", "state"),)), 2, ("state",))
    env.reset((0, 1))
    actions = np.zeros((2, 1))
    second = [env.step(actions) for _ in range(2)][-1].obs.copy()
    step = env.step(actions)
    assert step.broken.all()
    assert step.terminated.all()
    np.testing.assert_array_equal(step.final_obs, second)
    np.testing.assert_array_equal(step.obs, np.zeros((2, 2)))
    np.testing.assert_array_equal(step.environment_reward, [0.0, 0.0])
