"""The arguments of a program's function: states and memory, in forms that tell its author of a mistake.

They keep nothing in: the seal does.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import NamedTuple, NoReturn

import numpy as np

from . import wire


class State:
    """The signals of one state, as attributes of `before`, `after` or `start`."""

    def __init__(self, name: str, arrays: Mapping[str, wire.Array], catalogue: tuple[str, ...]) -> None:
        self.__dict__.update(arrays)
        self.__dict__["_state"] = (name, catalogue)

    def __getattr__(self, signal: str) -> NoReturn:
        state, catalogue = self.__dict__["_state"]
        if signal in catalogue:
            raise AttributeError(f"write {state}.{signal} in the text, so that the signal is gathered")
        close = difflib.get_close_matches(signal, catalogue, 3, 0.5) or sorted(catalogue)[:8]
        raise AttributeError(f"{state} has no signal {signal!r}; did you mean: {', '.join(close)}?")

    def __setattr__(self, signal: str, value: object) -> NoReturn:
        raise AttributeError(f"signals are read-only: {self.__dict__['_state'][0]}.{signal} cannot be assigned")


class Memory:
    """The program's memory: only the declared names, each an (n,) array that may be changed or assigned."""

    def __init__(self, arrays: Mapping[str, wire.Array]) -> None:
        self.__dict__.update({name: np.array(array) for name, array in arrays.items()})

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"memory has no {name!r}; declared in MEMORY: {', '.join(vars(self)) or 'nothing'}")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in self.__dict__:
            self.__getattr__(name)
        self.__dict__[name] = value


NO_MEMORY = Memory({})


class Step(NamedTuple):
    """The arguments of one step in time: views of the input arena."""

    values: dict[str, object]
    """The function's arguments, but for `memory` and `terminated`."""
    memory: dict[str, wire.Array]
    """What the walk starts with, (r,) each; read at the first step."""
    ended: wire.Array
    """(r,), not 0 where an episode ended with the step; (0,) for a program without memory."""
    terminated: wire.Array | None
    """(r,), the argument `terminated` as the arena has it, 0 or 1; None where the program does not take it."""


def build_arguments(spec: wire.Spec, inputs: wire.Inputs) -> Step:
    """Return the values of the program's arguments, the arrays that make up its memory, and where episodes ended."""
    groups: dict[str, dict[str, wire.Array]] = {}
    for group, name, array in inputs:
        groups.setdefault(group, {})[name] = array
    values: dict[str, object] = {}
    for name in spec.arguments:
        values[name] = (
            groups["action"]["action"] if name == "action" else State(name, groups.get(name, {}), spec.catalogue)
        )
    ended = groups.get("episode", {}).get("ended", np.empty(0))
    return Step(values, groups.get("memory", {}), ended, groups.get("terminated", {}).get("terminated"))
