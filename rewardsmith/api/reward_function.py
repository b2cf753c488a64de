"""A reward file as a Python function; its program runs in the sealed reward process, never in the caller's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rewardsmith.contract import reward_files
from rewardsmith.contract.errors import ProgramError
from rewardsmith.contract.records import Limits
from rewardsmith.contract.reward_program import STATES, Array, RewardProgram, Scores, Transitions


class RewardFunction:
    """A reward program that can be called; a context manager that ends its process."""

    def __init__(self, program: RewardProgram, limits: Limits | None = None) -> None:
        """Take a program; its process starts with the first call.

        Args:
            program: the program.
            limits: the sandbox's backend, and what the process may use; None takes the defaults.
        """
        self.program = program
        self._limits = limits or Limits()
        self._process: Any = None
        self._shapes: Any = None

    def __repr__(self) -> str:
        """Return one line: the arguments, the signals and the weights."""
        arguments = ", ".join(self.program.arguments)
        return (
            f"<reward({arguments}) of {', '.join(self.program.signals) or 'no signals'}, weights {dict(self.weights)}>"
        )

    @property
    def source(self) -> str:
        """The program's text."""
        return self.program.source

    @property
    def weights(self) -> Mapping[str, float]:
        """Term name to weight; a term that is not listed counts 1."""
        return self.program.weights

    @property
    def signals(self) -> tuple[str, ...]:
        """Every signal that the program names, sorted."""
        return self.program.signals

    def __call__(self, before: Any = None, action: Any = None, after: Any = None, **others: Any) -> Array:
        """Return the total reward of n transitions, (n,); see `score`."""
        return self.score(before, action, after, **others).total

    def score(
        self,
        before: Any = None,
        action: Any = None,
        after: Any = None,
        *,
        start: Any = None,
        terminated: Any = None,
        memory: Mapping[str, Any] | None = None,
    ) -> Scores:
        """Return the total and the terms of n transitions; what the program does not take may be left out.

        Args:
            before: the signals before the action: a mapping of names to arrays (n, *shape), or an object with them as
                attributes. One transition may be given without its axis, as plain numbers.
            action: (n, a), or (a,) for one transition.
            after: the signals after the action, like `before`.
            start: the signals at the episode's first state, like `before`.
            terminated: (n,) of bool: whether the environment ended the episode; None stands for never.
            memory: memory name to (n,), from the scores of the step before; None stands for an episode's start.

        Raises:
            ProgramError: if a signal that the program names is missing, or the arrays do not fit together.
            RewardFailed: if the program misbehaves; that ends its process.
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
        """
        transitions = self._build_transitions({"before": before, "after": after, "start": start}, action, terminated)
        process = self._open_process(transitions)
        given = (
            None
            if memory is None
            else {name: np.atleast_1d(np.asarray(value, np.float64)) for name, value in memory.items()}
        )
        scores: Scores = process.score(transitions, given)
        return scores

    def close(self) -> None:
        """End the process; a later call starts another."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> RewardFunction:
        """Return this function."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()

    def __del__(self) -> None:
        """End the process with its function."""
        self.close()

    def _open_process(self, transitions: Transitions) -> Any:
        """Return the process for transitions of this shape; one of another shape is replaced."""
        from rewardsmith.sandbox import ProgramLayout, open_process

        signals = {name: array.shape[1:] for state in STATES for name, array in getattr(transitions, state).items()}
        shapes = (signals, transitions.action.shape[1:])
        if self._process is None or shapes != self._shapes:
            self.close()
            self._process = open_process(self.program, ProgramLayout(signals, shapes[1]), self._limits)
            self._shapes = shapes
        return self._process

    def _build_transitions(self, states: Mapping[str, Any], action: Any, terminated: Any) -> Transitions:
        """Return the transitions with what the program reads of them.

        Raises:
            ProgramError: if something that it reads is missing, or the arrays have no common number of transitions.
        """
        # The signals that the program names, each as (n, *shape).
        arrays = {
            state: {name: _read_signal(states[state], state, name) for name in self.program.reads.get(state, ())}
            for state in STATES
        }
        actions = np.zeros((0, 1)) if action is None else np.asarray(action, np.float64)
        if action is None and "action" in self.program.arguments:
            raise ProgramError("the program takes action, and none was given: an array (n, a)")

        # One transition may come without its axis.
        first = [array for by_name in arrays.values() for array in by_name.values()]
        is_single = actions.ndim < 2 if action is not None else all(array.ndim == 0 for array in first)
        if is_single:
            arrays = {
                state: {name: array[None] for name, array in by_name.items()} for state, by_name in arrays.items()
            }
            actions = np.atleast_1d(actions)[None]

        # All have the same number of transitions.
        lengths = {len(array) for by_name in arrays.values() for array in by_name.values()}
        lengths |= {len(actions)} if action is not None else set()
        if len(lengths) != 1:
            raise ProgramError(f"the arrays differ in their number of transitions: {sorted(lengths)}")
        n = lengths.pop()
        if action is None:
            actions = np.zeros((n, 1))
        ends = np.zeros(n, np.bool_) if terminated is None else np.broadcast_to(np.asarray(terminated, np.bool_), (n,))
        return Transitions(actions, **arrays, terminated=ends if "terminated" in self.program.arguments else None)


def load_reward(path: Path | str) -> RewardFunction:
    """Read a reward program from a file, as a function of transitions that runs it in the sandbox.

    Args:
        path: a reward file, or one that `rewardsmith export` wrote.

    Raises:
        ProgramError: if the file cannot be read as text, or its text is no program.
    """
    return RewardFunction(reward_files.load_reward(path))


def _read_signal(state: Any, name_of_state: str, name: str) -> Array:
    """Return a signal of a state as an array.

    Raises:
        ProgramError: if the state does not have it.
    """
    missing = f"the program reads {name_of_state}.{name}, and it was not given"
    if isinstance(state, Mapping):
        if name not in state:
            raise ProgramError(f"{missing}; {name_of_state} has: {', '.join(map(str, state)) or 'nothing'}")
        return np.asarray(state[name], np.float64)
    if not hasattr(state, name):
        raise ProgramError(f"{missing}; give {name_of_state}={{{name!r}: array}}")
    return np.asarray(getattr(state, name), np.float64)
