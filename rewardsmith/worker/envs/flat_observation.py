"""Flattening of observations: the numbers of every space as one vector, and nothing of the spaces that hold none.

A dict or tuple is flattened part after part, a choice as one-hot, as `gymnasium.spaces.flatten` does. Parts without a
fixed number of numbers (text, graphs, sequences, spaces of a package's own such as MiniGrid's mission) are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rewardsmith.contract.errors import TaskError

NUMBERLESS = (spaces.Text, spaces.Graph, spaces.Sequence)
"""Spaces of Gymnasium whose values are no fixed number of numbers."""
MAX_NUMBERS = 100_000
"""Most numbers of an observation that is a vector; an image has its own policy."""


@dataclass(frozen=True)
class ObservationPart:
    """A part of an observation that is no dict or tuple itself, and its place in the flattened observation."""

    path: tuple[Any, ...]
    """Keys of the dicts and positions in the tuples that lead to it; () for an observation without parts."""
    space: Any
    start: int
    size: int
    """Number of its numbers; 0 for one that is left out."""


class FlatObservation:
    """The flattened form of an observation space."""

    def __init__(self, space: Any) -> None:
        """Lay the parts of an observation space one after the other."""
        self.space = space
        self.parts: tuple[ObservationPart, ...] = tuple(_iterate_parts(space, (), 0))
        self.size = sum(part.size for part in self.parts)

    def check_size(self, env_id: str, is_image: bool) -> None:
        """Make sure that there are numbers, and not too many for a vector.

        Raises:
            TaskError: if there is not one, or the observation is no image and has more than `MAX_NUMBERS`.
        """
        if self.size > MAX_NUMBERS and not is_image:
            raise TaskError(
                f"{env_id!r}: an observation has {self.size:,} numbers, and a policy over a vector takes at most"
                f" {MAX_NUMBERS:,}; a wrapper can observe a picture alone, or leave it out (docs/your-own-package.md)"
            )
        if self.size:
            return
        what = type(self.space).__name__
        raise TaskError(
            f"{env_id!r}: observations of {what} have no fixed length, or no numbers at all; a policy needs some: wrap"
            " the environment in a module of your own that observes a Box (docs/your-own-package.md)"
        )

    def write_row(self, obs: Any, row: NDArray[Any]) -> None:
        """Write the numbers of an observation into a row (size,)."""
        for part in self._numeric_parts:
            value = obs
            for key in part.path:
                value = value[key]
            if isinstance(part.space, spaces.Box):
                numbers: Any = np.asarray(value, dtype=part.space.dtype).ravel()
            else:
                numbers = spaces.flatten(part.space, value)
            row[part.start : part.start + part.size] = numbers

    @cached_property
    def _numeric_parts(self) -> tuple[ObservationPart, ...]:
        return tuple(part for part in self.parts if part.size)


def count_numbers(space: Any) -> int:
    """Return the length of a flattened observation.

    >>> count_numbers(spaces.Dict({"mode": spaces.Discrete(3), "mission": spaces.Text(9)}))
    3
    """
    return FlatObservation(space).size


def iterate_entries(space: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the entries of a dict by key, or those of a tuple by position; none of any other space."""
    if isinstance(space, spaces.Dict):
        yield from space.spaces.items()
    elif isinstance(space, spaces.Tuple):
        yield from enumerate(space.spaces)


def _iterate_parts(space: Any, path: tuple[Any, ...], start: int) -> Iterator[ObservationPart]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for key, entry in iterate_entries(space):
            for part in _iterate_parts(entry, (*path, key), start):
                yield part
                start += part.size
    else:
        yield ObservationPart(path, space, start, _count_leaf(space))


def _count_leaf(space: Any) -> int:
    """Return how many numbers a space without parts has; 0 where that is not fixed, or not said."""
    if isinstance(space, NUMBERLESS):
        return 0
    try:
        return int(spaces.flatdim(space)) if space.is_np_flattenable else 0
    except (NotImplementedError, ValueError):  # a space of a package's own
        return 0
