"""Faults of environments that others wrote: each becomes one line that says where it lies and what helps.

The first reset and the first steps of an environment go through `reset_checked` and `step_checked`; later ones are
called directly, as a check of each step would cost time.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rewardsmith.contract.errors import RewardsmithError, TaskError
from rewardsmith.contract.signal_source import ENVIRONMENT_REWARD

OWN_MODULE = "register it in a module of your own with a wrapper"
SEE_DOCS = "(docs/your-own-package.md)"
_OPENGL = re.compile(r"opengl|gladload|glfw|osmesa|\b(egl|x11|display)\b", re.IGNORECASE)
"""Words of errors that come from a missing display."""
_ARGUMENT = re.compile(r"missing \d+ required")
_OTHER_INTERFACE = re.compile(r"must inherit from the gymnasium\.Env|Gym is incompatible with Gymnasium")
_VARIABLE = re.compile(r"environment variable|environ\b|\bexport [A-Z_]+=", re.IGNORECASE)


@contextmanager
def explain_faults(env_id: str, action: str, passed: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn what an environment raises into one line.

    Args:
        env_id: the environment.
        action: what is tried, as in "cannot be made" or "fails in `step`".
        passed: exceptions that stay as they are.

    Raises:
        TaskError: in place of every other exception.
    """
    try:
        yield
    except RewardsmithError:
        raise
    except (Exception, SystemExit) as error:
        if isinstance(error, passed):
            raise
        raise TaskError(f"environment {env_id!r} {action}: {describe_exception(error)}") from error


def describe_exception(error: BaseException) -> str:
    """Return an exception's type, its first line, where it was raised, and what helps where that is known."""
    lines = str(error).strip().splitlines()
    message = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno}, {frames[-1].name})" if frames else ""
    return f"{message}{where}{_suggest_remedy(message)}"


def _suggest_remedy(message: str) -> str:
    if _OPENGL.search(message):
        return "; it draws images: set MUJOCO_GL=egl (or osmesa) in the environment and try again"
    if _ARGUMENT.search(message):
        return f"; --env-kwargs JSON or kwargs in a card give it, a module of your own where JSON cannot {SEE_DOCS}"
    if _OTHER_INTERFACE.search(message):
        return f"; several agents at once, dm_env and the old gym need a class of your own that wraps them {SEE_DOCS}"
    if _VARIABLE.search(message):
        return "; an environment variable reaches it with --pass-env NAME"
    return ""


def reset_checked(env: Any, env_id: str, seed: int | None = None) -> tuple[Any, dict[Any, Any]]:
    """Start an episode of an environment that is used for the first time.

    Raises:
        TaskError: if it fails, or returns something other than an observation and its info.
    """
    with explain_faults(env_id, "fails in `reset`"):
        result = env.reset(seed=seed)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TaskError(
            f"environment {env_id!r}: `reset` returns {_describe_type(result)}, not (observation, info), as before"
            f" Gymnasium 0.26; {OWN_MODULE} that returns both {SEE_DOCS}"
        )
    _check_info(result[1], env_id, "reset")
    return result


def step_checked(env: Any, env_id: str, action: Any) -> tuple[Any, Any, bool, bool, dict[Any, Any]]:
    """Take a step of an environment that is used for the first time.

    Raises:
        TaskError: if it fails, or returns something other than Gymnasium's five values with one number as reward.
    """
    result: Any = None
    with explain_faults(env_id, "fails in `step`"):
        try:
            result = env.step(action)
        except ValueError as error:  # Gymnasium's own wrappers unpack five values
            count = re.search(r"\(expected 5, got (\d)\)", str(error))
            if count is None:
                raise
            result = (None,) * int(count[1])
    if not isinstance(result, tuple) or len(result) != 5:
        raise TaskError(
            f"environment {env_id!r}: `step` returns {_describe_type(result)}, not (observation, reward, terminated,"
            f" truncated, info), as before Gymnasium 0.26; {OWN_MODULE} that returns all five {SEE_DOCS}"
        )
    _check_info(result[4], env_id, "step")
    if np.size(result[1]) > 1:
        raise TaskError(
            f"environment {env_id!r} pays a vector of {np.size(result[1])} numbers at each step, and a policy learns"
            f' from one; in a card, wrappers = [{{ name = "rewardsmith.worker.envs.wrappers:WeightedReward", kwargs ='
            f" {{ weights = [...] }} }}] weighs them {SEE_DOCS}"
        )
    return result


def _check_info(info: Any, env_id: str, call: str) -> None:
    if not isinstance(info, dict):
        raise TaskError(
            f"environment {env_id!r}: the info that `{call}` returns is of type {type(info).__name__}, not a dict;"
            f" {OWN_MODULE} that returns {{}} where there is none {SEE_DOCS}"
        )


def _describe_type(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, tuple) else f"one value of type {type(value).__name__}"


def find_fault(value: Any, shape: tuple[int, ...] | None = None) -> str | None:
    """Return why a reported value is no number or array of numbers that a signal can hold; None where it is one.

    >>> find_fault(1.5), find_fault(None), find_fault("late"), find_fault(float("inf")), find_fault([1.0, 2.0], (3,))
    (None, 'None', 'text', 'inf', 'an array of shape (2,) instead of (3,)')

    Args:
        value: an entry of `info`, or a reward.
        shape: what the array must have; None is any.
    """
    if value is None:
        return "None"
    if isinstance(value, str | bytes):
        return "text"
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        return "rows of several lengths"
    except (TypeError, RuntimeError):  # such as a tensor that keeps its gradient
        return f"a {type(value).__name__}"
    if array.dtype.kind not in "biuf":
        return f"a {type(value).__name__}"
    if shape is not None and array.shape != shape:
        return f"{_describe_shape(array.shape)} instead of {_describe_shape(shape, short=True)}"
    finite = np.isfinite(array)
    if not finite.all():
        return "nan" if np.isnan(array).any() else f"{array[~finite].flat[0]:g}"
    return None


def _describe_shape(shape: tuple[int, ...], short: bool = False) -> str:
    if not shape:
        return "one number"
    return str(shape) if short else f"an array of shape {shape}"


def describe_faults(faults: Mapping[str, str]) -> list[str]:
    """Return a line for each entry of `BatchedEnv.faults`."""
    lines = []
    for key, fault in faults.items():
        what = "the environment's reward" if key == ENVIRONMENT_REWARD else f"info[{key!r}]"
        lines.append(f"{what} is not always a number: in some steps it is {fault}, which counts as unknown (NaN)")
    return lines
