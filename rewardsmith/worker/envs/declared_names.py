"""Names that an environment declares for its actions and for the numbers of its observation.

Packages keep them in attributes: `get_action_meanings()` (Atari), an Enum `actions` (MiniGrid), `action_type.actions`
and `observation_type.features` (highway-env). An attribute counts if its name says what it is, and it has as many names
as there are choices or numbers. It is looked for in the unwrapped environment, and in the objects there that are called
after actions or observations.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.text import flatten_text
from rewardsmith.worker.envs.env_faults import explain_faults

_NAME_CHARS = 60
"""Longest name that is taken over."""
_FEATURE_WORDS = ("feature", "names", "labels", "columns")
_OBSERVATION_WORDS = ("obs", "state")
MEANINGS = "get_action_meanings"
"""Method of Atari's environments, and of others after them, that names the actions."""


def find_action_names(env: Any, count: int) -> tuple[str, ...]:
    """Return the names of `count` choices, or of the numbers of an action vector; none where nothing declares them."""
    meanings = getattr(env.unwrapped, MEANINGS, None)
    if callable(meanings):
        named = _read_names(_call_quietly(meanings), count)
        if named:
            return named
    for holder, _ in _iterate_holders(env.unwrapped, ("action",)):
        for name, value in _iterate_attributes(holder):
            named = _read_names(value, count) if "action" in name.lower() else ()
            if named:
                return named
    return ()


def find_feature_names(env: Any, shape: Sequence[int]) -> tuple[tuple[str, ...], Any]:
    """Return names of the entries of an observation's last axis, and the object that declares them; none for no names.

    Args:
        env: the environment.
        shape: of its observation.
    """
    if not 1 <= len(shape) <= 2:
        return (), None
    for holder, is_called_after in _iterate_holders(env.unwrapped, _OBSERVATION_WORDS):
        for name, value in _iterate_attributes(holder):
            lowered = name.lower()
            is_about = is_called_after or any(word in lowered for word in _OBSERVATION_WORDS)
            if is_about and any(word in lowered for word in _FEATURE_WORDS):
                named = _read_names(value, shape[-1])
                if len(set(named)) == shape[-1]:
                    return named, holder
    return (), None


def _iterate_holders(original: Any, words: Sequence[str]) -> Iterator[tuple[Any, bool]]:
    """Yield the environment, then its objects whose names contain one of the words, with whether it is such a one."""
    yield original, False
    for name, value in _iterate_attributes(original):
        if any(word in name.lower() for word in words) and hasattr(value, "__dict__") and not isinstance(value, type):
            yield value, True


def _iterate_attributes(holder: Any) -> Iterator[tuple[str, Any]]:
    """Yield the attributes of an object and of its classes; nothing of it is computed for that."""
    for kind in reversed(type(holder).__mro__[:-1]):
        yield from ((name, value) for name, value in vars(kind).items() if not inspect.isroutine(value))
    yield from list(vars(holder).items())


def _call_quietly(function: Any) -> Any:
    """Return what a method of an environment gives; None where it fails, as the names alone are at stake."""
    try:
        with explain_faults("", f"fails in `{MEANINGS}`"):
            return function()
    except TaskError:
        return None


def _read_names(value: Any, count: int) -> tuple[str, ...]:
    """Return `count` names that a value holds, in their order; none if it holds something else.

    >>> _read_names({0: "left", 1: "right"}, 2), _read_names(["left", "right"], 2), _read_names(["left"], 2)
    (('left', 'right'), ('left', 'right'), ())
    """
    if isinstance(value, type) and issubclass(value, Enum):
        value = {member.value: name for name, member in value.__members__.items()}
    if is_dataclass(value) and not isinstance(value, type):
        value = vars(value)
    if isinstance(value, Mapping) and all(isinstance(number, int) for number in value.values()):
        value = {number: name for name, number in value.items()}
    if isinstance(value, Mapping):
        value = [value.get(number) for number in range(count)] if len(value) == count else []
    if not isinstance(value, list | tuple) or len(value) != count:
        return ()
    names = tuple(name.name if isinstance(name, Enum) else name for name in value)
    is_text = all(isinstance(name, str) for name in names)
    return tuple(flatten_text(name, _NAME_CHARS) for name in names) if is_text else ()
