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

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import OffPolicySettings, TrainJob, TrainSettings
from rewardsmith.contract.trainers import TrainerName
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.training.policy import Policy, PolicySpec
from rewardsmith.worker.training.ppo import copy_tensors, name_layer, name_layers, skip_dynamo_import
from rewardsmith.worker.training.reward_scoring import Array
from rewardsmith.worker.training.rollout_learner import BuiltModel, RolloutLearner
from rewardsmith.worker.training.running_stats import ObsScaling
from rewardsmith.worker.training.training_loop import TrainingCallback

Floats = NDArray[np.float32]

MODELS: dict[TrainerName, type[SAC | TD3]] = {"sac": SAC, "td3": TD3}
"""Model of each trainer that learns from a replay buffer."""


class OffPolicyLearner(RolloutLearner):
    """A training with SAC or TD3."""

    model: SAC | TD3

    def __init__(self, job: TrainJob, callback: TrainingCallback) -> None:
        """Build the model, the environments and the replay buffer.

        Raises:
            TaskError: if the actions are not a box, or the observations are images.
        """
        super().__init__(job, callback)
        self._low, self._high = (np.array(bound, np.float32) for bound in (self.env.actions.low, self.env.actions.high))
        self._is_learning = False

    @property
    def _off_policy(self) -> OffPolicySettings:
        return self._job.settings.off_policy

    def _build_model(self, settings: TrainSettings, seed: int) -> BuiltModel:
        env = self.env
        if env.actions.n is not None or env.image is not None or env.image_parts:
            what = "choices for actions" if env.actions.n is not None else "images for observations"
            raise TaskError(f"training.trainer = {settings.trainer!r} is for boxes, and this environment has {what}")
        if not env.actions.is_bounded:
            raise TaskError(
                f"training.trainer = {settings.trainer!r} scales its actions to bounds, and this environment has none;"
                " --trainer fast trains it"
            )
        model = build_model(settings, env.obs_dim, env.actions, seed)
        self.actor = OffPolicyActor(model, env.n, env.actions, self._off_policy.action_noise)
        return BuiltModel(model, ObsScaling(env.n, env.obs_dim, False), self.actor, self._off_policy.n_steps)

    def collect_rollout(self) -> None:
        """Fill the rollout: until learning starts under random actions, or under those of an inherited policy."""
        self._is_learning = self.num_timesteps >= self._off_policy.learning_starts
        self.actor.is_random = not self._is_learning and self.inherited_from is None
        super().collect_rollout()

    def _update_model(self, total: Array) -> None:
        self._store_rollout(total.astype(np.float32))
        if self._is_learning:
            updates = max(1, round(total.size * self._off_policy.updates_per_step))
            self.model.train(updates, self._off_policy.batch_size)

    def extract_policy(self) -> Policy:
        """Return the policy in its present state, as it acts without exploration."""
        actions = self.env.actions
        spec = PolicySpec(
            net_arch=self._off_policy.net_arch,
            activation="relu",
            action="box",
            action_low=actions.low,
            action_high=actions.high,
            normalize_obs=False,
            squash=True,
            observation=self.observed_signals,
        )
        return Policy(spec, copy_tensors(self._name_parameters()))

    def _name_parameters(self) -> dict[str, torch.Tensor]:
        return name_parameters(self.model)

    def _take_over(self, inherited: Policy, share: float) -> None:
        super()._take_over(inherited, share)
        copy_to_targets(self.model)

    def _store_rollout(self, rewards: Floats) -> None:
        """Add a scored rollout to the replay buffer; episodes that a time limit ended are marked as truncated."""
        rollout, buffer = self.rollout, self.model.replay_buffer
        assert buffer is not None
        # Scale actions to [-1, 1], as the networks take them
        scaled_actions = 2.0 * (rollout.clipped_actions.astype(np.float32) - self._low) / (self._high - self._low) - 1.0

        # The next observation, and at the end of an episode its true last one
        next_obs = np.concatenate([rollout.obs[1:], rollout.last_obs[None]])
        truncated = np.zeros(rollout.ended.shape, np.bool_)
        for end in rollout.episode_ends:
            next_obs[end.step, end.env] = end.last_obs
            truncated[end.step, end.env] = end.truncated

        for t in range(rollout.steps):
            infos = [{"TimeLimit.truncated": bool(is_truncated)} for is_truncated in truncated[t]]
            buffer.add(rollout.obs[t], next_obs[t], scaled_actions[t], rewards[t], rollout.ended[t], infos)


class OffPolicyActor:
    """Source of actions: uniform while the buffer fills, then from SAC's distribution or around TD3's action."""

    def __init__(self, model: SAC | TD3, n: int, actions: ActionSpec, noise: float) -> None:
        """Bind to a model, for n environments; `noise` is TD3's, in units of half the range of an action."""
        self._actor: Any = model.actor
        self._is_sac, self._action_noise = isinstance(model, SAC), np.float32(noise)
        self._shape = (n, actions.width)
        self._low, self._high = np.array(actions.low, np.float32), np.array(actions.high, np.float32)
        self.is_random = True

    def draw_noise(self, rng: np.random.Generator, steps: int) -> Floats:
        """Return the randomness (steps, n, a): an action in [-1, 1] while random, else normal noise."""
        if self.is_random:
            return rng.uniform(-1.0, 1.0, (steps, *self._shape)).astype(np.float32)
        return rng.standard_normal((steps, *self._shape), dtype=np.float32)

    def act(self, obs: Floats, noise: Floats, out: Floats) -> None:
        """Write actions inside the bounds."""
        scaled = noise if self.is_random else self._explore(obs, noise)
        np.add(self._low, 0.5 * (scaled + 1.0) * (self._high - self._low), out=out)

    def _explore(self, obs: Floats, noise: Floats) -> Floats:
        with torch.no_grad():
            obs_tensor = torch.from_numpy(obs)
            # SAC: a squashed Gaussian
            if self._is_sac:
                mean, log_std, _ = self._actor.get_action_dist_params(obs_tensor)
                sample: Floats = np.tanh(mean.numpy() + np.exp(log_std.numpy()) * noise)
                return sample
            # TD3: its action plus noise
            noisy: Floats = self._actor(obs_tensor).numpy() + self._action_noise * noise
            return np.clip(noisy, np.float32(-1.0), np.float32(1.0))


def build_model(settings: TrainSettings, obs_dim: int, actions: ActionSpec, seed: int) -> SAC | TD3:
    """Return an untrained model; see `ppo.build_model`."""
    skip_dynamo_import()
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
    model_class = MODELS[settings.trainer]
    if model_class is SAC:
        common["target_entropy"] = -float(actions.width)
    model = model_class("MlpPolicy", None, **common)  # type: ignore[arg-type]
    model.n_envs = settings.n_envs
    model.observation_space = spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
    model.action_space = spaces.Box(np.array(actions.low, np.float32), np.array(actions.high, np.float32))
    model._setup_model()
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def name_parameters(model: SAC | TD3) -> dict[str, torch.Tensor]:
    """Return the parameters of a model, actor and critics, by the names that a policy's tensors have."""
    actor: Any = model.actor
    critic: Any = model.critic
    if isinstance(model, SAC):
        named = name_layers("actor", [*actor.latent_pi, actor.mu]) | name_layer("actor_log_std", actor.log_std)
        if model.log_ent_coef is not None:
            named["log_ent_coef"] = model.log_ent_coef
    else:
        named = name_layers("actor", actor.mu)
    for i, net in enumerate(critic.q_networks):
        named |= name_layers(f"critic.{i}", net)
    return named


def copy_to_targets(model: SAC | TD3) -> None:
    """Set the target networks equal to those that learn."""
    model.critic_target.load_state_dict(model.critic.state_dict())
    if isinstance(model, TD3):
        model.actor_target.load_state_dict(model.actor.state_dict())
