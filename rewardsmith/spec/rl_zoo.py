"""Training settings from rl-zoo3's YAML files of tuned hyperparameters, read without evaluating them as Python."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from rewardsmith.contract import python_ast
from rewardsmith.contract.errors import ConfigError
from rewardsmith.spec.config import Layer

SAME_NAME = (
    *("n_envs", "n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "learning_rate", "clip_range"),
    *("ent_coef", "vf_coef", "max_grad_norm"),
)
"""Keys that are called the same in `[training]`."""
COUNTS = ("n_envs", "n_steps", "batch_size", "n_epochs")
ACTIVATIONS = {"nn.Tanh": "tanh", "nn.ReLU": "relu", "th.nn.Tanh": "tanh", "th.nn.ReLU": "relu"}


def read(path: Path, env_id: str) -> Layer:
    """Return the configuration layer that a file gives for an environment.

    Args:
        path: a YAML file as rl-zoo3's hyperparams/ppo.yml: environment id to settings.
        env_id: of the environment; another version of it serves where this one is missing.

    Raises:
        ConfigError: if the file cannot be read, has no such environment, or asks for what no trainer here does.
    """
    entries = _load(path)
    entry = entries.get(env_id) or entries.get(_same_but_version(env_id, list(entries)) or "")
    if not isinstance(entry, dict):
        near = difflib.get_close_matches(env_id, list(entries), n=3, cutoff=0.4)
        raise ConfigError(f"{path} has no settings for {env_id!r}; near it: {', '.join(near) or 'nothing'}")
    training: dict[str, Any] = {}
    layer: dict[str, Any] = {"training": training}
    for key, value in entry.items():
        try:
            _take(key, value, training, layer)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{path}, {env_id}, {key} = {value!r}: {error}") from error
    if training.get("activation") == "relu":
        training["trainer"] = "sb3"
    return layer


def _load(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path} is no rl-zoo3 file: its top level must map environment ids to settings")
    return loaded


def _same_but_version(env_id: str, known: list[str]) -> str | None:
    name = env_id.rpartition("-v")[0]
    return next((other for other in known if other.rpartition("-v")[0] == name), None)


def _take(key: str, value: Any, training: dict[str, Any], layer: dict[str, Any]) -> None:
    """Take one key over.

    Raises:
        ValueError: if no trainer here does what it asks for.
    """
    if key in SAME_NAME:
        training[key] = int(_number(value)) if key in COUNTS else _number(value)
    elif key == "n_timesteps":
        layer["search"] = {"env_steps": int(_number(value))}
    elif key == "policy":
        if value != "MlpPolicy":
            raise ValueError("only 'MlpPolicy' is trained here")
    elif key == "normalize":
        training |= _normalize(value)
    elif key == "policy_kwargs":
        for name, inner in _literal(value).items():
            POLICY[name](inner, training) if name in POLICY else _unless_off(inner)
    else:
        _unless_off(value)


def _number(value: Any) -> float:
    if isinstance(value, str) and value.startswith("lin_"):
        raise ValueError("a schedule; write the number itself, as trainings here keep it constant")
    return float(value)


def _unless_off(value: Any) -> None:
    if value not in (None, False, 0, "", [], {}):
        raise ValueError("no trainer here does that; remove the key, or train with rl-zoo3 itself")


def _normalize(value: Any) -> dict[str, bool]:
    if isinstance(value, bool):
        return {"normalize_obs": value, "normalize_reward": value}
    given = _literal(value)
    return {f"normalize_{what}": bool(given.get(f"norm_{what}", True)) for what in ("obs", "reward")}


def _net_arch(value: Any, training: dict[str, Any]) -> None:
    if isinstance(value, dict):
        if value.get("pi") != value.get("vf"):
            raise ValueError("actor and critic have the same layers here")
        value = value["pi"]
    training["net_arch"] = list(value)


def _activation(value: Any, training: dict[str, Any]) -> None:
    if value not in ACTIVATIONS:
        raise ValueError(f"allowed are {', '.join(ACTIVATIONS)}")
    training["activation"] = ACTIVATIONS[value]


def _log_std(value: Any, training: dict[str, Any]) -> None:
    training["log_std_init"] = float(value)


def _ortho(value: Any, training: dict[str, Any]) -> None:
    training["ortho_init"] = bool(value)


POLICY: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "net_arch": _net_arch,
    "activation_fn": _activation,
    "log_std_init": _log_std,
    "ortho_init": _ortho,
}


def _literal(text: Any) -> dict[str, Any]:
    """Read "dict(a=1, b=nn.Tanh)" or "{'a': 1}"; a dotted name stays text.

    >>> _literal("dict(log_std_init=-2, activation_fn=nn.ReLU, net_arch=dict(pi=[64], vf=[64]))")
    {'log_std_init': -2, 'activation_fn': 'nn.ReLU', 'net_arch': {'pi': [64], 'vf': [64]}}

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(text, dict):
        return text
    try:
        value = _value(python_ast.expression(str(text).strip()))
    except (SyntaxError, ValueError) as error:
        raise ValueError("write dict(...) with plain values") from error
    if not isinstance(value, dict):
        raise ValueError("write dict(...)")
    return value


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {str(keyword.arg): _value(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Attribute | ast.Name):
        return ast.unparse(node)
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    return ast.literal_eval(node)
