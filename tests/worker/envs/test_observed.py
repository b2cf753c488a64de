"""Policies that observe named signals in place of the environment's own vector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import foreign_envs
from fakes.training_case import SMALL, job

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec, EvaluateJob, Signal
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker import evaluate
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.train import run

HOPPER, CARTPOLE = load_task(None, "hopper").env, load_task(None, "cartpole").env
NAMED = {
    HOPPER.env_id: (HOPPER, ("torso_height", "joint_velocities")),
    CARTPOLE.env_id: (CARTPOLE, ("pole_angle", "cart_position")),
}
PROGRAM = 'OBSERVATION = ["torso_height", "torso_pitch"]\n\ndef reward(after):\n    return {"fast": after.x_velocity}\n'


@pytest.mark.parametrize("env_id", NAMED)
def test_an_observation_is_the_named_signals_in_their_order(env_id):
    spec, names = NAMED[env_id]
    plain, observed = make_envs(spec, 3, names), make_envs(spec, 3, observation=names)
    columns = plain.layout.map_columns()
    order = np.concatenate([np.arange(columns[name].start, columns[name].stop) for name in names])
    plain.reset([1, 2, 3])
    assert (observed.reset([1, 2, 3]) == plain.read_signals()[:, order]).all()
    assert (observed.obs_dim, observed.image) == (len(order), None)

    ended, rng = 0, np.random.default_rng(0)
    for _ in range(120):
        actions = np.stack([plain.actions.sample(rng) for _ in range(3)])
        step, expected = observed.step(actions), plain.step(actions)
        assert (step.obs == plain.read_signals()[:, order]).all()
        assert (step.final_obs == expected.after[:, order]).all()
        assert (step.terminated == expected.terminated).all()
        ended += len(step.ended)
    assert ended > 3


@pytest.mark.parametrize("trainer", ["fast", "sb3", "sac"])
def test_the_policy_says_what_it_sees_and_is_evaluated_on_it(trainer, tmp_path):
    settings = replace(SMALL, trainer=trainer, observation=("torso_height", "torso_pitch", "torso_height"))
    training = run(job(None, env=HOPPER, settings=settings, fitness="mean(x_velocity)"), tmp_path)
    assert training.status == "ok"

    policy = policies.load(tmp_path)
    assert (policy.observed_names, policy.obs_dim) == (("torso_height", "torso_pitch"), 2)
    assert [signal.source for signal in policy.spec.observation] == ["qpos[rootz]", "qpos[rooty]"]

    evaluation = evaluate.run(EvaluateJob(HOPPER, str(tmp_path), "x_position[-1]", (0, 1)), tmp_path)
    assert evaluation.status == "ok"
    with np.load(tmp_path / "episodes.npz") as file:
        before = np.stack(
            [
                np.concatenate([[file[f"0/start/{name}"]], file[f"0/{name}"][:-1]])
                for name in ("torso_height", "torso_pitch")
            ],
            axis=1,
        )
        assert np.allclose(policy.act(before), file["0/action"], atol=1e-6)


def test_a_program_that_declares_an_observation_is_trained_on_it(tmp_path):
    settings = replace(SMALL, observation=("joint_velocities",))
    assert run(job(PROGRAM, env=HOPPER, settings=settings), tmp_path).status == "ok"
    assert policies.load(tmp_path).observed_names == ("torso_height", "torso_pitch")
    # A baseline has no program: the setting counts.
    assert run(job(None, env=HOPPER, settings=settings), tmp_path).status == "ok"
    assert policies.load(tmp_path).observed_names == ("joint_velocities",)


def test_an_entry_of_info_that_is_no_number_counts_as_zero():
    with foreign_envs.registered():
        env = make_envs(EnvSpec("foreign/LateNan-v0"), 1, observation=("ttc", "obs"))
        env.reset([0])
        seen = [env.step(np.zeros((1, env.actions.width))).obs[0].copy() for _ in range(foreign_envs.LIMIT)]
    assert np.isfinite(seen).all()
    assert min(row[0] for row in seen) == 0.0 < max(row[0] for row in seen)
    assert "ttc" in env.faults


def test_a_picture_cannot_be_observed_by_name():
    spec = replace(CARTPOLE, signals=(Signal("screen", (1, 2, 2), "1", "", "obs"),))
    with pytest.raises(TaskError, match=r"'screen' is a picture \(1x2x2\): name signals that are numbers or vectors"):
        make_envs(spec, 1, observation=("screen",))


def test_a_privileged_signal_cannot_be_observed():
    with pytest.raises(TaskError, match="no signal 'environment_reward'"):
        make_envs(HOPPER, 1, observation=("environment_reward",))
