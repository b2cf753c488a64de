"""Trainings of a task of mjlab: what is paid, what the policy becomes, and what happens where memory is short."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes.lab_case import MJLABS_OWN, NEEDS_MJLAB, SPEC, TO_THE_LAST_BIT, lab_job

from rewardsmith.contract.errors import ConfigError, TaskError
from rewardsmith.contract.records import InitialPolicy
from rewardsmith.worker.mjlab import policies, train
from rewardsmith.worker.mjlab.learner import LabLearner
from rewardsmith.worker.mjlab.recorder import describe_overflows
from rewardsmith.worker.training import policy
from rewardsmith.worker.training.training_loop import NullTrainingCallback

pytestmark = NEEDS_MJLAB


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    return train.run(lab_job(), out), out


def run_one_rollout(job, monkeypatch):
    """Return the learner after one rollout, and the rewards that its storage held when it learned."""
    learner = LabLearner(job, NullTrainingCallback())
    paid = []
    update = learner.algorithm.update

    def note_and_update():
        storage = learner.algorithm.storage
        paid.append((storage.rewards[..., 0].clone(), storage.values[..., 0].clone()))
        return update()

    monkeypatch.setattr(learner.algorithm, "update", note_and_update)
    learner.run_iteration()
    learner.close()
    return learner, *paid[0]


def test_a_program_that_restates_mjlab_s_reward_trains_the_same_policy(monkeypatch):
    settings = replace(lab_job().settings, normalize_reward=False)
    own, own_paid, _ = run_one_rollout(lab_job(None, settings=settings), monkeypatch)
    restated, paid, _ = run_one_rollout(lab_job(MJLABS_OWN, settings=settings), monkeypatch)
    torch.testing.assert_close(paid, own_paid, atol=1e-5, rtol=1e-4)
    for name, tensor in own.extract_policy().tensors.items():
        np.testing.assert_allclose(restated.extract_policy().tensors[name], tensor, atol=2e-3, err_msg=name)


def test_time_limits_are_bootstrapped_with_the_value_of_the_state(monkeypatch):
    settings = replace(lab_job().settings, normalize_reward=False)
    learner, paid, values = run_one_rollout(lab_job(settings=settings), monkeypatch)
    host = learner.rollout.copy_to_host()
    signals = learner.layout.unpack_signals(host.after)
    program = np.cos(signals["angle"]) - 0.1 * signals["place"] ** 2
    assert host.ended.any() and not host.mark_terminations().any()
    expected = program + learner.algorithm.gamma * values.numpy() * host.ended
    np.testing.assert_allclose(paid.numpy(), expected, atol=1e-5)


def test_a_training_reports_its_curve_and_saves_a_policy_of_our_format(trained):
    result, out = trained
    assert (result.status, result.env_steps, [point.env_steps for point in result.curve]) == ("ok", 256, [128, 256])
    assert set(result.curve[0].terms) == {"upright", "centre"}
    assert result.curve[-1].episodes > 0 and result.curve[-1].fitness is not None
    assert result.layers and result.reward_s > 0
    loaded = policy.load(out)
    assert loaded.spec.activation == "elu" and loaded.spec.net_arch == (64, 64)
    assert loaded.act(np.zeros((3, 5))).shape == (3, 1)


@TO_THE_LAST_BIT
def test_the_same_seed_trains_the_same_policy_on_the_cpu(trained, tmp_path):
    train.run(lab_job(), tmp_path)
    first, second = policy.load(trained[1]).tensors, policy.load(tmp_path).tensors
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_training_goes_on_from_an_earlier_policy(trained):
    initial = InitialPolicy(str(trained[1]), "g0c00")
    learner = LabLearner(lab_job(initial_policy=initial, seed=9), NullTrainingCallback())
    learner.close()
    assert learner.inherited_from == "g0c00"
    before, now = policy.load(trained[1]).tensors, learner.extract_policy().tensors
    for name in before:
        np.testing.assert_allclose(now[name], before[name], atol=1e-6, err_msg=name)


def test_a_program_never_gets_a_privileged_signal():
    with pytest.raises(TaskError, match="no signal 'environment_reward'"):
        LabLearner(lab_job('def reward(after):\n    return {"x": after.environment_reward}\n'), NullTrainingCallback())


def test_a_failing_program_fails_the_training_in_one_line(tmp_path):
    result = train.run(lab_job('def reward(after):\n    return {"x": after.angle / 0.0}\n'), tmp_path)
    assert (result.status, result.cause) == (
        "failed",
        "term 'x' is not finite for 128 of 128 transitions, first at 0: inf",
    )
    assert not (tmp_path / "policy.json").exists()


def test_where_memory_is_too_small_half_of_the_environments_are_trained_and_the_user_is_told(monkeypatch, tmp_path):
    made = []
    make = LabLearner.__init__

    def run_out(self, job, callback, n_envs=None):
        made.append(n_envs)
        if n_envs > fits:
            raise RuntimeError("Failed to allocate 12345 bytes on device 'cuda:0'")
        make(self, job, callback, n_envs)

    monkeypatch.setattr(LabLearner, "__init__", run_out)
    fits = 2
    result = train.run(lab_job(), tmp_path)
    assert made == [4, 2] and result.status == "ok"
    assert result.cause == "the device's memory is too small for 4 environments: trained with 2"

    fits = 1
    with pytest.raises(ConfigError, match=r"small for 4 environments, and for 2; set fewer: --set training\.n_envs=1"):
        train.run(lab_job(), tmp_path)

    def crash(self, job, callback, n_envs=None):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(LabLearner, "__init__", crash)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        train.run(lab_job(), tmp_path)


def test_an_overflow_of_warp_s_buffers_is_an_alarm():
    assert describe_overflows(0, 0) is None
    from mujoco_warp._src.types import OverflowType

    text = describe_overflows(int(OverflowType.NEFC | OverflowType.NARROWPHASE), 12)
    assert text is not None and text.startswith("Warp's buffers overflowed in 12 environments (NEFC, NARROWPHASE)")


def test_an_overflow_in_a_training_reaches_the_user(monkeypatch, tmp_path):
    real = LabLearner.list_warnings

    def overflow(self):
        self._recorder.overflows[2] = 1
        return real(self)

    monkeypatch.setattr(LabLearner, "list_warnings", overflow)
    assert "Warp's buffers overflowed in 1 environments (NEFC)" in (train.run(lab_job(), tmp_path).cause or "")


def test_a_policy_acts_as_rsl_rl_s_actor_with_its_normalisation():
    from rsl_rl.algorithms import PPO
    from tensordict import TensorDict

    from rewardsmith.worker.mjlab.settings import build_learner_dict
    from rewardsmith.worker.mjlab.tasks import load_lab_task, read_lab_actions

    class Envs:
        num_envs, num_actions, action_manager = 16, 3, type("Actions", (), {"total_action_dim": 3})

    config = load_lab_task(SPEC).learner_config
    config.actor.obs_normalization = config.critic.obs_normalization = True
    obs = TensorDict({"actor": torch.randn(16, 4) * 5 + 2, "critic": torch.randn(16, 6)}, batch_size=[16])

    def build():
        algorithm = PPO.construct_algorithm(obs, Envs(), build_learner_dict(config), "cpu")
        algorithm.train_mode()
        return algorithm

    one, other = build(), build()
    one.actor.update_normalization(obs)
    one.critic.update_normalization(obs)
    made = policies.extract_policy(one, config, read_lab_actions(Envs, None))
    with torch.no_grad():
        expected = one.actor(obs).numpy()
    np.testing.assert_allclose(made.act(obs["actor"].double().numpy()), expected, atol=1e-5)
    acting = policies.DevicePolicy(made, "cpu")
    np.testing.assert_allclose(acting.act(obs["actor"], True).numpy(), expected, atol=1e-5)

    policies.inherit_policy(other, made, 1.0)
    with torch.no_grad():
        np.testing.assert_allclose(other.actor(obs).numpy(), expected, atol=1e-5)
        np.testing.assert_allclose(other.critic(obs).numpy(), one.critic(obs).numpy(), atol=1e-5)
