"""Opening of the Gymnasium environment that a spec names; every failure says what is wrong and what is near."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import error as gym_error
from gymnasium import spaces

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs import register_families
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.envs.env_faults import explain_faults, find_fault, reset_checked, step_checked
from rewardsmith.worker.training.images import SMALLEST, Image

MAX_COMBINATIONS = 1024
"""How many combinations of choices may be one choice among them all: the policy has an output for each."""
INFO_STEPS = 3
"""Within how many steps an entry of `info` has to be reported to be known."""
_MAKE_ERRORS = (gym_error.Error, ModuleNotFoundError)
"""What `gymnasium.make` raises itself, where the words are chosen by the kind of error."""


def open_env(spec: EnvSpec) -> Any:
    """Return a new environment with its registered wrappers and time limit, unseeded.

    Raises:
        TaskError: if the id is not registered, its package is missing, it refuses its keyword arguments, or fails.
    """
    register_families.register_family(spec.env_id)
    kwargs: dict[str, Any] = copy.deepcopy(spec.kwargs)  # some environments change what they get
    if spec.max_episode_steps is not None:
        kwargs["max_episode_steps"] = spec.max_episode_steps
    given = ", ".join(f"{key}={value!r}" for key, value in spec.kwargs.items())
    try:
        with _silence_mujoco(), explain_faults(spec.env_id, f"cannot be made with ({given})", _MAKE_ERRORS):
            return gymnasium.make(spec.env_id, disable_env_checker=True, **kwargs)
    except (gym_error.NameNotFound, gym_error.NamespaceNotFound) as error:
        raise TaskError(_describe_unknown_id(spec.env_id)) from error
    except ModuleNotFoundError as error:
        raise TaskError(f"environment {spec.env_id!r} needs a Python module that is not installed: {error}") from error
    except gym_error.DependencyNotInstalled as error:
        raise TaskError(f"environment {spec.env_id!r} misses a dependency: {error}") from error
    except gym_error.Error as error:
        raise TaskError(f"environment {spec.env_id!r} cannot be made: {error}") from error


@dataclass(frozen=True)
class InfoSample:
    """Entries of `info` at a start and in the first steps after it."""

    values: dict[Any, Any]
    """Key to the last value that was a number or an array of numbers; to the last one at all where none was."""
    faults: dict[Any, str]
    """Key to why a value was none, of the entries that have some numbers; see `env_faults.find_fault`."""


def sample_info(env: Any, env_id: str) -> InfoSample:
    """Return what `info` reports at a start and in the first steps after it, under random actions.

    Raises:
        TaskError: if the environment fails in them, or has another interface than Gymnasium's.
    """
    env.action_space.seed(0)
    _, info = reset_checked(env, env_id, seed=0)
    sample = InfoSample({}, {})
    _add_info(sample, info)
    for _ in range(INFO_STEPS):
        *_, terminated, truncated, info = step_checked(env, env_id, env.action_space.sample())
        _add_info(sample, info)
        if terminated or truncated:
            reset_checked(env, env_id)
    # What never was a number has no fault: it is another thing.
    for key in [key for key in sample.faults if find_fault(sample.values[key]) is not None]:
        del sample.faults[key]
    return sample


def _add_info(sample: InfoSample, info: dict[Any, Any]) -> None:
    """Add what one step reports."""
    for key, value in info.items():
        has_number = key in sample.values and find_fault(sample.values[key]) is None
        shape = np.shape(sample.values[key]) if has_number else None
        fault = find_fault(value, shape)
        if fault is None or shape is None:
            sample.values[key] = value
        if fault is not None:
            sample.faults[key] = fault


def read_actions(env_id: str, space: Any) -> ActionSpec:
    """Describe an action space.

    Raises:
        TaskError: if the space is neither a box nor discrete, or has too many combinations of choices.
    """
    if isinstance(space, spaces.Discrete):
        return ActionSpec(low=(0.0,), high=(float(space.n - 1),), n=int(space.n))
    if isinstance(space, spaces.Box):
        return ActionSpec(tuple(map(float, space.low.ravel())), tuple(map(float, space.high.ravel())))
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        return _describe_combinations(env_id, count_choices(space))
    raise TaskError(
        f"{env_id!r} takes {type(space).__name__} actions; only Box, Discrete, MultiDiscrete and MultiBinary actions"
        " can be trained"
    )


def count_choices(space: Any) -> tuple[int, ...]:
    """Return how many choices each part of a multi-discrete or multi-binary space has."""
    if isinstance(space, spaces.MultiBinary):
        return (2,) * math.prod(space.shape)
    return tuple(int(n) for n in space.nvec.ravel())


def _describe_combinations(env_id: str, parts: tuple[int, ...]) -> ActionSpec:
    n = math.prod(parts)
    if n > MAX_COMBINATIONS:
        raise TaskError(
            f"{env_id!r} takes {len(parts)} choices at once, of {', '.join(map(str, parts))}: {n:,} combinations, and"
            f" at most {MAX_COMBINATIONS:,} can be trained"
        )
    return ActionSpec(low=(0.0,), high=(float(n - 1),), n=n, parts=parts)


def read_image(space: Any) -> Image | None:
    """Return what an observation space's images are; None where it has none that the convolutions can take.

    An image is a box of bytes from 0 to 255 with three axes. One smaller than `SMALLEST` is taken as a vector.
    """
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    image = Image.from_shape(space.shape)
    whole = bool((space.low == 0).all() and (space.high == 255).all())
    return image if whole and min(image.height, image.width) >= SMALLEST else None


@contextmanager
def _silence_mujoco() -> Iterator[None]:
    """Drop MuJoCo's remarks about the XML of an environment, which it would print and write to a file on each load."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _describe_unknown_id(env_id: str) -> str:
    by_lower_case = {name.lower(): name for name in gymnasium.registry}
    near = difflib.get_close_matches(env_id, list(gymnasium.registry), n=3)
    near = near or [by_lower_case[name] for name in difflib.get_close_matches(env_id.lower(), by_lower_case, n=3)]
    hint = f"; near it: {', '.join(near)}" if near else ""
    return f"no environment {env_id!r} is registered with Gymnasium{hint} (an id of a package: 'package:Name-v0')"
