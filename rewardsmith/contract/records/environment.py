"""Records of an environment: its signals, the entries of its `info`, how it is built; and the metrics of a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rewardsmith.contract.records.types import JsonValue

LEARNED_FIELD = "learned"
"""Field in the `source` of a signal that no simulator has: learned[NAME]."""


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
    """Place where the worker reads it, e.g. "qpos[0]", "obs[3]", "xpos[torso]". Opaque outside `worker/envs`."""

    @property
    def is_learned(self) -> bool:
        """Whether a provider computes it, not the simulator; see `LearnedSignal`."""
        return self.source.startswith(f"{LEARNED_FIELD}[")


@dataclass(frozen=True)
class LearnedSignal:
    """A signal that a provider in the worker computes beside the simulator: once per rollout, in one batch."""

    name: str
    """A valid Python identifier, unlike that of every other signal."""
    provider: str
    """One of rewardsmith's own, such as "image_text", or "module:Class" of a user's."""
    meaning: str
    """One line for a reader who has never seen the environment."""
    unit: str = "1"
    shape: tuple[int, ...] = ()
    """Shape of one transition's value."""
    options: dict[str, JsonValue] = field(default_factory=dict)
    """Options of the provider; checked where a user writes them."""

    def describe_signal(self) -> Signal:
        """Return the signal as programs and fitness expressions see it."""
        return Signal(self.name, self.shape, self.unit, self.meaning, f"{LEARNED_FIELD}[{self.name}]")


@dataclass(frozen=True)
class SignalFacts:
    """Figures of a signal under random actions; the tuples have one entry per component."""

    start: tuple[float, ...]
    """Mean at an episode's start."""
    low: tuple[float, ...]
    """Least value after an action."""
    mean: tuple[float, ...]
    high: tuple[float, ...]
    """Greatest value after an action."""
    constant: tuple[int, ...] = ()
    """Components that never change."""
    repeats: bool = False
    """Every component that changes is one of an earlier signal's too, or of the action."""
    start_low: tuple[float, ...] = ()
    """Least value at an episode's start; empty where it is not known."""
    start_high: tuple[float, ...] = ()
    """Greatest value at an episode's start."""


@dataclass(frozen=True)
class Metric:
    """An auxiliary metric of a task: reported to people, never used for selection, unknown to programs."""

    name: str
    """A valid Python identifier."""
    expression: str
    """Over one evaluated episode, in the language of the fitness."""
    meaning: str = ""
    """Meaning of its mean over episodes, in one line."""
    in_prompts: bool = False
    """Whether a designer's prompt names it and gives its value, as the card says."""
    better: Literal["higher", "lower"] | None = None
    """The direction in which it agrees with the task, where the card says so: a fitness that falls apart from it
    raises a notice to the user."""


@dataclass(frozen=True)
class InfoEntry:
    """An entry of an environment's `info`, and how it is used."""

    key: str
    shape: tuple[int, ...]
    """Shape of its value; () for a scalar and for what is no number."""
    decision: Literal["signal", "privileged", "left out"]
    """privileged: only a fitness expression may name it."""
    reason: str


@dataclass(frozen=True)
class EnvWrapper:
    """A wrapper of an environment: a class, or a function that returns one, with its keyword arguments."""

    name: str
    """"module:Class"; its first argument is the environment."""
    kwargs: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class EnvSpec:
    """An environment as a worker builds it."""

    env_id: str
    kwargs: dict[str, JsonValue] = field(default_factory=dict)
    """Keyword arguments for `gymnasium.make`; lists and tables may be nested."""
    signals: tuple[Signal, ...] = ()
    """The task's named signals, the card's first. Empty: the worker derives a catalogue."""
    max_episode_steps: int | None = None
    """Time limit in environment steps; None keeps the registered one."""
    privileged_signals: tuple[Signal, ...] = ()
    """Signals that only a fitness expression or a metric may name, such as a success flag; hidden from programs and
    prompts."""
    pass_env: tuple[str, ...] = ()
    """Names of environment variables that the environment's process gets besides those that every worker has."""
    imports: tuple[str, ...] = ()
    """Modules that register the id, imported before it is made; a function of one, "module:function", is called."""
    wrappers: tuple[EnvWrapper, ...] = ()
    """Around what `gymnasium.make` gives, the innermost first."""
    learned_signals: tuple[LearnedSignal, ...] = ()
    """Signals that providers compute beside the simulator; in a catalogue they follow the card's."""

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that making it imports: of its id, of `imports`, wrappers and users' providers; each once."""
        own = [self.env_id.rpartition(":")[0]] if ":" in self.env_id else []
        providers = [signal.provider for signal in self.learned_signals if ":" in signal.provider]
        named = (*self.imports, *(wrapper.name for wrapper in self.wrappers), *providers)
        return tuple(dict.fromkeys((*own, *(name.partition(":")[0] for name in named))))

    def list_learned(self) -> tuple[Signal, ...]:
        """Return the learned signals as programs and fitness expressions see them."""
        return tuple(signal.describe_signal() for signal in self.learned_signals)
