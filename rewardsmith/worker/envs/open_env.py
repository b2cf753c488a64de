"""Opening of the Gymnasium environment that a spec names; every failure says what is wrong and what is near."""

from __future__ import annotations

import copy
import difflib
import importlib
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import error as gym_error
from gymnasium import spaces

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import EnvSpec
from rewardsmith.contract.text import suggest_names
from rewardsmith.worker.envs import register_families
from rewardsmith.worker.envs.base import ActionSpec
from rewardsmith.worker.envs.env_faults import SEE_DOCS, explain_faults, find_fault, reset_checked, step_checked
from rewardsmith.worker.envs.flat_observation import FlatObservation
from rewardsmith.worker.envs.info_parts import flatten_info
from rewardsmith.worker.training.images import SMALLEST, Image, ImagePart

MAX_COMBINATIONS = 1024
"""How many combinations of choices may be one choice among them all: the policy has an output for each."""
INFO_STEPS = 3
"""Within how many steps an entry of `info` has to be reported to be known."""
_MAKE_ERRORS = (gym_error.Error, ModuleNotFoundError)
"""What `gymnasium.make` raises itself, where the words are chosen by the kind of error."""


def read_step_time(original: Any) -> float | None:
    """Return the simulated seconds of a step, as an unwrapped environment says them in `dt`; None where it does not."""
    step_s = getattr(original, "dt", None)
    return float(step_s) if isinstance(step_s, int | float) and 0.0 < step_s < math.inf else None


def open_env(spec: EnvSpec) -> Any:
    """Return a new environment with its registered wrappers and time limit, and the spec's wrappers, unseeded.

    Raises:
        TaskError: if the id is not registered, its package is missing, it refuses its keyword arguments, or fails; or
            a module or a wrapper of the spec cannot be imported, or fails.
    """
    register_families.register_family(spec.env_id)
    for name in spec.imports:
        import_registering(spec.env_id, name)
    return _wrap_env(spec, _make_env(spec))


def _make_env(spec: EnvSpec) -> Any:
    kwargs: dict[str, Any] = copy.deepcopy(spec.kwargs)  # some environments change what they get
    if spec.max_episode_steps is not None:
        kwargs["max_episode_steps"] = spec.max_episode_steps
    given = ", ".join(f"{key}={value!r}" for key, value in spec.kwargs.items())
    try:
        with silence_mujoco(), explain_faults(spec.env_id, f"cannot be made with ({given})", _MAKE_ERRORS):
            return gymnasium.make(spec.env_id, disable_env_checker=True, **kwargs)
    except (gym_error.NameNotFound, gym_error.NamespaceNotFound) as error:
        raise TaskError(_describe_unknown_id(spec.env_id)) from error
    except ModuleNotFoundError as error:
        raise TaskError(f"environment {spec.env_id!r} needs a Python module that is not installed: {error}") from error
    except gym_error.DependencyNotInstalled as error:
        raise TaskError(f"environment {spec.env_id!r} misses a dependency: {error}") from error
    except gym_error.Error as error:
        raise TaskError(f"environment {spec.env_id!r} cannot be made: {error}") from error


@cache
def import_registering(env_id: str, name: str) -> None:
    """Import a module that registers environments, and call the function of it that a name may give."""
    _, _, function = name.partition(":")
    with explain_faults(env_id, f"needs the import {name!r}, which fails"):
        target = _import_named(env_id, name, "imports")
        if function:
            target()


def _wrap_env(spec: EnvSpec, env: Any) -> Any:
    """Return an environment in the wrappers of its spec, the innermost first."""
    for wrapper in spec.wrappers:
        with explain_faults(spec.env_id, f"cannot be wrapped in {wrapper.name}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as Gymnasium's of numbers that it rounds to float32
            env = _import_named(spec.env_id, wrapper.name, "wrappers")(env, **copy.deepcopy(wrapper.kwargs))
        if not isinstance(env, gymnasium.Env):
            raise TaskError(
                f"environment {spec.env_id!r}: the wrapper {wrapper.name} returns {type(env).__name__}, not a Gymnasium"
                f" environment {SEE_DOCS}"
            )
    return env


def _import_named(env_id: str, name: str, key: str) -> Any:
    """Return the module that a name gives, or what the name after its colon stands for in there.

    Raises:
        TaskError: if there is no such module, or no such name in it.
    """
    module, _, attribute = name.partition(":")
    try:
        imported = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise TaskError(
            f"environment {env_id!r}: {key} names {name!r}, and {error}; install its package, or start in the folder of"
            f" the module {SEE_DOCS}"
        ) from error
    if not attribute:
        return imported
    if not callable(getattr(imported, attribute, None)):
        hint = suggest_names(attribute, [found for found in vars(imported) if found[0] != "_"])
        raise TaskError(f"environment {env_id!r}: {key} names {name!r}, and {module} has no {attribute!r}; {hint}")
    return getattr(imported, attribute)


@dataclass(frozen=True)
class InfoSample:
    """Entries of `info` at a start and in the first steps after it."""

    values: dict[Any, Any]
    """Key to the last value that was a number or an array of numbers; to the last one at all where none was. Parts of
    nested entries have dotted keys; see `info_parts`."""
    faults: dict[Any, str]
    """Key to why a value was none, of the entries that have some numbers; see `env_faults.find_fault`."""
    names: dict[Any, str] = field(default_factory=dict)
    """Key of an entry that is a member of an Enum to its members, "0 short, 1 long"."""


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
        if isinstance(value, Enum):
            sample.names[key] = ", ".join(f"{member.value} {member.name}" for member in type(value))
    for key, value in flatten_info(info).items():
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

    An image is a box of bytes from 0 to 255 with three axes, or with two if it is grey. One smaller than `SMALLEST` is
    taken as a vector.
    """
    if not isinstance(space, spaces.Box) or space.dtype != np.uint8 or len(space.shape) not in (2, 3):
        return None
    height, width, *_ = space.shape
    image = Image.from_shape(space.shape) if len(space.shape) == 3 else Image(height, width, 1)
    whole = bool((space.low == 0).all() and (space.high == 255).all())
    return image if whole and min(image.height, image.width) >= SMALLEST else None


def read_image_parts(observation: FlatObservation) -> tuple[ImagePart, ...]:
    """Return the images among the parts of a dict or tuple observation; none of an observation without parts."""
    images = ((part, read_image(part.space)) for part in observation.parts if part.path)
    return tuple(ImagePart(part.start, image) for part, image in images if image is not None)


@contextmanager
def silence_mujoco() -> Iterator[None]:
    """Drop MuJoCo's remarks about the XML of an environment, which it would print and write to a file on each load."""
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: None)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)


def _describe_unknown_id(env_id: str) -> str:
    module = env_id.rpartition(":")[0]
    registered = list(gymnasium.registry)
    if module:
        package = module.partition(".")[0]
        registered = [name for name, spec in gymnasium.registry.items() if _find_package(spec) == package]
    if not registered:
        return (
            f"no environment {env_id!r}: importing {module!r} registers nothing with Gymnasium; a module of your own"
            f" can make and register it, if it is for one agent {SEE_DOCS}"
        )
    by_lower_case = {name.lower(): name for name in registered}
    bare = env_id.rpartition(":")[2]
    near = difflib.get_close_matches(bare, list(by_lower_case.values()), n=3)
    near = near or [by_lower_case[name] for name in difflib.get_close_matches(bare.lower(), by_lower_case, n=3)]
    prefix = f"{module}:" if module else ""
    hint = f"; near it: {', '.join(f'{prefix}{name}' for name in near)}" if near else ""
    return f"no environment {env_id!r} is registered with Gymnasium{hint} (an id of a package: 'package:Name-v0')"


def _find_package(spec: Any) -> str:
    """Return the package that a registered environment's class or function comes from."""
    point = spec.entry_point
    module = point.partition(":")[0] if isinstance(point, str) else getattr(point, "__module__", "")
    return str(module).partition(".")[0]
