"""Builds the Gymnasium environment that a spec names; every failure says what is wrong and what is near."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium
import mujoco
from gymnasium import error as gym_error
from gymnasium import spaces

from rewardsmith.errors import TaskError
from rewardsmith.records import EnvSpec
from rewardsmith.worker.envs.base import Actions


def open_env(spec: EnvSpec) -> Any:
    """Return a new environment with its registered wrappers and time limit, unseeded.

    Raises:
        TaskError: if the id is not registered, its package is missing, or it refuses its keyword arguments.
    """
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


def read_actions(env_id: str, space: Any) -> Actions:
    """Describe an action space.

    Raises:
        TaskError: if the space is neither a box nor discrete.
    """
    if isinstance(space, spaces.Discrete):
        return Actions(low=(0.0,), high=(float(space.n - 1),), n=int(space.n))
    if isinstance(space, spaces.Box):
        return Actions(tuple(map(float, space.low.ravel())), tuple(map(float, space.high.ravel())))
    raise TaskError(f"{env_id!r} takes {type(space).__name__} actions; only Box and Discrete actions can be trained")


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
