"""The signals that an environment offers: those of its card first, then those read from the environment itself.

A MuJoCo model names its bodies, joints, sites, sensors and actuators. Of other environments there are the observation
(with names where the family is known, or by the keys of a dict) and the numbers that `info` reports. What the
environment pays or counts as success is never a signal, be it reported in `info` or in the observation: it is a
measure, which only a fitness expression may name.

survey      signals, measures and what is done with each entry of `info`
catalogue   the signals alone
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rewardsmith.contract.fitness.expression import RESERVED
from rewardsmith.contract.records import EnvSpec, InfoEntry, Signal
from rewardsmith.contract.signal_source import leaks, parse
from rewardsmith.worker.envs import observation_signals
from rewardsmith.worker.envs.mujoco_catalogue import model_signals
from rewardsmith.worker.envs.mujoco_env import rules_for
from rewardsmith.worker.envs.mujoco_fields import model_of
from rewardsmith.worker.envs.open_env import first_info, open_env

OWN_REWARD = Signal("own_reward", (), "1", "the environment's own reward of the step; 0 at the start", "own_reward")


@dataclass(frozen=True)
class Survey:
    """What an environment offers."""

    signals: tuple[Signal, ...]
    """For programs, prompts and fitness: the card's first."""
    measures: tuple[Signal, ...]
    """For fitness alone: the card's first."""
    info: tuple[InfoEntry, ...]
    """What was found in `info`, in its order."""
    observation_space: str
    """As Gymnasium writes it."""
    action_space: str


def survey(spec: EnvSpec) -> Survey:
    """Return the card's signals and measures, then the derived ones whose names and sources are not taken.

    Raises:
        TaskError: if the environment cannot be built, or a source of the card is none, or reads what no program may.
    """
    env = open_env(spec)
    try:
        observation_signals.check(spec.signals, env.observation_space)
        seen, withheld = observation_signals.observed(env)
        derived = [*seen, *model_signals(model_of(env))]
        batched = rules_for(env) is not None
        entries = info_entries(first_info(env), batched)
        spaces_text = str(env.observation_space), str(env.action_space)
    finally:
        env.close()
    derived += [_info_signal(entry) for entry in entries if entry.decision == "signal"]
    names = {signal.name for signal in (*spec.signals, *spec.measures)}
    sources = {_read(signal) for signal in (*spec.signals, *spec.measures)}
    signals = (*spec.signals, *_distinct((s for s in derived if _read(s) not in sources), names))
    told = [OWN_REWARD, *withheld, *(_info_signal(entry) for entry in entries if entry.decision == "measure")]
    measures = (*spec.measures, *_distinct((s for s in told if _read(s) not in sources), names))
    return Survey(signals, measures, entries, *spaces_text)


def _read(signal: Signal) -> str:
    """Return what a signal reads, however its source is spelt."""
    return repr(parse(signal.source))


def catalogue(spec: EnvSpec) -> tuple[Signal, ...]:
    """Return the signals of an environment, the card's first; see `survey`."""
    return survey(spec).signals


def info_entries(info: Mapping[Any, Any], batched: bool = False) -> tuple[InfoEntry, ...]:
    """Decide about each entry of `info`.

    Args:
        info: one or several steps' entries.
        batched: the environment is stepped by rules over batched physics, which report no `info`.

    >>> [entry.decision for entry in info_entries({"x": 1.0, "is_success": True, "name": "a", "reward_x": 0.5})]
    ['signal', 'measure', 'left out', 'measure']
    """
    return tuple(_decided(key, value, batched) for key, value in info.items())


def _decided(key: Any, value: Any, batched: bool) -> InfoEntry:
    shape = np.shape(value) if _is_numeric(value) else ()
    if not isinstance(key, str) or not _is_numeric(value):
        return InfoEntry(str(key), shape, "left out", f"no number: {type(value).__name__}")
    if key.startswith("timestep."):
        return InfoEntry(key, shape, "left out", "bookkeeping of dm_control's interface, no quantity of the task")
    if leaks(key):
        return InfoEntry(key, shape, "measure", "tells the own reward or the success: only a fitness may name it")
    if batched:
        return InfoEntry(key, shape, "left out", "the simulation's own signals say it, and are gathered faster")
    return InfoEntry(key, shape, "signal", "a number that tells no reward")


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
        yield replace(signal, name=name)


def _info_signal(entry: InfoEntry) -> Signal:
    meaning = f"reported by the environment as info[{entry.key!r}]; 0 until an episode first reports it"
    return Signal(entry.key, entry.shape, "1", meaning, f'info["{entry.key}"]')


def _is_numeric(value: Any) -> bool:
    numeric = isinstance(value, bool | int | float | np.number | np.bool_ | np.ndarray)
    return numeric and np.asarray(value).dtype.kind in "bif"
