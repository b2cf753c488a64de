"""Policies without torch."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch

from rewardsmith.contract.errors import WorkerFailed
from rewardsmith.worker.training import policy as policies
from rewardsmith.worker.training.policy import Policy, PolicySpec


def made(action="box", activation="tanh", normalize=True, out=2):
    rng = np.random.default_rng(0)
    sizes = (5, 32, 16, out)
    tensors = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        tensors[f"actor.{layer}.weight"] = rng.normal(0, 0.5, (fan_out, fan_in)).astype(np.float32)
        tensors[f"actor.{layer}.bias"] = rng.normal(0, 0.5, fan_out).astype(np.float32)
    if action == "box":
        tensors["log_std"] = np.full(out, -1.0, dtype=np.float32)
    if normalize:
        tensors |= {"obs_mean": rng.normal(size=5), "obs_var": rng.uniform(0.5, 2.0, 5)}
    bounds = ((-0.5,) * out, (0.5,) * out) if action == "box" else ((0.0,), (out - 1.0,))
    return Policy(PolicySpec((32, 16), action, *bounds, activation, normalize), tensors)


def observations(n=7):
    return np.random.default_rng(1).normal(size=(n, 5)) * 3


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_mean_is_torch_s(activation):
    policy = made(activation=activation)
    hidden = torch.as_tensor(policy.normalize_obs(observations()), dtype=torch.float32)
    for layer in range(3):
        weight, bias = (torch.as_tensor(policy.tensors[f"actor.{layer}.{part}"]) for part in ("weight", "bias"))
        hidden = torch.nn.functional.linear(hidden, weight, bias)
        if layer < 2:
            hidden = torch.tanh(hidden) if activation == "tanh" else torch.relu(hidden)
    np.testing.assert_allclose(policy.act(observations()), hidden.clamp(-0.5, 0.5).numpy(), atol=1e-5)


def test_normalised_observations_are_clipped():
    policy = made()
    mean, var = policy.tensors["obs_mean"], policy.tensors["obs_var"]
    np.testing.assert_allclose(policy.normalize_obs(mean + np.sqrt(var))[None], np.ones((1, 5)), rtol=1e-6)
    assert policy.normalize_obs(np.full((1, 5), 1e9)).max() == 10.0


def test_a_row_does_not_depend_on_the_others():
    policy, obs = made(), observations(64)
    alone = np.concatenate([policy.act(row[None]) for row in obs])
    np.testing.assert_array_equal(policy.act(obs), alone)


def test_a_discrete_policy_takes_the_likeliest_choice():
    policy = made("discrete", out=4)
    actions = policy.act(observations())
    assert actions.shape == (7, 1)
    np.testing.assert_array_equal(actions[:, 0], policy.forward(observations()).argmax(axis=1))


def test_samples_of_a_discrete_policy_follow_its_probabilities():
    policy, rng = made("discrete", out=3), np.random.default_rng(0)
    obs = np.repeat(observations(1), 4000, axis=0)
    logits = policy.forward(obs[:1])[0]
    expected = np.exp(logits) / np.exp(logits).sum()
    counts = np.bincount(policy.act(obs, False, rng)[:, 0].astype(int), minlength=3) / 4000
    np.testing.assert_allclose(counts, expected, atol=0.03)


def test_samples_of_a_box_have_the_policy_s_deviation():
    policy, rng = made(), np.random.default_rng(0)
    wide = Policy(PolicySpec((32, 16), "box", (-99.0,) * 2, (99.0,) * 2), policy.tensors)
    drawn = wide.act(np.repeat(observations(1), 4000, axis=0), False, rng)
    np.testing.assert_allclose(drawn.std(axis=0), np.exp(-1.0), rtol=0.1)


def test_sampling_needs_a_generator():
    with pytest.raises(ValueError, match="generator"):
        made().act(observations(), deterministic=False)


@pytest.mark.parametrize("policy", [made(), made("discrete"), made(normalize=False)])
def test_a_saved_policy_acts_the_same(policy, tmp_path):
    policies.save(policy, tmp_path / "new")
    loaded = policies.load(tmp_path / "new")
    assert loaded.spec == policy.spec
    np.testing.assert_array_equal(loaded.act(observations()), policy.act(observations()))
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["policy.json", "policy.safetensors"]


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_missing_or_damaged_file_is_the_machinery_s_fault(name, tmp_path):
    policies.save(made(), tmp_path)
    (tmp_path / name).write_bytes(b"\x00broken")
    with pytest.raises(WorkerFailed, match="cannot read the policy"):
        policies.load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(WorkerFailed, match="cannot read the policy"):
        policies.load(tmp_path)


def test_another_format_is_refused(tmp_path):
    policies.save(made(), tmp_path)
    spec = json.loads((tmp_path / "policy.json").read_text())
    (tmp_path / "policy.json").write_text(json.dumps({**spec, "format": 2}))
    with pytest.raises(WorkerFailed, match="has format 2"):
        policies.load(tmp_path)


def test_a_policy_without_a_tensor_is_refused(tmp_path):
    policy = made()
    policies.save(Policy(policy.spec, {k: v for k, v in policy.tensors.items() if k != "actor.1.bias"}), tmp_path)
    with pytest.raises(WorkerFailed, match=r"lacks actor\.1\.bias"):
        policies.load(tmp_path)
