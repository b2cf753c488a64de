"""The learner's settings: the task's own, and in their place those of [training] that are not at their default."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.observation import choose_observation
from rewardsmith.contract.records import TrainSettings
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.contract.trainers import find_trainer
from rewardsmith.worker.mjlab.tasks import LabTask

DEFAULTS = TrainSettings()
ALGORITHM_KEYS = {
    "n_epochs": "num_learning_epochs",
    "learning_rate": "learning_rate",
    "gamma": "gamma",
    "gae_lambda": "lam",
    "clip_range": "clip_param",
    "ent_coef": "entropy_coef",
    "vf_coef": "value_loss_coef",
    "max_grad_norm": "max_grad_norm",
}
"""Key of [training] to that of rsl_rl's PPO."""


def apply_settings(task: LabTask, settings: TrainSettings, program: RewardProgram | None) -> int:
    """Write the settings that are not at their default into the task's configuration.

    Args:
        task: its learner's configuration is changed.
        settings: of the training.
        program: that is trained; None for the environment reward.

    Returns:
        The number of environments.

    Raises:
        ConfigError: if a setting means nothing here.
    """
    if not find_trainer(settings.trainer).is_ppo:
        raise ConfigError(f"training.trainer = {settings.trainer!r}: tasks of mjlab are trained by rsl_rl's PPO alone")
    if choose_observation(program, settings):
        raise ConfigError("training.observation: in a task of mjlab a policy observes what the task gives it")
    _check_blend(settings)

    # The algorithm, the length of a rollout and the minibatches
    config, n_envs = task.learner_config, choose_env_count(task, settings)
    for key, theirs in ALGORITHM_KEYS.items():
        value = getattr(settings, key)
        if value != getattr(DEFAULTS, key):
            setattr(config.algorithm, theirs, value)
    if settings.n_steps != DEFAULTS.n_steps:
        config.num_steps_per_env = settings.n_steps
    if settings.batch_size != DEFAULTS.batch_size:
        batches = config.num_steps_per_env * n_envs / settings.batch_size
        config.algorithm.num_mini_batches = max(1, round(batches))

    # The networks
    for model in (config.actor, config.critic):
        if settings.net_arch != DEFAULTS.net_arch:
            model.hidden_dims = tuple(settings.net_arch)
        if settings.activation != DEFAULTS.activation:
            model.activation = settings.activation
        if not settings.normalize_obs:
            model.obs_normalization = False
    if settings.log_std_init != DEFAULTS.log_std_init:
        config.actor.distribution_cfg["init_std"] = math.exp(settings.log_std_init)
    return n_envs


def _check_blend(settings: TrainSettings) -> None:
    """Refuse learned weights.

    Raises:
        ConfigError: if `training.blend` is not "fixed".
    """
    if settings.blend != "fixed":
        raise ConfigError(f"training.blend = {settings.blend!r} is not for tasks of mjlab; leave it at 'fixed'")


def choose_env_count(task: LabTask, settings: TrainSettings) -> int:
    """Return the number of environments of a training: at the setting's default as many as suit the device."""
    return settings.n_envs if settings.n_envs != DEFAULTS.n_envs else task.default_envs


def build_learner_dict(config: Any) -> dict[str, Any]:
    """Return the learner's configuration as rsl_rl takes it, without what it takes for none."""
    made = asdict(config)
    for model in ("actor", "critic"):
        unset = ("cnn_cfg", "rnn_type", "rnn_hidden_dim", "rnn_num_layers")
        made[model] = {key: value for key, value in made[model].items() if key not in unset and value is not None}
    made["multi_gpu"] = None
    made["obs_groups"] = {name: list(groups) for name, groups in made["obs_groups"].items()}
    return made
