"""The signals of an observation; what in a dict tells the own reward or the success by its key is a measure.

A program could read such an entry out of the whole observation too, so `obs` is a measure beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardsmith.contract.errors import TaskError
from rewardsmith.contract.records import Signal
from rewardsmith.contract.signal_source import leaks, parse, refs
from rewardsmith.worker.envs.observation_tables import OBSERVATIONS, PLACES
from rewardsmith.worker.envs.open_env import read_image


def observed(env: Any) -> tuple[list[Signal], list[Signal]]:
    """Return the signals and the measures that an environment's observation gives."""
    signals, measures = list[Signal](), list[Signal]()
    for signal in _signals(env):
        told = _read(signal, env.observation_space) & telling(env.observation_space)
        if not told:
            signals.append(signal)
        elif signal.shape == (1,):  # a flag, as a fitness best reads it: any(success)
            measures.append(replace(signal, shape=(), source=f"obs[{min(told)}]"))
        else:
            measures.append(signal)
    return signals, measures


def check(signals: Iterable[Signal], space: Any) -> None:
    """Make sure that a card's signals read nothing of the observation that no program may know.

    Raises:
        TaskError: if one does.
    """
    told = telling(space)
    for signal in signals if told else ():
        if _read(signal, space) & told:
            raise TaskError(
                f"signal {signal.name!r} reads {signal.source!r}, where the observation tells the own reward or the"
                " success; move it to [measures]"
            )


def telling(space: Any) -> frozenset[int]:
    """Return the columns of the flattened observation whose keys tell what no program may know.

    >>> flag = spaces.Discrete(2)
    >>> telling(spaces.Dict({"achieved_goal": flag, "inner": spaces.Dict({"a": flag, "is_success": flag})}))
    frozenset({4, 5})
    """
    return frozenset(_telling(space, 0)) if space.is_np_flattenable else frozenset()


def _telling(space: Any, place: int) -> Iterator[int]:
    for key, part in _entries(space):
        size = int(spaces.flatdim(part))
        if leaks(key):
            yield from range(place, place + size)
        else:
            yield from _telling(part, place)
        place += size


def _read(signal: Signal, space: Any) -> frozenset[int]:
    """Return the columns of the flattened observation that a signal reads."""
    columns = np.arange(int(spaces.flatdim(space)) if space.is_np_flattenable else 0)
    found: set[int] = set()
    for ref in refs(parse(signal.source)):
        places = [index for index in ref.indices if not isinstance(index, str)]
        if ref.field == "obs" and len(places) == len(ref.indices) <= 1:
            # What lies outside is refused where it is read.
            inside = not places or isinstance(places[0], slice) or -len(columns) <= places[0] < len(columns)
            found.update(np.atleast_1d(columns[tuple(places)]).tolist() if inside else ())
    return frozenset(found)


def _signals(env: Any) -> Iterator[Signal]:
    space = env.observation_space
    size = int(spaces.flatdim(space)) if space.is_np_flattenable else 0
    known = OBSERVATIONS.get(env.spec.name, ())
    for index, (name, unit, meaning) in enumerate(known if len(known) == size else ()):
        yield Signal(name, (), unit, meaning, f"obs[{index}]")
    yield from PLACES.get(env.spec.namespace, ())
    yield from _parts(space)
    if size and read_image(space) is None:
        yield Signal("obs", (size,), "1", f"the whole observation, {size} numbers, as the policy sees it", "obs")


def _parts(space: Any) -> Iterator[Signal]:
    """Yield the entries of a dict or tuple observation, which lie one after the other once flattened."""
    place = 0
    for key, part in _entries(space):
        size = int(spaces.flatdim(part))
        yield Signal(key, (size,), "1", f"the observation's entry {key!r}, flattened", f"obs[{place}:{place + size}]")
        place += size


def _entries(space: Any) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a dict or a tuple with their names; none of any other space."""
    if isinstance(space, spaces.Dict):
        yield from space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        yield from ((f"part_{place}", part) for place, part in enumerate(space.spaces))
