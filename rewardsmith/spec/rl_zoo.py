"""Training settings from rl-zoo3's YAML files of tuned hyperparameters, read without evaluating them as Python.

What a file leaves out means stable-baselines3's default, as in rl-zoo3, not this product's. Each key is taken over, or
asks for what happens here anyway, or is refused with the reason: nothing is dropped that would change a training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import TrainSettings
from rewardsmith.contract.trainers import TRAINERS, find_trainer
from rewardsmith.spec.config import Layer, merge_layer, resolve_config
from rewardsmith.spec.rl_zoo_file import ZooEntry, read_entry, show_value
from rewardsmith.spec.rl_zoo_keys import SETTING_NAMES, TITLES, TYPICAL_KEYS, ZooReading, take_key
from rewardsmith.spec.rl_zoo_values import OFF

PPO_DEFAULTS: Final[Layer] = {
    "n_envs": 1,
    "n_steps": 2048,
    "batch_size": 64,
    "n_epochs": 10,
    "learning_rate": 3e-4,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "clip_range": 0.2,
    "ent_coef": 0.0,
    "vf_coef": 0.5,
    "max_grad_norm": 0.5,
    "log_std_init": 0.0,
    "net_arch": [64, 64],
    "activation": "tanh",
    "ortho_init": True,
    "normalize_obs": False,
    "normalize_reward": False,
}
"""stable-baselines3's PPO and its MlpPolicy, in the words of `[training]`."""
SAC_DEFAULTS: Final[Layer] = {
    "learning_rate": 3e-4,
    "batch_size": 256,
    "buffer_size": 1_000_000,
    "learning_starts": 100,
    "n_steps": 1,
    "updates_per_step": 1.0,
    "tau": 0.005,
    "action_noise": 0.0,
    "net_arch": [256, 256],
}
"""stable-baselines3's SAC, in the words of `[training.off_policy]`."""
TD3_DEFAULTS: Final[Layer] = {**SAC_DEFAULTS, "learning_rate": 1e-3, "net_arch": [400, 300]}
DEFAULTS: Final[Mapping[str, Layer]] = {
    "ppo": PPO_DEFAULTS,
    "sac": {"n_envs": 1, "gamma": 0.99, "off_policy": SAC_DEFAULTS},
    "td3": {"n_envs": 1, "gamma": 0.99, "off_policy": TD3_DEFAULTS},
}
"""Training settings where a file leaves them out, by the algorithm of each of `TRAINERS`."""


class ZooLayers(NamedTuple):
    """The configuration of a file, in two layers."""

    defaults: Layer
    """stable-baselines3's defaults, for what the file leaves out: over presets and cards, below the user's own file."""
    written: Layer
    """Settings that the file has."""


def read_zoo_layers(path: Path, env_id: str, trainer: str = TrainSettings().trainer) -> ZooLayers:
    """Return the configuration that a file gives for an environment.

    Args:
        path: a YAML file as rl-zoo3's hyperparams/ppo.yml, or the config.yml of a trained agent.
        env_id: of the environment; see `rl_zoo_file.read_entry` for the entry that serves it.
        trainer: the name of the trainer that is going to train.

    Raises:
        ConfigError: if the file cannot be read, has no such environment, is for another algorithm, or asks for what the
            trainer does not do, with the file, the environment and the key; or if there is no such trainer.
    """
    facts = find_trainer(trainer)
    algorithm = facts.algorithm.lower()
    entry = read_entry(path, env_id, SETTING_NAMES)
    place = f"{path}, {entry.name}" if entry.name else f"{path}"
    _check_algorithm(path, place, entry, algorithm)

    # Key by key.
    reading = ZooReading(facts)
    for key, value in entry.settings.items():
        try:
            take_key(key, value, reading)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(f"{place}, {key} = {show_value(value)}: {error}") from error
    defaults, written = {"training": DEFAULTS[algorithm]}, reading.finish()

    # All of them together, so that a value that is not allowed is said with the file.
    whole: dict[str, Any] = {"training": {"trainer": trainer}}
    merge_layer(whole, defaults)
    merge_layer(whole, written)
    try:
        resolve_config(whole)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return ZooLayers(defaults, written)


def read_trainer_name(*layers: Layer) -> str:
    """Return the name of the trainer that configuration layers choose, later ones over earlier ones."""
    trainer: Any = TrainSettings().trainer
    for layer in layers:
        training = layer.get("training")
        if isinstance(training, Mapping):
            trainer = training.get("trainer", trainer)
    return str(trainer)


# ---------------------------------------------------------------- the algorithm


def _check_algorithm(path: Path, place: str, entry: ZooEntry, algorithm: str) -> None:
    """Make sure that a file is for the algorithm that is going to train.

    Raises:
        ConfigError: if it is for another one.
    """
    intended = _find_algorithm(path, entry.settings)
    if intended is None or intended == algorithm:
        return
    title = TITLES[intended]
    if intended not in DEFAULTS:
        raise ConfigError(f"{place}: this is a file for {title}; the trainers here are {', '.join(DEFAULTS)}")
    name = next(trainer.name for trainer in TRAINERS if trainer.algorithm.lower() == intended)
    is_default = name == TrainSettings().trainer
    option = f"--trainer {name}, or leave --trainer out" if is_default else f"--trainer {name}"
    raise ConfigError(f"{place}: this is a file for {title}, and the trainer is {TITLES[algorithm]}; write {option}")


def _find_algorithm(path: Path, settings: Mapping[str, Any]) -> str | None:
    """Return the algorithm that a file is for, by its keys or its name; None if they do not show it."""
    if "Lstm" in str(settings.get("policy")):
        return "ppo_lstm"
    if "n_quantiles" in str(settings.get("policy_kwargs")):
        return "qrdqn" if "exploration_fraction" in settings else "tqc"
    by_keys = {TYPICAL_KEYS[key] for key, value in settings.items() if key in TYPICAL_KEYS and value not in OFF}
    if len(by_keys) == 1:
        return by_keys.pop()
    if path.stem in TITLES:
        return path.stem
    by_name = {word for word in re.split(r"[^a-z0-9]+", path.stem.lower()) if word in TITLES}
    return by_name.pop() if len(by_name) == 1 else None
