"""Keys of rl-zoo3's hyperparameters: each becomes a training setting, or is accepted, or is refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from rewardsmith.contract.text import suggest_names
from rewardsmith.contract.trainers import Trainer
from rewardsmith.spec.config import Layer
from rewardsmith.spec.rl_zoo_file import show_value
from rewardsmith.spec.rl_zoo_values import (
    OFF,
    TRAIN_ELSEWHERE,
    accept_value,
    parse_literal,
    read_count,
    read_flag,
    read_literal,
    read_number,
)

TITLES: Final = {
    **{name: name.upper() for name in ("ppo", "sac", "td3", "tqc", "dqn", "a2c", "trpo", "ars", "ddpg", "her")},
    **{"qrdqn": "QR-DQN", "crossq": "CrossQ", "ppo_lstm": "recurrent PPO"},
}
"""rl-zoo3's algorithms, each with the name that messages give it."""
TYPICAL_KEYS: Final = {
    **dict.fromkeys(["n_epochs", "clip_range", "clip_range_vf"], "ppo"),
    **dict.fromkeys(["target_entropy", "target_update_interval", "use_sde_at_warmup"], "sac"),
    **dict.fromkeys(["target_policy_noise", "target_noise_clip"], "td3"),
    **dict.fromkeys(["exploration_fraction", "exploration_final_eps", "exploration_initial_eps"], "dqn"),
    **dict.fromkeys(["use_rms_prop", "rms_prop_eps"], "a2c"),
    **dict.fromkeys(
        ["cg_max_steps", "cg_damping", "n_critic_updates", "line_search_max_iter", "sub_sampling_factor"], "trpo"
    ),
    **dict.fromkeys(["delta_std", "n_delta", "n_top", "zero_policy", "alive_bonus_offset"], "ars"),
    **dict.fromkeys(["top_quantiles_to_drop_per_net"], "tqc"),
}
"""Keys that one algorithm alone has."""


class ZooReading:
    """Settings that the keys of an entry give, while it is read."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.training: dict[str, Any] = {}
        """Keys of `[training]`."""
        self.off_policy: dict[str, Any] = {}
        """Keys of `[training.off_policy]`."""
        self.env_steps: int | None = None
        self.train_freq, self.gradient_steps = 1, 1
        self.noise_type: Any = None
        self.noise_std = 0.0

    @property
    def is_ppo(self) -> bool:
        """Whether the algorithm is PPO."""
        return self.trainer.is_ppo

    @property
    def algorithm_settings(self) -> dict[str, Any]:
        """The section of the algorithm's own settings: learning rate, batch size, network."""
        return self.training if self.is_ppo else self.off_policy

    def finish(self) -> Layer:
        """Return the layer, after the keys that count together."""
        layer: dict[str, Any] = {"training": self.training}
        if self.training.get("activation") == "relu":
            self.training["trainer"] = "sb3"
        if not self.is_ppo:
            steps = self.train_freq * self.training.get("n_envs", 1)
            per_step = 1.0 if self.gradient_steps == -1 else self.gradient_steps / steps
            self.off_policy |= {"n_steps": self.train_freq, "updates_per_step": per_step}
            if self.noise_type == "normal":
                self.off_policy["action_noise"] = self.noise_std
            self.training["off_policy"] = self.off_policy
        if self.env_steps is not None:
            layer["search"] = {"env_steps": self.env_steps}
        return layer


def take_key(key: str, value: Any, reading: ZooReading) -> None:
    """Take one key over.

    Raises:
        ValueError: if the trainer does not do what it asks for.
    """
    own, other = (PPO_KEYS, OFF_POLICY_KEYS) if reading.is_ppo else (OFF_POLICY_KEYS, PPO_KEYS)
    if key in TAKEN:
        TAKEN[key](value, reading)
    elif key in own:
        own[key](value, reading)
    elif key in other:
        algorithms = "SAC and TD3; write --trainer sac or --trainer td3" if reading.is_ppo else "PPO"
        raise ValueError(f"a key of {algorithms}")
    elif key in ACCEPTED:
        allowed, reason = ACCEPTED[key]
        accept_value(value, allowed, reason)
    elif key in TYPICAL_KEYS:
        accept_value(value, OFF, f"a key of {TITLES[TYPICAL_KEYS[key]]}")
    else:
        raise ValueError(f"no such setting; {suggest_names(key, SETTING_NAMES, otherwise='remove the key')}")


Taker = Callable[[Any, ZooReading], None]


def _take_count(key: str) -> Taker:
    """Return a taker of a whole number, for a key of the algorithm that trains."""

    def take(value: Any, reading: ZooReading) -> None:
        reading.algorithm_settings[key] = read_count(value)

    return take


def _take_number(key: str) -> Taker:
    """Return a taker of a number, for a key of the algorithm that trains."""

    def take(value: Any, reading: ZooReading) -> None:
        reading.algorithm_settings[key] = read_number(value)

    return take


def _accept_only(*allowed: Any) -> Taker:
    """Return a taker that changes nothing, and refuses every other value."""
    return lambda value, _: accept_value(value, allowed)


def _take_n_timesteps(value: Any, reading: ZooReading) -> None:
    reading.env_steps = read_count(value)


def _take_n_envs(value: Any, reading: ZooReading) -> None:
    reading.training["n_envs"] = read_count(value)


def _take_gamma(value: Any, reading: ZooReading) -> None:
    reading.training["gamma"] = read_number(value)


def _take_policy(value: Any, _: ZooReading) -> None:
    if value != "MlpPolicy":
        raise ValueError("only 'MlpPolicy' is trained here")


def _take_n_steps(value: Any, reading: ZooReading) -> None:
    if reading.is_ppo:
        reading.training["n_steps"] = read_count(value)
    elif read_count(value) != 1:
        raise ValueError("SAC and TD3 learn from single steps here: 1 is allowed")


def _take_ent_coef(value: Any, reading: ZooReading) -> None:
    if reading.is_ppo:
        reading.training["ent_coef"] = read_number(value)
    elif reading.trainer.has_action_noise:
        raise ValueError("a key of PPO and SAC")
    elif value != "auto":
        raise ValueError("SAC learns its entropy coefficient here: 'auto' is allowed")


def _take_train_freq(value: Any, reading: ZooReading) -> None:
    steps = value
    if isinstance(value, str) and value.strip().startswith(("(", "[")):
        steps = read_literal(value)
    if isinstance(steps, list | tuple):
        if len(steps) != 2 or steps[1] != "step":
            raise ValueError("updates follow a number of steps here, not episodes: a whole number is allowed")
        steps = steps[0]
    reading.train_freq = read_count(steps)
    if reading.train_freq < 1:
        raise ValueError("1 or more is allowed")


def _take_gradient_steps(value: Any, reading: ZooReading) -> None:
    reading.gradient_steps = read_count(value)
    if reading.gradient_steps < 1 and reading.gradient_steps != -1:
        raise ValueError("1 or more is allowed, or -1 for one for each environment step")


def _take_noise_type(value: Any, reading: ZooReading) -> None:
    if value in (None, "", "none"):
        return
    if not reading.trainer.has_action_noise or value != "normal":
        raise ValueError("TD3's noise is 'normal' here, and SAC has none beside its own")
    reading.noise_type = value


def _take_noise_std(value: Any, reading: ZooReading) -> None:
    reading.noise_std = read_number(value)


# ---------------------------------------------------------------- normalisation

CLIPS: Final[Mapping[str, tuple[Any, ...]]] = {
    **dict.fromkeys(["clip_obs", "clip_reward"], (10, 10.0)),
    **{"training": (True,), "epsilon": (1e-8,), "norm_obs_keys": (None,)},
}
"""Further arguments of VecNormalize, with their values here."""


def _take_normalize(value: Any, reading: ZooReading) -> None:
    if isinstance(value, bool):
        _take_normalize_kwargs({"norm_obs": value, "norm_reward": value}, reading)
    else:
        _take_normalize_kwargs({"norm_obs": True, "norm_reward": True, **parse_literal(value)}, reading)


def _take_normalize_kwargs(value: Any, reading: ZooReading) -> None:
    for name, inner in parse_literal(value).items():
        if name in ("norm_obs", "norm_reward"):
            is_on = read_flag(inner)
            if is_on and not reading.is_ppo:
                raise ValueError("SAC and TD3 do not normalise here")
            if reading.is_ppo:
                reading.training[f"normalize_{name.removeprefix('norm_')}"] = is_on
        elif name == "gamma":
            continue  # rl-zoo3 puts the agent's own in its place
        elif name not in CLIPS or inner not in CLIPS[name]:
            raise ValueError(f"{name} = {show_value(inner)}: {TRAIN_ELSEWHERE}")


# ---------------------------------------------------------------- the policy


def _take_policy_kwargs(value: Any, reading: ZooReading) -> None:
    for name, inner in ({} if value is None else parse_literal(value)).items():
        try:
            if name in POLICY:
                POLICY[name](inner, reading)
            elif name in POLICY_ACCEPTED:
                accept_value(inner, POLICY_ACCEPTED[name])
            else:
                accept_value(inner, OFF)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _take_net_arch(value: Any, reading: ZooReading) -> None:
    if value is None:
        return
    # The older spelling has one dict in a list: [dict(pi=[64], vf=[64])].
    layers = value
    if isinstance(layers, list | tuple) and any(isinstance(layer, Mapping) for layer in layers):
        if len(layers) > 1:
            raise ValueError("actor and critic share no layers here: dict(pi=[...], vf=[...]) is allowed")
        layers = layers[0]
    if isinstance(layers, Mapping):
        critic = "vf" if reading.is_ppo else "qf"
        if set(layers) - {"pi", critic} or layers.get("pi") != layers.get(critic):
            raise ValueError(f"actor and critic have the same layers here: pi and {critic} must be equal")
        layers = layers.get("pi")
    if not isinstance(layers, list | tuple) or not layers:
        raise ValueError("a list of at least one width is needed, as in [64, 64]")
    reading.algorithm_settings["net_arch"] = [read_count(width) for width in layers]


def _take_activation(value: Any, reading: ZooReading) -> None:
    activations = {"Tanh": "tanh", "ReLU": "relu"}
    module, _, name = str(value).rpartition(".")
    if name not in activations or not re.fullmatch(r"(th\.|torch\.)?nn(\.modules\.activation)?", module):
        raise ValueError("allowed are nn.Tanh, nn.ReLU" if reading.is_ppo else "allowed is nn.ReLU")
    if reading.is_ppo:
        reading.training["activation"] = activations[name]
    elif name != "ReLU":
        raise ValueError("the networks of SAC and TD3 have nn.ReLU here")


def _take_log_std(value: Any, reading: ZooReading) -> None:
    # SAC reads it with use_sde only.
    number = read_number(value)
    if reading.is_ppo:
        reading.training["log_std_init"] = number


def _take_ortho_init(value: Any, reading: ZooReading) -> None:
    if reading.is_ppo:
        reading.training["ortho_init"] = read_flag(value)
    else:
        raise ValueError("a key of PPO")


POLICY: Final[Mapping[str, Taker]] = {
    "net_arch": _take_net_arch,
    "activation_fn": _take_activation,
    "log_std_init": _take_log_std,
    "ortho_init": _take_ortho_init,
}
_ADAM = ("torch.optim.Adam", "th.optim.Adam", "optim.Adam", "torch.optim.adam.Adam", "Adam")
POLICY_ACCEPTED: Final[Mapping[str, tuple[Any, ...] | None]] = {
    "full_std": None,  # with use_sde only, as the next
    "use_expln": None,
    "clip_mean": None,
    "use_sde": (False,),
    "squash_output": (False,),
    "n_critics": (2,),
    "share_features_extractor": (None, True, False),  # FlattenExtractor has no parameters to share
    "normalize_images": (True,),
    "features_extractor_class": (None, "FlattenExtractor"),
    "optimizer_class": (None, *_ADAM),
    "optimizer_kwargs": (None, {}),
}
"""Further arguments of the policies, with the values that change nothing here; None: any value."""

TAKEN: Final[Mapping[str, Taker]] = {
    "n_timesteps": _take_n_timesteps,
    "policy": _take_policy,
    "policy_kwargs": _take_policy_kwargs,
    "normalize": _take_normalize,
    "normalize_kwargs": _take_normalize_kwargs,
    "n_envs": _take_n_envs,
    "gamma": _take_gamma,
    "n_steps": _take_n_steps,
    "batch_size": _take_count("batch_size"),
    "learning_rate": _take_number("learning_rate"),
    "ent_coef": _take_ent_coef,
}
"""Keys of every algorithm that are taken over."""
PPO_KEYS: Final[Mapping[str, Taker]] = {
    "n_epochs": _take_count("n_epochs"),
    "gae_lambda": _take_number("gae_lambda"),
    "clip_range": _take_number("clip_range"),
    "vf_coef": _take_number("vf_coef"),
    "max_grad_norm": _take_number("max_grad_norm"),
    "normalize_advantage": _accept_only(True),
    "clip_range_vf": _accept_only(None, "none"),
    "target_kl": _accept_only(None, "none"),
    "rollout_buffer_class": _accept_only(None, "RolloutBuffer"),
    "rollout_buffer_kwargs": _accept_only(None, {}),
}
"""Keys of PPO alone."""
OFF_POLICY_KEYS: Final[Mapping[str, Taker]] = {
    "buffer_size": _take_count("buffer_size"),
    "learning_starts": _take_count("learning_starts"),
    "tau": _take_number("tau"),
    "train_freq": _take_train_freq,
    "gradient_steps": _take_gradient_steps,
    "noise_type": _take_noise_type,
    "noise_std": _take_noise_std,
    "action_noise": _accept_only(None, "none"),
    "target_entropy": _accept_only("auto"),
    "target_update_interval": _accept_only(1),
    "use_sde_at_warmup": lambda value, _: None,  # with use_sde only
    "policy_delay": _accept_only(2),
    "target_policy_noise": _accept_only(0.2),
    "target_noise_clip": _accept_only(0.5),
    "replay_buffer_class": _accept_only(None, "ReplayBuffer"),
    "replay_buffer_kwargs": _accept_only(None, {}, "dict()"),
    "optimize_memory_usage": _accept_only(False),
}
"""Keys of SAC and TD3 alone."""
_WRAPPER = "wrappers belong to the environment: register it with them, in a module of your own"
ACCEPTED: Final[Mapping[str, tuple[tuple[Any, ...] | None, str]]] = {
    "use_sde": ((False,), TRAIN_ELSEWHERE),
    "sde_sample_freq": (None, ""),  # with use_sde only
    "device": (("auto", "cpu"), "trainings run on the CPU"),
    "verbose": (None, ""),
    "stats_window_size": (None, ""),
    "tensorboard_log": (None, ""),
    "seed": ((None, "none"), "the seeds of trainings come from search.seed"),
    "frame_stack": ((None, 1), "observations are not stacked here"),
    "env_wrapper": (OFF, _WRAPPER),
    "vec_env_wrapper": (OFF, _WRAPPER),
    "env_kwargs": ((*OFF, "dict()"), "arguments of the environment belong to the task's card, [environment] kwargs"),
    "monitor_kwargs": ((*OFF, "dict()"), TRAIN_ELSEWHERE),
    "callback": (OFF, TRAIN_ELSEWHERE),
    "_init_setup_model": ((True,), TRAIN_ELSEWHERE),
}
"""Keys of every algorithm, with the values that change nothing here (None: any), and why others are refused."""
SETTING_NAMES: Final = frozenset({*TAKEN, *PPO_KEYS, *OFF_POLICY_KEYS, *ACCEPTED, *TYPICAL_KEYS})
"""Names of settings, of the algorithms that train here and of others."""
