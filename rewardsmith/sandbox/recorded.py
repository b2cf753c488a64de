"""Recorded episodes and transitions on disk.

EpisodeFile       `episodes.npz` of an evaluation: written by the worker, read by the analyzer, the judge and others
TransitionFile    `transitions.npz` of a probe: transitions under random actions, for the trial scoring of a program

These two classes own the layout of the files; no other module names an array in them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.fitness import Rollout
from rewardsmith.contract.records import Limits, Probe
from rewardsmith.contract.reward_program import STATES, Array, RewardProgram, Transitions
from rewardsmith.sandbox import open_process
from rewardsmith.sandbox.array_file import ArrayFile
from rewardsmith.sandbox.recorded_scores import (
    RecordedScores,
    RecordedTransitions,
    build_layout,
    join_episodes,
    score_recording,
)

EPISODES_FILE = "episodes.npz"
"""Name of the file in an evaluation's folder."""
TRANSITIONS_FILE = "transitions.npz"
"""Name of the file in a probe's folder."""


@dataclass(frozen=True)
class EpisodeColumns:
    """An episode of T steps as the columns of a table."""

    columns: Mapping[str, Array]
    """Column name to (1 + T,): the value at the start and after each step. A signal with several components has one
    column for each, "tilt[0]", "tilt[1]" and so on."""
    actions: Array | None
    """(T, a); None where they were not recorded."""


@dataclass(frozen=True)
class EpisodeFile:
    """The recorded episodes of an evaluation, in one .npz; an episode is addressed by its index.

    The arrays are `<index>/<signal>` of shape (T, *shape), the values after each of the episode's T steps,
    `<index>/start/<signal>` (*shape), the value at the start, and `<index>/action` (T, a). How an episode ended stands
    in the record `Evaluation`, not here.
    """

    path: Path

    @classmethod
    def in_folder(cls, folder: Path) -> EpisodeFile:
        """Return the file of an evaluation's folder, whether it exists or not."""
        return cls(folder / EPISODES_FILE)

    def exists(self) -> bool:
        """Return whether the file is there: whether the episodes were recorded and kept."""
        return self.path.is_file()

    def write(self, episodes: Iterable[Rollout]) -> None:
        """Write the episodes, in the order of their indices.

        Raises:
            OSError: if the file cannot be written.
        """
        arrays: dict[str, Array] = {}
        for index, episode in enumerate(episodes):
            arrays[_action_key(index)] = episode.actions
            arrays |= {_step_key(index, name): values for name, values in episode.signals.items()}
            arrays |= {_start_key(index, name): value for name, value in episode.start.items()}
        np.savez(self.path, allow_pickle=False, **arrays)

    def count_episodes(self) -> int:
        """Return the number of episodes.

        Raises:
            OSError: if the file cannot be read.
        """
        with ArrayFile(self.path) as arrays:
            return sum(key.endswith("/action") and key.count("/") == 1 for key in arrays)

    def read_rollout(self, index: int, terminated: bool) -> Rollout:
        """Read one episode as a fitness expression takes it.

        Args:
            index: of the episode.
            terminated: whether it ended by the environment's rule; from the record of the evaluation.

        Raises:
            OSError: if the file cannot be read.
            KeyError: if the file has no such episode.
        """
        with ArrayFile(self.path) as arrays:
            prefix = _start_key(index, "")
            names = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
            return _read_rollout(arrays, index, names, terminated)

    def read_columns(
        self, indices: Sequence[int], names: Sequence[str], max_components: int | None = None
    ) -> list[EpisodeColumns]:
        """Read signals of episodes as the columns of tables.

        Args:
            indices: of the episodes, in any order; the result has them in this order.
            names: the signals to read; those that were not recorded are left out.
            max_components: how many components of a signal to read at most; None reads all.

        Raises:
            OSError: if the file cannot be read.
        """
        with ArrayFile(self.path) as arrays:
            return [_read_columns(arrays, index, names, max_components) for index in indices]

    def read_ends(self, indices: Sequence[int], names: Sequence[str], max_components: int) -> list[dict[str, float]]:
        """Read the last values of signals; faster than `read_columns`, which has them as the last row.

        Args:
            indices: of the episodes, in any order; the result has them in this order.
            names: the signals to read; those that were not recorded are left out.
            max_components: how many components of a signal to read at most.

        Raises:
            OSError: if the file cannot be read.
        """
        with ArrayFile(self.path) as arrays:
            return [_read_ends(arrays, index, names, max_components) for index in indices]

    def read_transitions(
        self, program: RewardProgram, indices: Sequence[int], terminated: Sequence[bool]
    ) -> RecordedTransitions | None:
        """Read the transitions of episodes as a program takes them.

        Args:
            program: says which signals are needed.
            indices: of the episodes, in any order; the result has them in this order.
            terminated: whether each of these episodes ended by the environment's rule; from the evaluation's record.

        Returns:
            None where a signal that the program names was not recorded.

        Raises:
            OSError: if the file cannot be read.
        """
        with ArrayFile(self.path) as arrays:
            for index in indices:
                needed = (_action_key(index), *(_step_key(index, name) for name in program.signals))
                if not all(key in arrays for key in needed):
                    return None
            ends = zip(indices, terminated, strict=True)
            rollouts = (_read_rollout(arrays, index, program.signals, is_terminated) for index, is_terminated in ends)
            return join_episodes([Transitions.of_episode(program, rollout) for rollout in rollouts])

    def score_episodes(
        self,
        program: RewardProgram,
        indices: Sequence[int],
        terminated: Sequence[bool],
        probe: Probe,
        limits: Limits,
    ) -> list[RecordedScores] | None:
        """Score episodes with a program, in a sealed process of their own.

        Args:
            program: what scores.
            indices: of the episodes.
            terminated: whether each of these episodes ended by the environment's rule; from the evaluation's record.
            probe: what the environment offers.
            limits: of the reward process.

        Returns:
            The scores of each episode in the order of `indices`; None where a signal that the program names was not
            recorded, or the program fails.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
            OSError: if the file cannot be read.
        """
        recording = self.read_transitions(program, indices, terminated)
        if recording is None:
            return None
        try:
            with open_process(program, build_layout(probe), limits) as process:
                scores = score_recording(process, recording)
        except RewardFailed:
            return None
        return [scores.select_rows(rows) for rows in recording.in_order]


@dataclass(frozen=True)
class TransitionFile:
    """The transitions that a probe recorded under random actions, in one .npz.

    The arrays are `before/<signal>`, `after/<signal>` and `start/<signal>` of shape (n, *shape), `action` (n, a),
    `step` (n,), the transition's index in its episode, and `terminated` (n,), 1 where the episode ended with the
    transition by the environment's rule. The transitions of an episode lie together, in time order.
    """

    path: Path

    @classmethod
    def in_folder(cls, folder: Path) -> TransitionFile:
        """Return the file of a probe's folder, whether it exists or not."""
        return cls(folder / TRANSITIONS_FILE)

    def write(self, transitions: Transitions, step: Array, terminated: Array | None = None) -> None:
        """Write n transitions.

        Args:
            transitions: action, and the signals before, after and at the episode's start.
            step: (n,), the transition's index in its episode.
            terminated: (n,), 1 where the episode ended by the environment's rule; None where that is not known.

        Raises:
            OSError: if the file cannot be written.
        """
        arrays = {"action": transitions.action, "step": step}
        if terminated is not None:
            arrays["terminated"] = terminated
        for state in STATES:
            arrays |= {f"{state}/{name}": values for name, values in getattr(transitions, state).items()}
        np.savez(self.path, allow_pickle=False, **arrays)

    def read(self, program: RewardProgram) -> RecordedTransitions:
        """Read what a program needs; one long episode counts as two, so that there are some side by side.

        Raises:
            OSError: if the file cannot be read.
            KeyError: if a signal that the program names was not recorded.
        """
        with ArrayFile(self.path) as arrays:
            states = {state: {name: arrays[f"{state}/{name}"] for name in program.reads[state]} for state in STATES}
            terminated = _read_terminated(arrays) != 0.0 if "terminated" in program.arguments else None
            transitions = Transitions(arrays["action"], **states, terminated=terminated)
            starts = np.flatnonzero(arrays["step"] == 0)
        cuts = starts[starts > 0] if len(starts) > 1 else [transitions.n // 2]
        episodes = np.split(np.arange(transitions.n), cuts)
        return RecordedTransitions(transitions, tuple(sorted(episodes, key=len, reverse=True)))

    def read_signals(self, state: str, names: Iterable[str]) -> dict[str, Array]:
        """Read signals of all transitions.

        Args:
            state: "before", "after" or "start".
            names: of the signals.

        Returns:
            Signal name to (n, *shape).

        Raises:
            OSError: if the file cannot be read.
            KeyError: if a signal was not recorded.
        """
        with ArrayFile(self.path) as arrays:
            return {name: arrays[f"{state}/{name}"] for name in names}

    def read_action(self) -> Array:
        """Read the actions of all transitions, (n, a).

        Raises:
            OSError: if the file cannot be read.
        """
        with ArrayFile(self.path) as arrays:
            return _as_float(arrays["action"])

    def read_terminated(self) -> Array:
        """Read 1 for each transition with which an episode ended by the environment's rule, (n,).

        A file of an older version does not tell; there every episode that another follows counts as ended.

        Raises:
            OSError: if the file cannot be read.
        """
        with ArrayFile(self.path) as arrays:
            return _read_terminated(arrays)


def _read_columns(arrays: ArrayFile, index: int, names: Sequence[str], max_components: int | None) -> EpisodeColumns:
    columns: dict[str, Array] = {}
    for name in names:
        if _step_key(index, name) not in arrays or _start_key(index, name) not in arrays:
            continue
        start, steps = _as_float(arrays[_start_key(index, name)]), _as_float(arrays[_step_key(index, name)])
        values = np.concatenate([start[None], steps])
        if values.ndim == 1:
            columns[name] = values
            continue

        components = values.reshape(len(values), -1).T[:max_components]
        columns |= {f"{name}[{number}]": component for number, component in enumerate(components)}
    key = _action_key(index)
    return EpisodeColumns(columns, np.asarray(arrays[key]) if key in arrays else None)


def _read_ends(arrays: ArrayFile, index: int, names: Sequence[str], max_components: int) -> dict[str, float]:
    ends: dict[str, float] = {}
    for name in names:
        steps = arrays[_step_key(index, name)] if _step_key(index, name) in arrays else np.empty(0)
        if not len(steps):
            continue
        last = np.atleast_1d(steps[-1]).ravel()[:max_components].tolist()
        is_scalar = steps.ndim == 1
        ends |= {name: last[0]} if is_scalar else {f"{name}[{number}]": value for number, value in enumerate(last)}
    return ends


def _read_rollout(arrays: ArrayFile, index: int, names: Iterable[str], terminated: bool) -> Rollout:
    signals = {name: _as_float(arrays[_step_key(index, name)]) for name in names}
    start = {name: _as_float(arrays[_start_key(index, name)]) for name in signals}
    actions = _as_float(arrays[_action_key(index)])
    return Rollout(signals, start, actions.reshape(len(actions), -1), terminated)


def _action_key(index: int) -> str:
    return f"{index}/action"


def _step_key(index: int, signal: str) -> str:
    return f"{index}/{signal}"


def _start_key(index: int, signal: str) -> str:
    return f"{index}/start/{signal}"


def _read_terminated(arrays: ArrayFile) -> Array:
    if "terminated" in arrays:
        return _as_float(arrays["terminated"])
    return _as_float(np.append(arrays["step"][1:] == 0, False))


def _as_float(array: object) -> Array:
    return np.asarray(array, dtype=np.float64)
