"""Builds the Gymnasium environment that a spec names; every failure says what is wrong and what is near."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import error as gym_error
from gymnasium import spaces

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.worker.envs import register_families
from rewardsmith.worker.envs.base import Actions
from rewardsmith.worker.training.images import SMALLEST, Image

MAX_COMBINATIONS = 1024
"""How many combinations of choices may be one choice among them all: the policy has an output for each."""
INFO_STEPS = 3
"""Within how many steps an entry of `info` has to be reported to be known."""


def open_env(spec: EnvSpec) -> Any:
    """Return a new environment with its registered wrappers and time limit, unseeded.

    Raises:
        TaskError: if the id is not registered, its package is missing, or it refuses its keyword arguments.
    """
    register_families.register(spec.env_id)
    kwargs: dict[str, Any] = dict(spec.kwargs)
    if spec.max_episode_steps is not None:
        kwargs["max_episode_steps"] = spec.max_episode_steps
    try:
        with _unlogged():
            return gymnasium.make(spec.env_id, disable_env_checker=True, **kwargs)
    except (gym_error.NameNotFound, gym_error.NamespaceNotFound) as error:
        raise TaskError(_unknown(spec.env_id)) from error
    except ModuleNotFoundError as error:
        raise TaskError(f"environment {spec.env_id!r} needs a Python module that is not installed: {error}") from error
    except gym_error.DependencyNotInstalled as error:
        raise TaskError(f"environment {spec.env_id!r} misses a dependency: {error}") from error
    except gym_error.Error as error:
        raise TaskError(f"environment {spec.env_id!r} cannot be made: {error}") from error
    except (TypeError, ValueError, OSError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in spec.kwargs.items())
        raise TaskError(f"environment {spec.env_id!r} cannot be made with ({given}): {error}") from error


def first_info(env: Any) -> dict[Any, Any]:
    """Return what `info` reports at a start and in the first steps after it, under random actions."""
    env.action_space.seed(0)
    _, found = env.reset(seed=0)
    found = dict(found)
    for _ in range(INFO_STEPS):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        found.update(info)
        if terminated or truncated:
            env.reset()
    return found


def read_actions(env_id: str, space: Any) -> Actions:
    """Describe an action space.

    Raises:
        TaskError: if the space is neither a box nor discrete, or has too many combinations of choices.
    """
    if isinstance(space, spaces.Discrete):
        return Actions(low=(0.0,), high=(float(space.n - 1),), n=int(space.n))
    if isinstance(space, spaces.Box):
        return Actions(tuple(map(float, space.low.ravel())), tuple(map(float, space.high.ravel())))
    if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
        return _combinations(env_id, choices_of(space))
    raise TaskError(
        f"{env_id!r} takes {type(space).__name__} actions; only Box, Discrete, MultiDiscrete and MultiBinary actions"
        " can be trained"
    )


def choices_of(space: Any) -> tuple[int, ...]:
    """Return how many choices each part of a multi-discrete or multi-binary space has."""
    if isinstance(space, spaces.MultiBinary):
        return (2,) * math.prod(space.shape)
    return tuple(int(n) for n in space.nvec.ravel())


def _combinations(env_id: str, parts: tuple[int, ...]) -> Actions:
    n = math.prod(parts)
    if n > MAX_COMBINATIONS:
        raise TaskError(
            f"{env_id!r} takes {len(parts)} choices at once, of {', '.join(map(str, parts))}: {n:,} combinations, and"
            f" at most {MAX_COMBINATIONS:,} can be trained"
        )
    return Actions(low=(0.0,), high=(float(n - 1),), n=n, parts=parts)


def read_image(space: Any) -> Image | None:
    """Return what an observation space's images are; None where it has none that the convolutions can take.

    An image is a box of bytes from 0 to 255 with three axes. One smaller than `SMALLEST` is taken as a vector.
    """
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return None
    image = Image.of(space.shape)
    whole = bool((space.low == 0).all() and (space.high == 255).all())
    return image if whole and min(image.height, image.width) >= SMALLEST else None


@contextmanager
def _unlogged() -> Iterator[None]:
    """Drop MuJoCo's remarks about the XML of an environment, which it would print and write to a file on each load."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _unknown(env_id: str) -> str:
    known = list(gymnasium.registry)
    near = difflib.get_close_matches(env_id, known, n=3) or difflib.get_close_matches(
        env_id.lower(), {name.lower(): name for name in known}, n=3
    )
    by_lower = {name.lower(): name for name in known}
    hint = f"; near it: {', '.join(by_lower.get(name.lower(), name) for name in near)}" if near else ""
    return f"no environment {env_id!r} is registered with Gymnasium{hint} (an id of a package: 'package:Name-v0')"
