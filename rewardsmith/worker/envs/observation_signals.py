"""Signals of an observation; an entry of a dict whose key tells the reward or the success is a privileged signal.

A program could read such an entry out of the whole observation too, so that `obs` is privileged then as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import list_field_references, may_leak_reward, parse
from rewardsmith.worker.envs.declared_names import find_feature_names
from rewardsmith.worker.envs.flat_observation import count_numbers, iterate_entries
from rewardsmith.worker.envs.observation_tables import find_number_table, find_place_table
from rewardsmith.worker.envs.open_env import read_image

MAX_BOUNDS = 8
"""Most numbers whose bounds are listed one by one."""


def derive_observation_signals(env: Any, is_wrapped: bool = False) -> tuple[list[Signal], list[Signal]]:
    """Return the signals and the privileged signals that an environment's observation gives.

    Args:
        env: the environment.
        is_wrapped: a card wraps it, so that what its class says of the observation may not hold any more.
    """
    signals, privileged = list[Signal](), list[Signal]()
    leaking = find_leaking_columns(env.observation_space)
    named = _entry_signals(env.observation_space, "", 0) if is_wrapped else _named_signals(env)
    for signal in (*named, *_whole_signals(env.observation_space)):
        leaked = find_columns_read(signal, env.observation_space) & leaking
        if not leaked:
            signals.append(signal)
        elif signal.shape == (1,):  # a flag, as a fitness best reads it: any(success)
            privileged.append(replace(signal, shape=(), source=f"obs[{min(leaked)}]"))
        else:
            privileged.append(signal)
    return signals, privileged


def check_observation_sources(signals: Iterable[Signal], space: Any) -> None:
    """Make sure that a card's signals read nothing of the observation that no program may know.

    Raises:
        TaskError: if one does.
    """
    leaking = find_leaking_columns(space)
    for signal in signals if leaking else ():
        if find_columns_read(signal, space) & leaking:
            raise TaskError(
                f"signal {signal.name!r} reads {signal.source!r}, where the observation tells the environment's"
                " reward or the success; move it to [privileged_signals]"
            )


def find_leaking_columns(space: Any) -> frozenset[int]:
    """Return the columns of the flattened observation whose keys tell what no program may know.

    >>> flag = spaces.Discrete(2)
    >>> inner = spaces.Dict({"a": flag, "is_success": flag})
    >>> find_leaking_columns(spaces.Dict({"achieved_goal": flag, "inner": inner}))
    frozenset({4, 5})
    """
    return frozenset(_iterate_leaking(space, 0))


def _iterate_leaking(space: Any, place: int) -> Iterator[int]:
    for key, part in _iterate_named_entries(space):
        size = count_numbers(part)
        if may_leak_reward(key):
            yield from range(place, place + size)
        else:
            yield from _iterate_leaking(part, place)
        place += size


def has_entries(space: Any) -> bool:
    """Return whether an observation has entries with names: whether it is a dict."""
    return isinstance(space, spaces.Dict)


def find_columns_read(signal: Signal, space: Any) -> frozenset[int]:
    """Return the columns of the flattened observation that a signal reads."""
    columns = np.arange(count_numbers(space))
    read: set[int] = set()
    for ref in list_field_references(parse(signal.source)):
        places = [index for index in ref.indices if not isinstance(index, str)]
        if ref.field == "obs" and len(places) == len(ref.indices) <= 1:
            # What lies outside is refused where it is read.
            inside = not places or isinstance(places[0], slice) or -len(columns) <= places[0] < len(columns)
            read.update(np.atleast_1d(columns[tuple(places)]).tolist() if inside else ())
    return frozenset(read)


def _named_signals(env: Any) -> Iterator[Signal]:
    """Yield the parts of an observation that have names: by a table of ours, by the environment, or as entries."""
    space = env.observation_space
    numbers = find_number_table(env)
    if len(numbers) == count_numbers(space):
        for index, (name, unit, meaning) in enumerate(numbers):
            yield Signal(name, (), unit, meaning, f"obs[{index}]")
    elif isinstance(space, spaces.Box):
        yield from _feature_signals(env)
    yield from find_place_table(env)
    yield from _entry_signals(space, "", 0, env)


def _whole_signals(space: Any) -> Iterator[Signal]:
    """Yield the whole observation as a signal, where it is no image."""
    size = count_numbers(space)
    if size and read_image(space) is None:
        shape = getattr(space, "shape", None) or ()
        rows = f", of shape {shape}, flattened row by row" if len(shape) > 1 else ""
        bounds = _describe_values(space) if isinstance(space, spaces.Box) else ""
        meaning = f"the whole observation, {size} numbers, as the policy sees it{rows}{bounds}"
        yield Signal("obs", (size,), "1", meaning, "obs")


def _feature_signals(env: Any) -> Iterator[Signal]:
    """Yield the numbers of an observation (k,), or the columns of one (rows, k), under the environment's own names."""
    shape = env.observation_space.shape
    names, _ = find_feature_names(env, shape)
    for place, name in enumerate(names):
        if len(shape) == 1:
            yield Signal(name, (), "1", f"number {place} of the observation, {name!r}", f"obs[{place}]")
        else:
            meaning = f"{name!r} in each of the observation's {shape[0]} rows"
            yield Signal(name, (shape[0],), "1", meaning, f"obs[{place}::{shape[1]}]")


def _entry_signals(space: Any, prefix: str, place: int, env: Any = None) -> Iterator[Signal]:
    """Yield the entries of a dict or tuple observation, which lie one after the other once flattened.

    An entry that is a dict or a tuple itself is a vector of all its numbers; its own entries follow it.

    Args:
        space: the dict or tuple.
        prefix: names of the dicts that it is in, with a dot behind each.
        place: of its first number.
        env: the environment, which may say what the numbers of an entry are called; None for one that does not.
    """
    for key, entry in _iterate_named_entries(space):
        size, name = count_numbers(entry), f"{prefix}{key}"
        meaning = f"the observation's entry {name!r}{_describe_values(entry)}"
        if isinstance(entry, spaces.Dict | spaces.Tuple):
            if size:
                yield Signal(_join_name(name), (size,), "1", meaning, f"obs[{place}:{place + size}]")
            yield from _entry_signals(entry, f"{name}.", place, env)
        elif size:
            shape = entry.shape if isinstance(entry, spaces.Box) else (size,)
            source = f"obs[{place}:{place + size}]" if shape else f"obs[{place}]"
            features = find_feature_names(env, shape)[0] if env is not None and isinstance(entry, spaces.Box) else ()
            called = f", in the order {', '.join(features)}" if features else ""
            yield Signal(_join_name(name), shape, "1", f"{meaning}{called}", source)
        place += size


def _join_name(path: str) -> str:
    return path.replace(".", "_")


def _describe_values(space: Any) -> str:
    """Say what the values of an entry are, as far as its space tells.

    >>> _describe_values(spaces.Discrete(3)), _describe_values(spaces.Box(0, 1, (2,)))
    (', one-hot of 3', ', between 0 and 1')
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        entries = ((key, count_numbers(entry)) for key, entry in _iterate_named_entries(space))
        return ", flattened: " + ", ".join(f"{key} ({size})" for key, size in entries if size)
    if isinstance(space, spaces.Discrete):
        return f", one-hot of {space.n}"
    if isinstance(space, spaces.MultiDiscrete):
        return f", one-hot of {', '.join(map(str, space.nvec.ravel()))}, one after the other"
    if isinstance(space, spaces.MultiBinary):
        return ", each 0 or 1"
    if isinstance(space, spaces.Box):
        return _describe_bounds(space)
    return ", flattened"


def _describe_bounds(space: spaces.Box) -> str:
    """Say between which bounds the numbers of a box lie; "" where there are none, or too many to say.

    >>> _describe_bounds(spaces.Box(np.array([0.0, -9.0]), np.array([1.0, np.inf]), dtype=np.float64))
    ', between [0, -9] and [1, inf]'
    """
    low, high = space.low.ravel(), space.high.ravel()
    if not low.size or not np.isfinite((low, high)).any():
        return ""
    if (low == low[0]).all() and (high == high[0]).all():
        return f", between {low[0]:g} and {high[0]:g}" if np.isfinite((low[0], high[0])).all() else ""
    if len(low) > MAX_BOUNDS:
        return ""
    lows, highs = (", ".join(f"{bound:g}" for bound in bounds) for bounds in (low, high))
    return f", between [{lows}] and [{highs}]"


def _iterate_named_entries(space: Any) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a dict or a tuple with their names; none of any other space."""
    for key, entry in iterate_entries(space):
        yield f"part_{key}" if isinstance(space, spaces.Tuple) else str(key), entry
