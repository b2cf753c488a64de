"""Environments whose observations are images: an image policy learns, acts without torch, and can be loaded."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from fakes.bright_env import SIDE
from fakes.training_case import job
from gymnasium import spaces

from rewardsmith.contract.records import EnvSpec, EvaluateJob, ProbeJob, TrainSettings
from rewardsmith.worker import evaluate, probe
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.envs.open_env import read_image
from rewardsmith.worker.training import policy, ppo, train
from rewardsmith.worker.training.images import Image, ImageScaling
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.training_loop import NullTrainingCallback

SETTINGS = TrainSettings(
    n_envs=4, n_steps=64, batch_size=64, n_epochs=4, learning_rate=1e-3, net_arch=(16,), gamma=0.5, checkpoints=2
)
MATCH = 'def reward(action, after):\n    return {"match": (action[:, 0] == after.was_right) * 1.0}\n'


BRIGHT = EnvSpec("fakes.bright_env:Bright-v0")


def image_job(**changes):
    return job(MATCH, env=BRIGHT, fitness="mean(matched)", settings=SETTINGS, env_steps=1_536, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("image-policy")
    return train.run(image_job(), out), out


def test_a_policy_learns_from_images(trained):
    training, out = trained
    assert training.status == "ok"
    result = evaluate.run(EvaluateJob(BRIGHT, str(out), "mean(matched)", tuple(range(4))), out)
    assert result.fitness > 0.9


def test_the_saved_policy_is_the_trained_one(tmp_path):
    learner = PPOLearner(image_job(), NullTrainingCallback())
    learner.run_iteration()
    policy.save(learner.extract_policy(), tmp_path)
    saved, network = policy.load(tmp_path), learner.model.policy
    convolution = network.features_extractor.cnn[0]
    np.testing.assert_array_equal(saved.tensors["conv.0.weight"], convolution.weight.detach().numpy())
    assert saved.spec.image == Image(SIDE, SIDE, 3)
    seen = learner.rollout.raw_obs[0]
    with torch.no_grad():
        images = torch.from_numpy(learner.rollout.obs[0].reshape(-1, 3, SIDE, SIDE))
        expected = network.get_distribution(images).distribution.logits
        expected = expected - expected.mean(1, keepdim=True)
    logits = saved.forward(seen)
    np.testing.assert_allclose(logits - logits.mean(1, keepdims=True), expected, atol=1e-5)
    learner.close()


def test_a_row_is_acted_on_alone(trained):
    saved = policy.load(trained[1])
    images = np.random.default_rng(0).integers(0, 256, (5, SIDE * SIDE * 3), dtype=np.uint8)
    together = saved.forward(images)
    np.testing.assert_array_equal(together, np.concatenate([saved.forward(images[i : i + 1]) for i in range(5)]))


def test_an_update_changes_the_convolutions():
    learner = PPOLearner(image_job(), NullTrainingCallback())
    before = learner.extract_policy().tensors["conv.0.weight"]
    learner.run_iteration()
    assert not np.array_equal(before, learner.extract_policy().tensors["conv.0.weight"])
    learner.close()


def test_a_rollout_keeps_images_as_bytes():
    learner = PPOLearner(image_job(), NullTrainingCallback())
    buffers = (learner.rollout.raw_obs, learner.rollout.obs, learner.model.rollout_buffer.observations)
    assert {buffer.dtype for buffer in buffers} == {np.dtype(np.uint8)}
    learner.close()


@pytest.mark.parametrize("channels_first", [False, True])
def test_an_image_reaches_the_network_channel_first(channels_first):
    env = make_envs(replace(BRIGHT, kwargs={"channels_first": channels_first}), 2)
    rows = env.reset((0, 0))
    assert env.image == Image(SIDE, SIDE, 3, channels_first)
    original = gymnasium.make("Bright-v0", channels_first=channels_first).reset(seed=0)[0]
    expected = original if channels_first else original.transpose(2, 0, 1)
    out = np.empty_like(rows)
    ImageScaling(env.image).scale_into(rows, out)
    np.testing.assert_array_equal(out[0].reshape(3, SIDE, SIDE), expected)
    np.testing.assert_array_equal(ImageScaling(env.image).scale(rows), out)


def test_an_image_is_no_signal_and_the_probe_says_its_shape(tmp_path):
    found = probe.run(ProbeJob(BRIGHT, seed=0, transitions=8), tmp_path)
    assert found.observation_shape == (SIDE, SIDE, 3)
    assert "obs" not in {signal.name for signal in found.signals}


@pytest.mark.parametrize(
    "space",
    [
        spaces.Box(0, 255, (SIDE, SIDE - 1), np.uint8),
        spaces.Box(0, 1, (SIDE, SIDE, 3), np.float32),
        spaces.Box(0, 255, (7, 7, 3), np.uint8),
        spaces.Box(0, 10, (SIDE, SIDE, 3), np.uint8),
        spaces.Discrete(3),
    ],
    ids=str,
)
def test_what_the_convolutions_cannot_take_is_no_image(space):
    assert read_image(space) is None


def test_the_fast_trainer_leaves_images_to_stable_baselines3():
    from rewardsmith.worker.training.fast_ppo import find_supported_shape

    env = make_envs(BRIGHT, 2)
    model = ppo.build_model(replace(SETTINGS, trainer="fast"), env.obs_dim, env.actions, 0, env.image)
    assert find_supported_shape(model) is None
