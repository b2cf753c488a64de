"""Images among the numbers of an observation: a policy learns from both, acts without torch, and can be exported."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes.bright_env import SIDE
from fakes.training_case import job

from rewardsmith.contract.errors import ConfigError, TaskError
from rewardsmith.contract.records import (
    EnvSpec,
    EvaluateJob,
    ExportJob,
    InitialPolicy,
    OffPolicySettings,
    TrainSettings,
)
from rewardsmith.worker import evaluate
from rewardsmith.worker.envs.make import make_envs
from rewardsmith.worker.policy_export import export_job
from rewardsmith.worker.training import policy, train
from rewardsmith.worker.training.images import Image, ImagePart
from rewardsmith.worker.training.ppo_learner import PPOLearner
from rewardsmith.worker.training.running_stats import PictureScaling
from rewardsmith.worker.training.training_loop import NullTrainingCallback

BESIDE = EnvSpec("fakes.bright_env:BrightBeside-v0")
PARTS = (ImagePart(1, Image(SIDE, SIDE, 3)),)
MATCH = """
def reward(action, after):
    choice = action[:, 0]
    return {"image": 2.0 * (choice % 2 == after.was_right), "number": 1.0 * (choice // 2 == after.was_flag)}
"""
SETTINGS = TrainSettings(
    n_envs=4, n_steps=64, batch_size=64, n_epochs=4, learning_rate=1e-3, net_arch=(64,), gamma=0.5, checkpoints=2
)


def beside_job(**changes):
    return job(MATCH, env=BESIDE, fitness="mean(matched)", env_steps=3_072, **{"settings": SETTINGS, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("beside")
    return train.run(beside_job(), out), out


def draw_observations(n: int = 5) -> np.ndarray:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, PARTS[0].image.size)).astype(np.float64)
    return np.concatenate([rng.choice([-5.0, 5.0], (n, 1)), pixels], axis=1)


def test_an_environment_says_which_numbers_are_an_image():
    env = make_envs(BESIDE, 2)
    assert (env.image, env.image_parts, env.obs_dim) == (None, PARTS, 1 + SIDE * SIDE * 3)


def test_a_policy_learns_what_only_image_and_number_tell_together(trained):
    training, out = trained
    assert training.status == "ok"
    result = evaluate.run(EvaluateJob(BESIDE, str(out), "mean(matched)", tuple(range(4))), out)
    assert result.fitness > 0.8  # 0.5 with one of the two, 0.25 with none


@pytest.mark.parametrize("normalize_obs", [True, False])
def test_the_saved_policy_is_the_trained_one(normalize_obs, tmp_path):
    learner = PPOLearner(beside_job(settings=replace(SETTINGS, normalize_obs=normalize_obs)), NullTrainingCallback())
    learner.run_iteration()
    policy.save(learner.extract_policy(), tmp_path)
    saved, network = policy.load(tmp_path), learner.model.policy
    assert (saved.spec.image_parts, saved.obs_dim) == (PARTS, 1 + SIDE * SIDE * 3)
    seen = learner.collector._obs
    with torch.no_grad():
        expected = network.get_distribution(torch.from_numpy(learner.scaling.scale(seen))).distribution.logits
    logits = saved.forward(seen)
    np.testing.assert_allclose(
        logits - logits.mean(1, keepdims=True), expected - expected.mean(1, keepdim=True), atol=1e-5
    )
    np.testing.assert_array_equal(logits, np.concatenate([saved.forward(seen[i : i + 1]) for i in range(4)]))
    learner.close()


def test_bytes_are_divided_by_255_and_numbers_normalised():
    scaling = PictureScaling(3, 3, [ImagePart(1, Image(1, 2, 1))], normalizes=True)
    scaling.update(np.array([[0.0, 0.0, 255.0], [2.0, 255.0, 255.0], [4.0, 255.0, 0.0]]))
    np.testing.assert_allclose(scaling.scale(np.array([[2.0, 255.0, 51.0]])), [[0.0, 1.0, 0.2]], atol=1e-6)
    plain = PictureScaling(3, 3, [ImagePart(1, Image(1, 2, 1))], normalizes=False)
    plain.update(np.array([[0.0, 0.0, 255.0], [4.0, 255.0, 0.0]]))
    np.testing.assert_allclose(plain.scale(np.array([[4.0, 255.0, 0.0]])), [[4.0, 1.0, 0.0]], atol=1e-6)


@pytest.mark.parametrize("form", ["onnx", "torchscript"])
def test_an_exported_policy_takes_the_flattened_observation(form, trained, tmp_path):
    pytest.importorskip("onnxruntime")
    _, folder = trained
    written = export_job.run(ExportJob(BESIDE, str(folder), form), tmp_path)
    assert written.status == "ok", written.cause
    obs = draw_observations()
    if form == "onnx":
        import onnxruntime

        actions = onnxruntime.InferenceSession(str(tmp_path / written.file)).run(None, {"observation": obs})[0]
    else:
        actions = torch.jit.load(str(tmp_path / written.file))(torch.from_numpy(obs)).numpy()
    np.testing.assert_array_equal(actions, policy.load(folder).act(obs)[:, 0])


def test_stable_baselines3_cannot_load_such_a_policy_which_is_one_line(trained, tmp_path):
    with pytest.raises(ConfigError, match="--policy sb3 writes no policy that sees images beside numbers"):
        export_job.run(ExportJob(BESIDE, str(trained[1]), "sb3"), tmp_path)


def test_a_training_goes_on_from_such_a_policy(trained):
    learner = PPOLearner(beside_job(initial_policy=InitialPolicy(str(trained[1]), "earlier")), NullTrainingCallback())
    assert learner.inherited_from == "earlier"
    weight = learner.extract_policy().tensors["image0.conv.0.weight"]
    np.testing.assert_array_equal(weight, policy.load(trained[1]).tensors["image0.conv.0.weight"])
    learner.close()


def test_sac_takes_no_images(tmp_path):
    settings = TrainSettings(trainer="sac", off_policy=OffPolicySettings())
    with pytest.raises(TaskError, match="is for boxes, and this environment has"):
        train.run(beside_job(settings=settings), tmp_path)
