"""Interface of n environments stepped at once, on which trainer, probe and evaluator build.

Every path behind `make` gives the trajectory of the Gymnasium environment itself, to the last bit: the same
observations, rewards, endings and resets for the same seeds and actions. An environment whose episode ends starts
the next one at once, from its own generator, as Gymnasium's auto-reset does.

Signals travel packed: one (n, width) float64 array, whose columns a `SignalLayout` names. So a rollout is stored with
one copy per vector step, and `SignalLayout.unpack_signals` gives the named views of a whole buffer of any leading
shape.

    env = make_envs(spec, n=8, gather=("x_velocity", "torso_height"))
    obs = env.reset(seeds)
    values = env.read_signals().copy()            # the signals before the first step
    step = env.step(actions)                      # step.after: the signals after it
    for i in step.ended: ...                      # rows whose episode ended: final_obs, after and start differ
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Signal
from rewardsmith.worker.training.images import Image, ImagePart

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

MAX_STEPS = 10_000
"""Longest episode of an evaluation in an environment without a time limit."""
UNIT_MARGIN = 10.0
"""How many times as large as in [-1, 1], or as small, the actions may be for a policy that begins near 0."""
NONE_ENDED: Indices = np.empty(0, dtype=np.intp)


class EnvStep(NamedTuple):
    """One vector step of n environments.

    The arrays are the environment's own buffers, valid until its next `step` or `reset`: copy what must last.
    """

    obs: Array
    """(n, obs_dim): what the policy acts on next; where an episode ended, the first of the new one."""
    final_obs: Array
    """(n, obs_dim): the observation after the action, never one after a reset."""
    terminated: Bools
    """(n,): ended by the environment's rule; the value of `final_obs` is 0."""
    truncated: Bools
    """(n,): ended by the time limit alone; the value of `final_obs` is bootstrapped. Never with `terminated`."""
    environment_reward: Array
    """(n,): the environment's own reward; for baselines only, never for a program or a prompt. NaN where it gave no
    number."""
    after: Array
    """(n, width): the gathered signals after the action; where an episode ended, those of its true last state. NaN
    where an entry of `info` was no number."""
    broken: Bools
    """(n,): the physics diverged or an observation was not finite. The episode ends as terminated, and final_obs
    and after are those before the action, environment_reward is 0: all finite, and a divergence earns nothing."""
    ended: Indices
    """Rows whose episode ended in this step (terminated or truncated); empty in most steps."""


@dataclass(frozen=True)
class SignalLayout:
    """Order of signals in the columns of a packed array."""

    signals: tuple[Signal, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signals, in column order."""
        return tuple(signal.name for signal in self.signals)

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(math.prod(signal.shape) for signal in self.signals)

    def map_columns(self) -> dict[str, slice]:
        """Return each signal's columns."""
        ends = np.cumsum([math.prod(signal.shape) for signal in self.signals]).tolist()
        starts = [0, *ends][:-1]
        return {s.name: slice(a, b) for s, a, b in zip(self.signals, starts, ends, strict=True)}

    def unpack_signals(self, packed: Array, names: Iterable[str] | None = None) -> dict[str, Array]:
        """Return the signals as views (..., *shape) of `packed` (..., width); all of them, or those named.

        >>> layout = SignalLayout((Signal("height", (), "m", "", ""), Signal("foot", (3,), "m", "", "")))
        >>> {name: view.shape for name, view in layout.unpack_signals(np.zeros((256, 8, 4))).items()}
        {'height': (256, 8), 'foot': (256, 8, 3)}
        """
        lead = packed.shape[:-1]
        columns, shapes = self.map_columns(), {signal.name: signal.shape for signal in self.signals}
        chosen = self.names if names is None else tuple(names)
        return {name: packed[..., columns[name]].reshape((*lead, *shapes[name])) for name in chosen}


@dataclass(frozen=True)
class ActionSpec:
    """Action space of an environment: a box of a numbers, or one of `n` choices or combinations of choices."""

    low: tuple[float, ...]
    """(a,); a discrete action is one number from 0."""
    high: tuple[float, ...]
    n: int | None = None
    """Number of choices of a discrete space; None for a box."""
    parts: tuple[int, ...] = ()
    """Number of choices in each part of an action that is several choices at once. Their n combinations are numbered
    with the last part changing fastest, as `np.unravel_index` counts; empty for a single choice and for a box."""

    @property
    def width(self) -> int:
        """a, the length of an action vector."""
        return len(self.low)

    @property
    def count(self) -> int:
        """Number of names that an action has: one for each choice, or for each number of a box."""
        return self.width if self.n is None else self.n

    @property
    def is_bounded(self) -> bool:
        """Whether every number has a lower and an upper bound."""
        return all(map(math.isfinite, (*self.low, *self.high)))

    @property
    def is_near_unit(self) -> bool:
        """Whether a Gaussian around 0, of deviation 0.6, reaches a good part of each number's range and stays near it.

        PPO's policies begin so: in a range of 0 to 512 nothing happens, in one of 0.001 all is clipped.
        """
        low, high = np.array(self.low), np.array(self.high)
        is_wide_enough = (high - low >= 1.0 / UNIT_MARGIN) & (high - low <= 2.0 * UNIT_MARGIN)
        return bool((is_wide_enough & (low <= 0.5 * UNIT_MARGIN) & (high >= -0.5 * UNIT_MARGIN)).all())

    def describe(self, names: Sequence[str] = ()) -> str:
        """Say what an action is, as far as the space tells.

        Args:
            names: the environment's own names of the choices or numbers, where it has some.

        >>> ActionSpec((-1.0, -2.0), (1.0, 2.0)).describe()
        '2 numbers, in [-1, 1] and [-2, 2]'
        >>> ActionSpec((0.0,), (5.0,), 6, (2, 3)).describe()
        'one number k, a choice from 0 to 5, of shape (n, 1): 2 choices at once, (k // 3) % 2 and k % 3'
        >>> ActionSpec((0.0,), (1.0,), 2).describe(("left", "right"))
        'one number k, a choice from 0 to 1, of shape (n, 1): 0 left, 1 right'
        """
        text = self._describe_numbers()
        return f"{text}: {', '.join(f'{place} {name}' for place, name in enumerate(names))}" if names else text

    def _describe_numbers(self) -> str:
        if self.n is None:
            bounds = [f"[{low:g}, {high:g}]" for low, high in zip(self.low, self.high, strict=True)]
            each = f"each in {bounds[0]}" if len(set(bounds)) == 1 else f"in {_join_words(bounds)}"
            numbers = f"{self.width} numbers, {each}" if self.width > 1 else f"one number in {bounds[0]}"
            return numbers if self.is_bounded else f"{numbers}: not clipped where there is no bound"
        choice = f"one number k, a choice from 0 to {self.n - 1}, of shape (n, 1)"
        sizes = [math.prod(self.parts[place + 1 :]) for place in range(len(self.parts))]
        digits = [
            f"(k // {size}) % {part}" if size > 1 else f"k % {part}"
            for size, part in zip(sizes, self.parts, strict=True)
        ]
        return f"{choice}: {len(self.parts)} choices at once, {_join_words(digits)}" if digits else choice

    def sample(self, rng: np.random.Generator) -> Array:
        """Return one action (a,), uniform over the space; standard normal where it has no bounds."""
        if self.n is not None:
            return np.array([float(rng.integers(self.n))])
        low, high = np.array(self.low), np.array(self.high)
        bounded = np.isfinite(low) & np.isfinite(high)
        uniform = rng.uniform(np.where(bounded, low, 0.0), np.where(bounded, high, 1.0))
        normal = np.clip(rng.standard_normal(self.width), low, high)
        drawn = np.where(bounded, uniform, normal)
        # The environments take float32: what is drawn is what they see.
        return drawn.astype(np.float32).astype(np.float64)


def _join_words(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def order_by_env(array: Array) -> Array:
    """Return the steps (T, n, ...) of n environments as (n * T, ...), one environment after the other."""
    steps, n, *rest = array.shape
    return np.ascontiguousarray(np.swapaxes(array, 0, 1)).reshape(steps * n, *rest)


def count_step(elapsed: Array, limit: float, terminated: Bools, truncated: Bools) -> Indices:
    """Count a step of every episode, cut those at the time limit, and return the rows whose episodes ended.

    Args:
        elapsed: (n,) steps of each episode so far; counted up in place.
        limit: the time limit in steps.
        terminated: (n,), where the environment's rule ended the episode.
        truncated: (n,), written: where the time limit did, and nothing else.
    """
    elapsed += 1.0
    np.greater_equal(elapsed, limit, out=truncated)
    truncated &= ~terminated
    return (terminated | truncated).nonzero()[0]


class BatchedEnv(Protocol):
    """n environments of one kind, stepped at once."""

    @property
    def n(self) -> int:
        """Number of environments."""
        ...

    @property
    def obs_dim(self) -> int:
        """Length of an observation vector; images and dicts are flattened."""
        ...

    @property
    def image(self) -> Image | None:
        """The image that an observation is: rows of bytes, in the environment's order; None where it is not one."""
        ...

    @property
    def image_parts(self) -> tuple[ImagePart, ...]:
        """Images among the numbers of an observation, whose bytes are numbers from 0 to 255 there."""
        ...

    @property
    def actions(self) -> ActionSpec:
        """The actions that `step` takes."""
        ...

    @property
    def max_episode_steps(self) -> int | None:
        """Time limit in environment steps; None if there is no limit."""
        ...

    @property
    def step_s(self) -> float | None:
        """Simulated time of an environment step in seconds; None where the environment does not say it."""
        ...

    @property
    def faults(self) -> Mapping[str, str]:
        """Gathered entries of `info`, and `environment_reward`, that were no number in some step, and what they were.

        `env_faults.describe_faults` says it in words.
        """
        ...

    @property
    def layout(self) -> SignalLayout:
        """The gathered signals and their columns in `EnvStep.after`, `read_signals` and `read_start_signals`."""
        ...

    def reset(self, seeds: Sequence[int] | None = None) -> Array:
        """Start an episode everywhere and return the observations (n, obs_dim).

        Args:
            seeds: one per environment, for its generator; None continues the generators as they are.
        """
        ...

    def step(self, actions: NDArray[np.floating]) -> EnvStep:
        """Act once everywhere; where an episode ends, the next one starts.

        Args:
            actions: (n, a), inside the bounds (the caller clips); rounded to the space's float32 before use. A
                discrete action is its number from 0.
        """
        ...

    def read_signals(self) -> Array:
        """Return the signals (n, width) at the state that the next step acts on: its `before`.

        Equal to the last `EnvStep.after` but in the rows of `EnvStep.ended`, which hold the new episode's start.
        """
        ...

    def read_start_signals(self) -> Array:
        """Return the signals (n, width) at the start of each running episode.

        Rows of `EnvStep.ended` already hold the new episode's: read it before the step for the transition's own.
        """
        ...

    def close(self) -> None:
        """Release what the environments hold."""
        ...
