"""Pictures that providers look at: at starts, at every k-th step and at ends, of every kind of environment."""

from __future__ import annotations

import numpy as np
import pytest
from fakes.robots import spell_puppy

from rewardsmith.contract.errors import TaskError, UserError
from rewardsmith.contract.records import EnvSpec, LearnedSignal
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.learned_signals.env import LearnedSignalEnv

BRIGHTNESS = LearnedSignal("brightness", "fakes.learned_providers:FrameProvider", "a test")


def run(env: LearnedSignalEnv, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the values (T, n) of random steps, and where episodes ended."""
    rng, ended = np.random.default_rng(0), np.zeros((steps, env.n), np.bool_)
    env.reset(list(range(env.n)))
    for t in range(steps):
        step = env.step(np.stack([env.actions.sample(rng) for _ in range(env.n)]))
        ended[t, step.ended] = True
    return env.take_values().after[..., 0], ended


def test_a_value_changes_at_every_third_step_and_at_the_end_alone():
    env = make_envs(EnvSpec("CartPole-v1", learned_signals=(BRIGHTNESS,)), 2, ("brightness",))
    values, ended = run(env, 60)
    for row in range(2):
        elapsed = 1
        for t in range(1, 60):
            elapsed = 1 if ended[t - 1, row] else elapsed + 1
            if elapsed > 1 and elapsed % 3 and not ended[t, row]:
                assert values[t, row] == values[t - 1, row]
    assert len(np.unique(values)) > 10
    env.close()


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Reacher-v5"])
def test_simulations_are_drawn_by_one_process_for_all(env_id):
    try:
        env = make_envs(EnvSpec(env_id, learned_signals=(BRIGHTNESS,)), 2, ("brightness",))
    except UserError as error:
        pytest.skip(str(error))
    plain = make_envs(EnvSpec(env_id), 2)
    values, _ = run(env, 12)
    assert np.isfinite(values).all() and (np.ptp(values, axis=0) > 0).all()

    # Drawing changes no trajectory.
    rng = np.random.default_rng(0)
    plain.reset([0, 1]), env.reset([0, 1])
    for _ in range(12):
        action = np.stack([env.actions.sample(rng) for _ in range(2)])
        np.testing.assert_array_equal(env.step(action).obs, plain.step(action).obs)
    env.close()


def test_robots_from_a_model_file_are_drawn_too(tmp_path):
    from rewardsmith.spec.robots import make_robot_env

    file = tmp_path / "puppy.xml"
    file.write_text(spell_puppy())
    spec = make_robot_env(str(file), {}, tmp_path, "test")
    try:
        env = make_envs(EnvSpec(spec.env_id, spec.kwargs, learned_signals=(BRIGHTNESS,)), 2, ("brightness",))
    except UserError as error:
        if "no frames can be rendered" in str(error):
            pytest.skip(str(error))
        raise
    plain = make_envs(spec, 2)
    rng = np.random.default_rng(0)
    plain.reset([0, 1]), env.reset([0, 1])
    for _ in range(8):
        action = np.stack([env.actions.sample(rng) for _ in range(2)])
        np.testing.assert_array_equal(env.step(action).obs, plain.step(action).obs)
    assert (np.ptp(env.take_values().after[..., 0], axis=0) > 0).all()
    env.close()


def test_an_environment_without_pictures_gives_one_line(unpictured):
    with pytest.raises(TaskError, match="cannot be filmed: it has no render mode 'rgb_array'") as raised:
        make_envs(EnvSpec(unpictured, learned_signals=(BRIGHTNESS,)), 1, ("brightness",))
    assert "\n" not in str(raised.value)


@pytest.fixture
def unpictured():
    import gymnasium
    from fakes.unusual_env import Unusual

    gymnasium.register("Unpictured-v0", entry_point=Unusual)
    yield "Unpictured-v0"
    del gymnasium.registry["Unpictured-v0"]
