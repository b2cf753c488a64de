"""The signals that an environment offers: those of its card first, then those read from the environment itself.

A MuJoCo model names its bodies, joints, sites, sensors and actuators. Of other environments there are the observation
(with names where the family is known, or by the keys of a dict) and the numbers that `info` reports. What the
environment pays or counts as success is never a signal.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from rewardsmith.fitness import RESERVED
from rewardsmith.records import EnvSpec, Signal
from rewardsmith.worker.envs.known import OBSERVATIONS
from rewardsmith.worker.envs.mujoco_catalogue import model_signals
from rewardsmith.worker.envs.mujoco_env import rules_for
from rewardsmith.worker.envs.mujoco_fields import model_of
from rewardsmith.worker.envs.opening import open_env

_TELLS = re.compile(r"reward|(^|_)rew(_|$)|return|score|cost|penalt|bonus|surviv|success|solved", re.IGNORECASE)
"""Keys of `info` that carry the environment's own reward, a part of it, or a verdict on the task."""


def catalogue(spec: EnvSpec) -> tuple[Signal, ...]:
    """Return the card's signals, then the derived ones whose names and sources are not taken.

    Raises:
        TaskError: if the environment cannot be built.
    """
    env = open_env(spec)
    try:
        derived = [*_observation_signals(env), *model_signals(model_of(env))]
        if rules_for(env) is None:
            derived += _info_signals(env)
    finally:
        env.close()
    names = {signal.name for signal in spec.signals}
    sources = {signal.source for signal in spec.signals}
    return (*spec.signals, *_distinct((s for s in derived if s.source not in sources), names))


def leaks(key: str) -> bool:
    """Tell whether an entry of `info` may tell a program the environment's own reward or verdict.

    >>> [key for key in ("reward_ctrl", "is_success", "x_velocity", "distance_penalty") if not leaks(key)]
    ['x_velocity']
    """
    return bool(_TELLS.search(key))


def identifier(text: str) -> str:
    """Return the nearest name that a program can use.

    >>> identifier("robot0:slide-1"), identifier("2nd"), identifier("class")
    ('robot0_slide_1', '_2nd', 'class_')
    """
    name = re.sub(r"\W+", "_", text) or "_"
    name = f"_{name}" if name[0].isdigit() else name
    return f"{name}_" if keyword.iskeyword(name) or name in RESERVED else name


def _distinct(signals: Iterable[Signal], taken: set[str]) -> Iterator[Signal]:
    """Yield the signals under valid names that do not repeat."""
    for signal in signals:
        base = name = identifier(signal.name)
        repeats = 1
        while name in taken:
            repeats += 1
            name = f"{base}_{repeats}"
        taken.add(name)
        yield Signal(name, signal.shape, signal.unit, signal.meaning, signal.source)


def _observation_signals(env: Any) -> Iterator[Signal]:
    space = env.observation_space
    size = int(spaces.flatdim(space)) if space.is_np_flattenable else 0
    known = OBSERVATIONS.get(env.spec.name, ())
    for index, (name, unit, meaning) in enumerate(known if len(known) == size else ()):
        yield Signal(name, (), unit, meaning, f"obs[{index}]")
    if isinstance(space, spaces.Dict):
        yield from _parts(space)
    if size:
        yield Signal("obs", (size,), "1", f"the whole observation, {size} numbers, as the policy sees it", "obs")


def _parts(space: Any) -> Iterator[Signal]:
    """Yield the entries of a dict observation, which lie one after the other once flattened."""
    place = 0
    for key, part in space.spaces.items():
        size = int(spaces.flatdim(part))
        yield Signal(key, (size,), "1", f"the observation's entry {key!r}, flattened", f"obs[{place}:{place + size}]")
        place += size


def _info_signals(env: Any) -> Iterator[Signal]:
    """Yield the numbers that `info` reports in the first steps."""
    env.action_space.seed(0)
    _, found = env.reset(seed=0)
    found = dict(found)
    for _ in range(3):
        *_, terminated, truncated, info = env.step(env.action_space.sample())
        found.update(info)
        if terminated or truncated:
            env.reset()
    for key, value in found.items():
        if isinstance(key, str) and not leaks(key) and _is_numeric(value):
            meaning = f"reported by the environment as info[{key!r}]; 0 until it first reports it"
            yield Signal(key, np.shape(value), "1", meaning, f'info["{key}"]')


def _is_numeric(value: Any) -> bool:
    numeric = isinstance(value, bool | int | float | np.number | np.bool_ | np.ndarray)
    return numeric and np.asarray(value).dtype.kind in "bif"
