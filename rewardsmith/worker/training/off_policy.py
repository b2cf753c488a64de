"""SAC and TD3 by stable-baselines3, on the rollouts and rewards that PPO learns from too.

A rollout is a few steps long; it is scored in one call, laid into the replay buffer, and followed by as many updates
as its steps ask for. Acting draws from the collector's generator, as with PPO: equal seeds give equal trainings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.logger import Logger
from torch import nn

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import TrainJob, TrainSettings
from rewardsmith.worker.envs.base import Actions
from rewardsmith.worker.training.learner import Control, Learner
from rewardsmith.worker.training.policy import Policy, PolicySpec
from rewardsmith.worker.training.ppo import spare_dynamo
from rewardsmith.worker.training.reward_scoring import Array
from rewardsmith.worker.training.running_stats import ObsScaling

Floats = NDArray[np.float32]


class OffPolicyLearner(Learner):
    """A training of SAC or TD3 under way."""

    model: SAC | TD3

    def __init__(self, job: TrainJob, control: Control) -> None:
        """Put it together.

        Raises:
            TaskError: if the environment's actions are no box, or its observations are images.
        """
        self._off = job.settings.off_policy
        super().__init__(job, control)
        self._low, self._high = (np.array(bound, np.float32) for bound in (self.env.actions.low, self.env.actions.high))

    def _prepare(self, settings: TrainSettings, seed: int) -> tuple[ObsScaling, OffPolicyActor, int]:
        env = self.env
        if env.actions.n is not None or env.image is not None:
            what = "choices for actions" if env.actions.n is not None else "images for observations"
            raise TaskError(f"training.trainer = {settings.trainer!r} is for boxes, and this environment has {what}")
        self.model = build(settings, env.obs_dim, env.actions, seed)
        self.actor = OffPolicyActor(self.model, env.n, env.actions, self._off.action_noise)
        return ObsScaling(env.n, env.obs_dim, False), self.actor, self._off.n_steps

    def collect(self) -> None:
        """Fill the rollout: under random actions until learning starts."""
        self.actor.warming = self.done < self._off.learning_starts
        super().collect()

    def _learn(self, total: Array) -> None:
        self._store(total.astype(np.float32))
        if not self.actor.warming:
            updates = max(1, round(total.size * self._off.updates_per_step))
            self.model.train(updates, self._off.batch_size)

    def policy(self) -> Policy:
        """Return the policy as it stands: its likeliest action."""
        network: Any = self.model.actor
        layers = [*network.latent_pi, network.mu] if isinstance(self.model, SAC) else list(network.mu)
        tensors: dict[str, NDArray[Any]] = {}
        for i, layer in enumerate(layer for layer in layers if isinstance(layer, nn.Linear)):
            tensors[f"actor.{i}.weight"] = layer.weight.detach().numpy().copy()
            tensors[f"actor.{i}.bias"] = layer.bias.detach().numpy().copy()
        actions = self.env.actions
        spec = PolicySpec(
            net_arch=self._off.net_arch,
            activation="relu",
            action="box",
            action_low=actions.low,
            action_high=actions.high,
            normalize_obs=False,
            squash=True,
        )
        return Policy(spec, tensors)

    def _store(self, rewards: Floats) -> None:
        """Lay a scored rollout into the replay buffer; what the time limit cut off is told from what has ended."""
        rollout, buffer = self.rollout, self.model.replay_buffer
        assert buffer is not None
        scaled = 2.0 * (rollout.sent.astype(np.float32) - self._low) / (self._high - self._low) - 1.0
        following = np.concatenate([rollout.obs[1:], rollout.last_obs[None]])
        cut = np.zeros(rollout.ended.shape, np.bool_)
        for final in rollout.finals:
            following[final.step, final.env] = final.obs
            cut[final.step, final.env] = final.truncated
        for t in range(rollout.steps):
            infos = [{"TimeLimit.truncated": bool(limit)} for limit in cut[t]]
            buffer.add(rollout.obs[t], following[t], scaled[t], rewards[t], rollout.ended[t], infos)


class OffPolicyActor:
    """Draws actions: uniformly while the buffer fills, then from SAC's distribution or around TD3's action."""

    def __init__(self, model: SAC | TD3, n: int, actions: Actions, noise: float) -> None:
        """Bind to a model, for n environments; `noise` is TD3's, in units of half the range of an action."""
        self._actor: Any = model.actor
        self._sac, self._noise = isinstance(model, SAC), np.float32(noise)
        self._shape = (n, actions.width)
        self._low, self._high = np.array(actions.low, np.float32), np.array(actions.high, np.float32)
        self.warming = True

    def begin(self, rng: np.random.Generator, steps: int) -> Floats:
        """Return the randomness (steps, n, a): an action in [-1, 1] while warming, else normal noise."""
        if self.warming:
            return rng.uniform(-1.0, 1.0, (steps, *self._shape)).astype(np.float32)
        return rng.standard_normal((steps, *self._shape), dtype=np.float32)

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write actions inside the bounds."""
        scaled = noise if self.warming else self._drawn(obs, noise)
        np.add(self._low, 0.5 * (scaled + 1.0) * (self._high - self._low), out=out)

    def _drawn(self, obs: Floats, noise: Floats) -> Floats:
        with torch.no_grad():
            seen = torch.from_numpy(obs)
            if self._sac:
                mean, log_std, _ = self._actor.get_action_dist_params(seen)
                drawn: Floats = np.tanh(mean.numpy() + np.exp(log_std.numpy()) * noise)
                return drawn
            around: Floats = self._actor(seen).numpy() + self._noise * noise
            return np.clip(around, np.float32(-1.0), np.float32(1.0))


def build(settings: TrainSettings, obs_dim: int, actions: Actions, seed: int) -> SAC | TD3:
    """Return an untrained model; see `ppo.build`."""
    spare_dynamo()
    off = settings.off_policy
    common: dict[str, Any] = {
        "learning_rate": off.learning_rate,
        "buffer_size": off.buffer_size,
        "batch_size": off.batch_size,
        "tau": off.tau,
        "gamma": settings.gamma,
        "policy_kwargs": {"net_arch": list(off.net_arch)},
        "seed": seed,
        "device": "cpu",
        "_init_setup_model": False,
    }
    model: SAC | TD3
    if settings.trainer == "sac":
        model = SAC("MlpPolicy", None, target_entropy=-float(actions.width), **common)  # type: ignore[arg-type]
    else:
        model = TD3("MlpPolicy", None, **common)  # type: ignore[arg-type]
    model.n_envs = settings.n_envs
    model.observation_space = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
    model.action_space = spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32))
    model._setup_model()
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model
