"""Training settings from rl-zoo3's YAML files of tuned hyperparameters, read without evaluating them as Python.

What a file leaves out means stable-baselines3's default, as in rl-zoo3, not this product's. Each key is taken over, or
asks for what happens here anyway, or is refused with the reason: nothing is dropped that would change a training.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ConfigError
from rewardsmith.contract.records import TrainSettings
from rewardsmith.spec.config import Layer, merge_layer, resolve_config
from rewardsmith.spec.rl_zoo_file import ZooEntry, read_entry, show_value

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
"""Training settings of a file that says nothing, by algorithm."""

TITLES: Final = {
    **{
        "ppo": "PPO",
        "sac": "SAC",
        "td3": "TD3",
        "tqc": "TQC",
        "dqn": "DQN",
        "qrdqn": "QR-DQN",
        "a2c": "A2C",
        "trpo": "TRPO",
    },
    **{"ars": "ARS", "ddpg": "DDPG", "crossq": "CrossQ", "her": "HER", "ppo_lstm": "recurrent PPO"},
}
"""rl-zoo3's algorithms."""
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
OFF: Final[tuple[Any, ...]] = (None, False, 0, "", "none", "None", [], {})
_TRAIN_ELSEWHERE = "no trainer here does that; remove the key, or train with rl-zoo3 itself"


class ZooLayers(NamedTuple):
    """The configuration of a file, in two layers."""

    defaults: Layer
    """stable-baselines3's defaults, for what the file leaves out: over presets and cards, below the user's own file."""
    written: Layer
    """What the file says."""


def read_zoo_layers(path: Path, env_id: str, trainer: str = TrainSettings().trainer) -> ZooLayers:
    """Return the configuration that a file gives for an environment.

    Args:
        path: a YAML file as rl-zoo3's hyperparams/ppo.yml, or the config.yml of a trained agent.
        env_id: of the environment; see `rl_zoo_file.read_entry` for the entry that serves it.
        trainer: the trainer that is going to train.

    Raises:
        ConfigError: if the file cannot be read, has no such environment, is for another algorithm, or asks for what the
            trainer does not do; it names the file, the environment and the key.
    """
    algorithm = trainer if trainer in ("sac", "td3") else "ppo"
    entry = read_entry(path, env_id, SETTING_NAMES)
    place = f"{path}, {entry.name}" if entry.name else f"{path}"
    _check_algorithm(path, place, entry, algorithm)

    # Key by key.
    reading = _Reading(algorithm)
    for key, value in entry.settings.items():
        try:
            _take_key(key, value, reading)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(f"{place}, {key} = {show_value(value)}: {error}") from error
    defaults, written = {"training": DEFAULTS[algorithm]}, reading.finish()

    # All of them together, so that a value that is not allowed is said with the file.
    whole: dict[str, Any] = {"training": {"trainer": algorithm if algorithm != "ppo" else "fast"}}
    merge_layer(whole, defaults)
    merge_layer(whole, written)
    try:
        resolve_config(whole)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return ZooLayers(defaults, written)


def find_trainer(*layers: Layer) -> str:
    """Return the trainer that configuration layers choose, later ones over earlier ones."""
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
        raise ConfigError(f"{place}: this is a file for {title}; the trainers here are ppo, sac, td3")
    option = f"--trainer {intended}" if intended != "ppo" else "--trainer fast, or leave --trainer out"
    raise ConfigError(f"{place}: this is a file for {title}, and the trainer is {TITLES[algorithm]}; write {option}")


def _find_algorithm(path: Path, settings: Mapping[str, Any]) -> str | None:
    """Return the algorithm that a file is for, as far as its keys or its name tell."""
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


# ---------------------------------------------------------------- keys


class _Reading:
    """Settings that the keys of an entry give, while it is read."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
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
        return self.algorithm == "ppo"

    @property
    def network(self) -> dict[str, Any]:
        """Settings that have the learning rate, the batch and the network of the algorithm."""
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


def _take_key(key: str, value: Any, reading: _Reading) -> None:
    """Take one key over.

    Raises:
        ValueError: if the trainer does not do what it asks for.
    """
    if key in TAKEN:
        TAKEN[key](value, reading)
    elif key in FAMILY_KEYS and FAMILY_KEYS[key][0] != reading.is_ppo:
        where = "PPO" if FAMILY_KEYS[key][0] else "SAC and TD3; write --trainer sac or --trainer td3"
        raise ValueError(f"a key of {where}")
    elif key in FAMILY_KEYS:
        FAMILY_KEYS[key][1](value, reading)
    elif key in ACCEPTED:
        allowed, reason = ACCEPTED[key]
        _accept(value, allowed, reason)
    elif key in TYPICAL_KEYS:
        _accept(value, OFF, f"a key of {TITLES[TYPICAL_KEYS[key]]}")
    else:
        near = difflib.get_close_matches(key, SETTING_NAMES, n=1)
        raise ValueError(f"no such setting{f'; did you mean {near[0]!r}?' if near else ', remove the key'}")


def _accept(value: Any, allowed: tuple[Any, ...] | None, reason: str = _TRAIN_ELSEWHERE) -> None:
    """Accept a value that changes nothing here.

    Args:
        value: of the key.
        allowed: what asks for what happens anyway; None: any value.
        reason: why another value is refused.

    Raises:
        ValueError: if it is another one.
    """
    if isinstance(value, str) and re.fullmatch(r"[-+.\d]+(e[-+]?\d+)?", value):
        value = _read_number(value)  # YAML takes 5e-1 for text
    if allowed is None or any(
        value == other and isinstance(value, bool) == isinstance(other, bool) for other in allowed
    ):
        return
    shown = ", ".join(repr(other) for other in allowed if other not in (None, ""))
    raise ValueError(f"{reason}{f' (allowed: {shown})' if shown else ''}")


def _read_number(value: Any) -> float:
    if isinstance(value, str) and value.startswith(("lin_", "linear_")):
        raise ValueError("a schedule; write the number itself, as trainings here keep it constant")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number is needed")
    try:
        number = float(value)
    except ValueError as error:
        raise ValueError("a number is needed") from error
    if not math.isfinite(number):
        raise ValueError("a finite number is needed")
    return number


def _read_count(value: Any) -> int:
    number = _read_number(value)
    if number != int(number):
        raise ValueError("a whole number is needed")
    return int(number)


def _read_flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is needed")
    return value


Taker = Callable[[Any, _Reading], None]


def _take_n_timesteps(value: Any, reading: _Reading) -> None:
    reading.env_steps = _read_count(value)


def _take_policy(value: Any, _: _Reading) -> None:
    if value != "MlpPolicy":
        raise ValueError("only 'MlpPolicy' is trained here")


def _take_training_count(key: str) -> Taker:
    def take(value: Any, reading: _Reading) -> None:
        reading.training[key] = _read_count(value)

    return take


def _take_training_number(key: str) -> Taker:
    def take(value: Any, reading: _Reading) -> None:
        reading.training[key] = _read_number(value)

    return take


def _take_off_policy_count(key: str) -> Taker:
    def take(value: Any, reading: _Reading) -> None:
        reading.off_policy[key] = _read_count(value)

    return take


def _take_batch_size(value: Any, reading: _Reading) -> None:
    reading.network["batch_size"] = _read_count(value)


def _take_learning_rate(value: Any, reading: _Reading) -> None:
    reading.network["learning_rate"] = _read_number(value)


def _take_n_steps(value: Any, reading: _Reading) -> None:
    if reading.is_ppo:
        reading.training["n_steps"] = _read_count(value)
    elif _read_count(value) != 1:
        raise ValueError("SAC and TD3 learn from single steps here: 1 is allowed")


def _take_ent_coef(value: Any, reading: _Reading) -> None:
    if reading.is_ppo:
        reading.training["ent_coef"] = _read_number(value)
    elif reading.algorithm == "td3":
        raise ValueError("a key of PPO and SAC")
    elif value != "auto":
        raise ValueError("SAC learns its entropy coefficient here: 'auto' is allowed")


def _take_tau(value: Any, reading: _Reading) -> None:
    reading.off_policy["tau"] = _read_number(value)


def _take_train_freq(value: Any, reading: _Reading) -> None:
    steps = value
    if isinstance(value, str) and value.strip().startswith(("(", "[")):
        steps = _read_literal(value)
    if isinstance(steps, list | tuple):
        if len(steps) != 2 or steps[1] != "step":
            raise ValueError("updates follow a number of steps here, not episodes: a whole number is allowed")
        steps = steps[0]
    reading.train_freq = _read_count(steps)
    if reading.train_freq < 1:
        raise ValueError("1 or more is allowed")


def _take_gradient_steps(value: Any, reading: _Reading) -> None:
    reading.gradient_steps = _read_count(value)
    if reading.gradient_steps < 1 and reading.gradient_steps != -1:
        raise ValueError("1 or more is allowed, or -1 for one for each environment step")


def _take_noise_type(value: Any, reading: _Reading) -> None:
    if value in (None, "", "none"):
        return
    if reading.algorithm != "td3" or value != "normal":
        raise ValueError("TD3's noise is 'normal' here, and SAC has none beside its own")
    reading.noise_type = value


def _take_noise_std(value: Any, reading: _Reading) -> None:
    reading.noise_std = _read_number(value)


# ---------------------------------------------------------------- normalisation

CLIPS: Final[Mapping[str, tuple[Any, ...]]] = {
    **dict.fromkeys(["clip_obs", "clip_reward"], (10, 10.0)),
    **{"training": (True,), "epsilon": (1e-8,), "norm_obs_keys": (None,)},
}
"""Further arguments of VecNormalize, with what they are here."""


def _take_normalize(value: Any, reading: _Reading) -> None:
    if isinstance(value, bool):
        _take_normalize_kwargs({"norm_obs": value, "norm_reward": value}, reading)
    else:
        _take_normalize_kwargs({"norm_obs": True, "norm_reward": True, **_parse_literal(value)}, reading)


def _take_normalize_kwargs(value: Any, reading: _Reading) -> None:
    for name, inner in _parse_literal(value).items():
        if name in ("norm_obs", "norm_reward"):
            is_on = _read_flag(inner)
            if is_on and not reading.is_ppo:
                raise ValueError("SAC and TD3 do not normalise here")
            if reading.is_ppo:
                reading.training[f"normalize_{name.removeprefix('norm_')}"] = is_on
        elif name == "gamma":
            continue  # rl-zoo3 puts the agent's own in its place
        elif name not in CLIPS or inner not in CLIPS[name]:
            raise ValueError(f"{name} = {show_value(inner)}: {_TRAIN_ELSEWHERE}")


# ---------------------------------------------------------------- the policy


def _take_policy_kwargs(value: Any, reading: _Reading) -> None:
    for name, inner in ({} if value is None else _parse_literal(value)).items():
        try:
            if name in POLICY:
                POLICY[name](inner, reading)
            elif name in POLICY_ACCEPTED:
                _accept(inner, POLICY_ACCEPTED[name])
            else:
                _accept(inner, OFF)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _take_net_arch(value: Any, reading: _Reading) -> None:
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
    reading.network["net_arch"] = [_read_count(width) for width in layers]


def _take_activation(value: Any, reading: _Reading) -> None:
    activations = {"Tanh": "tanh", "ReLU": "relu"}
    module, _, name = str(value).rpartition(".")
    if name not in activations or not re.fullmatch(r"(th\.|torch\.)?nn(\.modules\.activation)?", module):
        raise ValueError("allowed are nn.Tanh, nn.ReLU" if reading.is_ppo else "allowed is nn.ReLU")
    if reading.is_ppo:
        reading.training["activation"] = activations[name]
    elif name != "ReLU":
        raise ValueError("the networks of SAC and TD3 have nn.ReLU here")


def _take_log_std(value: Any, reading: _Reading) -> None:
    # SAC reads it with use_sde only.
    number = _read_number(value)
    if reading.is_ppo:
        reading.training["log_std_init"] = number


def _take_ortho_init(value: Any, reading: _Reading) -> None:
    if reading.is_ppo:
        reading.training["ortho_init"] = _read_flag(value)
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
"""Further arguments of the policies, with what asks for what happens here anyway; None: any value."""

TAKEN: Final[Mapping[str, Taker]] = {
    "n_timesteps": _take_n_timesteps,
    "policy": _take_policy,
    "policy_kwargs": _take_policy_kwargs,
    "normalize": _take_normalize,
    "normalize_kwargs": _take_normalize_kwargs,
    "n_envs": _take_training_count("n_envs"),
    "gamma": _take_training_number("gamma"),
    "n_steps": _take_n_steps,
    "batch_size": _take_batch_size,
    "learning_rate": _take_learning_rate,
    "ent_coef": _take_ent_coef,
}
"""Keys of every algorithm that are taken over."""
FAMILY_KEYS: Final[Mapping[str, tuple[bool, Taker]]] = {
    "n_epochs": (True, _take_training_count("n_epochs")),
    **{key: (True, _take_training_number(key)) for key in ("gae_lambda", "clip_range", "vf_coef", "max_grad_norm")},
    "normalize_advantage": (True, lambda value, _: _accept(value, (True,))),
    "clip_range_vf": (True, lambda value, _: _accept(value, (None, "none"))),
    "target_kl": (True, lambda value, _: _accept(value, (None, "none"))),
    "rollout_buffer_class": (True, lambda value, _: _accept(value, (None, "RolloutBuffer"))),
    "rollout_buffer_kwargs": (True, lambda value, _: _accept(value, (None, {}))),
    "buffer_size": (False, _take_off_policy_count("buffer_size")),
    "learning_starts": (False, _take_off_policy_count("learning_starts")),
    "tau": (False, _take_tau),
    "train_freq": (False, _take_train_freq),
    "gradient_steps": (False, _take_gradient_steps),
    "noise_type": (False, _take_noise_type),
    "noise_std": (False, _take_noise_std),
    "action_noise": (False, lambda value, _: _accept(value, (None, "none"))),
    "target_entropy": (False, lambda value, _: _accept(value, ("auto",))),
    "target_update_interval": (False, lambda value, _: _accept(value, (1,))),
    "use_sde_at_warmup": (False, lambda value, _: _accept(value, None)),
    "policy_delay": (False, lambda value, _: _accept(value, (2,))),
    "target_policy_noise": (False, lambda value, _: _accept(value, (0.2,))),
    "target_noise_clip": (False, lambda value, _: _accept(value, (0.5,))),
    "replay_buffer_class": (False, lambda value, _: _accept(value, (None, "ReplayBuffer"))),
    "replay_buffer_kwargs": (False, lambda value, _: _accept(value, (None, {}, "dict()"))),
    "optimize_memory_usage": (False, lambda value, _: _accept(value, (False,))),
}
"""Keys of PPO (True) and of SAC and TD3 (False)."""
_WRAPPER = "wrappers belong to the environment: register it with them, in a module of your own"
ACCEPTED: Final[Mapping[str, tuple[tuple[Any, ...] | None, str]]] = {
    "use_sde": ((False,), _TRAIN_ELSEWHERE),
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
    "monitor_kwargs": ((*OFF, "dict()"), _TRAIN_ELSEWHERE),
    "callback": (OFF, _TRAIN_ELSEWHERE),
    "_init_setup_model": ((True,), _TRAIN_ELSEWHERE),
}
"""Keys of every algorithm, with what asks for what happens here anyway (None: any value), and why nothing else is."""
SETTING_NAMES: Final = frozenset({*TAKEN, *FAMILY_KEYS, *ACCEPTED, *TYPICAL_KEYS})
"""Names of settings, of the algorithms that train here and of others."""


# ---------------------------------------------------------------- values written as Python


def _parse_literal(text: Any) -> dict[str, Any]:
    """Read "dict(a=1, b=nn.Tanh)" or "{'a': 1}"; a dotted name stays text.

    >>> _parse_literal("dict(log_std_init=-2, activation_fn=nn.ReLU, net_arch=dict(pi=[64], vf=[64]))")
    {'log_std_init': -2, 'activation_fn': 'nn.ReLU', 'net_arch': {'pi': [64], 'vf': [64]}}

    Raises:
        ValueError: if it is neither.
    """
    value = text if isinstance(text, Mapping) else _read_literal(text)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError("write dict(...)")
    return dict(value)


def _read_literal(text: Any) -> Any:
    try:
        return _evaluate_node(python_ast.parse_expression(str(text).strip()))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError("write dict(...) with plain values") from error


def _evaluate_node(node: ast.expr) -> Any:
    if isinstance(node, ast.Call):
        names = [keyword.arg for keyword in node.keywords]
        is_plain = isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args
        if not is_plain or None in names or len(set(names)) < len(names):
            raise ValueError("a call")
        return {str(keyword.arg): _evaluate_node(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        if None in node.keys:
            raise ValueError("an unpacked dict")
        pairs = zip(node.keys, node.values, strict=True)
        return {ast.literal_eval(key): _evaluate_node(value) for key, value in pairs if key is not None}
    if isinstance(node, ast.Attribute | ast.Name):
        return ast.unparse(node)
    if isinstance(node, ast.List | ast.Tuple):
        return [_evaluate_node(item) for item in node.elts]
    return ast.literal_eval(node)
