"""Exported policies: their files act as the policy does, also where rewardsmith is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from fakes.training_case import SMALL, job

from rewardsmith.contract import errors
from rewardsmith.contract.records import EnvSpec, ExportJob, Signal
from rewardsmith.spec.task_cards import load_task
from rewardsmith.worker.policy_export import export_job
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.images import Image
from rewardsmith.worker.training.policy import Policy, PolicySpec
from rewardsmith.worker.training.train import run

HOPPER = load_task(None, "hopper").env
TOLERANCE = 1e-5
FORMATS = ("onnx", "sb3", "torchscript")
SB3_CLASSES = {"fast": "PPO", "sb3": "PPO", "sac": "SAC", "td3": "TD3"}


def act_onnx(file: Path, obs: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(file)
    (action,) = session.run(None, {"observation": obs})
    return np.asarray(action)


def act_torchscript(file: Path, obs: np.ndarray) -> np.ndarray:
    return torch.jit.load(file)(torch.from_numpy(obs)).numpy()


def act_sb3(file: Path, obs: np.ndarray, kind: str = "PPO") -> np.ndarray:
    import stable_baselines3

    action, _ = getattr(stable_baselines3, kind).load(file, device="cpu").predict(obs, deterministic=True)
    return np.asarray(action)


def export(folder: Path, form: str, env: EnvSpec = HOPPER) -> Path:
    out = folder / form
    out.mkdir(exist_ok=True)
    return out / export_job.run(ExportJob(env, str(folder), form), out).file


def act(file: Path, obs: np.ndarray, kind: str = "PPO") -> np.ndarray:
    if file.suffix == ".onnx":
        return act_onnx(file, obs)
    return act_torchscript(file, obs) if file.suffix == ".pt" else act_sb3(file, obs, kind)


def random_policy(spec: PolicySpec, inputs: int, outputs: int, **more: np.ndarray) -> Policy:
    """Return a policy that has learnt nothing, with statistics as different as real ones are."""
    rng = np.random.default_rng(0)
    tensors = dict(more)
    for layer, (fan_in, fan_out) in enumerate(pairwise((inputs, *spec.net_arch, outputs))):
        tensors[f"actor.{layer}.weight"] = rng.normal(0, fan_in**-0.5, (fan_out, fan_in)).astype(np.float32)
        tensors[f"actor.{layer}.bias"] = rng.normal(0, 0.1, fan_out).astype(np.float32)
    if spec.normalize_obs:
        tensors["obs_mean"] = rng.normal(0, 100.0, inputs)
        tensors["obs_var"] = 10.0 ** rng.uniform(-8, 4, inputs)
    return Policy(spec, tensors)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("trainer", SB3_CLASSES)
def test_a_trained_policy_acts_the_same_in_every_format(trainer, form, tmp_path):
    settings = replace(SMALL, trainer=trainer, off_policy=replace(SMALL.off_policy, learning_starts=64, batch_size=16))
    assert run(job(None, env=HOPPER, settings=settings, env_steps=256), tmp_path).status == "ok"
    obs = np.random.default_rng(1).normal(0.0, 2.0, (64, 11))
    expected = policies.load(tmp_path).act(obs)
    assert np.abs(act(export(tmp_path, form), obs, SB3_CLASSES[trainer]) - expected).max() < TOLERANCE


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("activation", ["tanh", "relu", "elu"])
@pytest.mark.parametrize("normalize_obs", [True, False])
def test_normalisation_and_bounds_are_inside(normalize_obs, activation, form, tmp_path):
    low, high = (-0.4, -np.inf, 0.1), (0.4, 0.2, np.inf)
    spec = PolicySpec((32, 16), "box", low, high, activation, normalize_obs)
    policy = random_policy(spec, 5, 3, log_std=np.zeros(3, np.float32))
    policies.save(policy, tmp_path)
    # Around the mean of each number, so that some are clipped and some are not.
    rng = np.random.default_rng(1)
    obs = rng.normal(0.0, 1.0, (200, 5))
    if normalize_obs:
        obs = policy.tensors["obs_mean"] + obs * 8.0 * np.sqrt(policy.tensors["obs_var"])
    expected = policy.act(obs)
    assert (expected == np.clip(expected, low, high)).all()
    if (activation, form) == ("elu", "sb3"):
        with pytest.raises(errors.ConfigError, match="writes no policy of mjlab's tasks"):
            export(tmp_path, form)
    else:
        assert np.abs(act(export(tmp_path, form), obs) - expected).max() < TOLERANCE


@pytest.mark.parametrize("form", FORMATS)
def test_a_choice_is_its_number(form, tmp_path):
    policy = random_policy(PolicySpec((16,), "discrete", (0.0,), (5.0,)), 4, 6)
    policies.save(policy, tmp_path)
    obs = np.random.default_rng(1).normal(0.0, 100.0, (200, 4)) + policy.tensors["obs_mean"]
    choices = act(export(tmp_path, form), obs)
    assert (choices == policy.act(obs)[:, 0]).all()
    assert len(set(choices.tolist())) > 2 and choices.dtype == np.int64


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("channels_first", [False, True])
def test_a_policy_over_images_takes_them_as_the_environment_gives_them(channels_first, form, tmp_path):
    image, rng = Image(40, 48, 3, channels_first), np.random.default_rng(0)
    shapes = {"conv.0": (32, 3, 8, 8), "conv.1": (64, 32, 4, 4), "conv.2": (64, 64, 3, 3), "features": (512, 64)}
    tensors = {}
    for name, shape in shapes.items():
        shape = (512, 64 * 1 * 2) if name == "features" else shape
        scale = float(np.prod(shape[1:])) ** -0.5
        tensors[f"{name}.weight"] = rng.normal(0, scale, shape).astype(np.float32)
        tensors[f"{name}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
    spec = PolicySpec((16,), "box", (-1.0,) * 2, (1.0,) * 2, normalize_obs=False, image=image)
    policy = random_policy(spec, 512, 2, **tensors)
    policies.save(policy, tmp_path)
    obs = rng.integers(0, 256, (7, *image.env_shape), np.uint8)
    assert np.abs(act(export(tmp_path, form), obs) - policy.act(obs.reshape(7, -1))).max() < TOLERANCE


def test_every_format_says_what_the_policy_observes(tmp_path):
    seen = (Signal("height", (), "m", "height of the torso", "qpos[1]"),)
    policies.save(random_policy(PolicySpec((8,), "box", (-1.0,), (1.0,), observation=seen), 1, 1), tmp_path)

    import onnx

    model = onnx.load(export(tmp_path, "onnx"))
    inside = {"onnx": {entry.key: entry.value for entry in model.metadata_props}["rewardsmith"]}
    extra = {"description.json": ""}
    torch.jit.load(export(tmp_path, "torchscript"), _extra_files=extra)
    inside["torchscript"] = extra["description.json"]
    with zipfile.ZipFile(export(tmp_path, "sb3")) as archive:
        inside["sb3"] = json.dumps(json.loads(archive.read("data"))["rewardsmith"])
    for text in inside.values():
        described = json.loads(text)
        assert described["env_id"] == "Hopper-v5"
        assert [signal["source"] for signal in described["observation"]] == ["qpos[1]"]


def test_a_model_of_stable_baselines3_loads_without_rewardsmith_and_trains_on(tmp_path):
    assert run(job(None, env=HOPPER, settings=SMALL, env_steps=256), tmp_path).status == "ok"
    obs = np.random.default_rng(1).normal(0.0, 1.0, (3, 11))
    np.save(tmp_path / "obs.npy", obs)
    script = f"""
import sys
sys.modules["rewardsmith"] = None  # importing it fails
import gymnasium, numpy as np
from stable_baselines3 import PPO
model = PPO.load({str(export(tmp_path, "sb3"))!r}, env=gymnasium.make("Hopper-v5"), n_steps=64, device="cpu")
np.save({str(tmp_path / "action.npy")!r}, model.predict(np.load({str(tmp_path / "obs.npy")!r}), deterministic=True)[0])
model.learn(64)
assert "rewardsmith.worker" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert np.abs(np.load(tmp_path / "action.npy") - policies.load(tmp_path).act(obs)).max() < TOLERANCE


def test_without_onnx_one_line_says_what_to_install(tmp_path, monkeypatch):
    policies.save(random_policy(PolicySpec((8,), "box", (-1.0,), (1.0,)), 2, 1), tmp_path)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(errors.ConfigError, match=r"needs the package onnx .*pip install 'rewardsmith\[onnx\]'"):
        export(tmp_path, "onnx")
