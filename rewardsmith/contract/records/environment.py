"""What an environment offers: signals, entries of `info`, how it is made; and what is measured beside the fitness."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rewardsmith.contract.records.types import Scalar


@dataclass(frozen=True)
class Signal:
    """A named quantity of the simulation, as a reward program or a fitness expression sees it."""

    name: str
    """A valid Python identifier."""
    shape: tuple[int, ...]
    """Shape of one transition's value; () is a scalar. A batch of n has shape (n, *shape)."""
    unit: str
    """SI unit as text: "m", "rad/s", "1" for a pure number."""
    meaning: str
    """One line for a reader who has never seen the environment."""
    source: str
    """Where the worker reads it, e.g. "qpos[0]", "obs[3]", "xpos[torso]". Opaque outside `worker/envs`."""


@dataclass(frozen=True)
class Figure:
    """What a task's card wants measured beside the fitness: told to people, never selected by, unknown to programs."""

    name: str
    """A valid Python identifier."""
    expression: str
    """Over one evaluated episode, in the language of the fitness."""
    meaning: str = ""
    """What its mean over episodes is, in one line."""


@dataclass(frozen=True)
class InfoEntry:
    """An entry of an environment's `info`, and what is done with it."""

    key: str
    shape: tuple[int, ...]
    """Of its value; () for a scalar and for what is no number."""
    decision: Literal["signal", "measure", "left out"]
    """measure: only a fitness expression may name it."""
    reason: str


@dataclass(frozen=True)
class EnvSpec:
    """An environment as a worker builds it."""

    env_id: str
    kwargs: dict[str, Scalar] = field(default_factory=dict)
    """Keyword arguments for `gymnasium.make`."""
    signals: tuple[Signal, ...] = ()
    """The task's named signals, the card's first. Empty: the worker derives a catalogue."""
    max_episode_steps: int | None = None
    """Time limit in environment steps; None keeps the registered one."""
    measures: tuple[Signal, ...] = ()
    """What only a fitness expression may name, such as a success flag; never given to a program or told a designer."""
