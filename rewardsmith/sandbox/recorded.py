"""Recorded transitions, and what a reward program gives for them in the sealed reward process.

A program without memory scores a recording in one call. One with memory is walked through it as a training would:
the episodes side by side, one call per step in time.

probe       the transitions that the probe recorded under random actions
episodes    those of an evaluation's recorded episodes
score       a recording scored by a running process
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Probe
from rewardsmith.contract.reward_program import STATES, Array, RewardProgram, Transitions
from rewardsmith.sandbox import Layout, RewardProcess

FILE = "episodes.npz"
"""Where an evaluation keeps its episodes."""
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Recording:
    """The recorded transitions that a program needs."""

    transitions: Transitions
    episodes: tuple[Indices, ...]
    """The transitions of each episode, in time order; the longest first."""

    def part(self, *episodes: Indices) -> Recording:
        """Return the transitions of these index lists alone, one list after the other, each as an episode."""
        chosen = np.concatenate(episodes)
        ends = np.cumsum([len(episode) for episode in episodes])
        return Recording(_take(self.transitions, chosen), tuple(np.split(np.arange(len(chosen)), ends[:-1])))

    @property
    def in_order(self) -> list[Indices]:
        """The transitions of each episode, the episodes in the order in which they were recorded."""
        return sorted(self.episodes, key=lambda episode: int(episode[0]))


@dataclass(frozen=True)
class Outcome:
    """What a program gave for n transitions."""

    total: Array
    """(n,)"""
    terms: Mapping[str, Array]
    """Term name to (n,); NaN where a term was not returned."""

    def at(self, chosen: Indices) -> Outcome:
        """Return what it gave for the chosen transitions."""
        return Outcome(self.total[chosen], {name: values[chosen] for name, values in self.terms.items()})


def probe(path: Path, program: RewardProgram) -> Recording:
    """Read what a program needs of a recording; one long episode counts as two, so that there are some side by side.

    Raises:
        OSError: if the file cannot be read.
    """
    with np.load(path, allow_pickle=False) as arrays:
        states = {state: {name: arrays[f"{state}/{name}"] for name in program.reads[state]} for state in STATES}
        transitions = Transitions(arrays["action"], **states)
        starts = np.flatnonzero(arrays["step"] == 0)
    cuts = starts[starts > 0] if len(starts) > 1 else [transitions.n // 2]
    episodes = np.split(np.arange(transitions.n), cuts)
    return Recording(transitions, tuple(sorted(episodes, key=len, reverse=True)))


def terminated(path: Path) -> Array:
    """Return 1 for each recorded transition with which an episode ended by the environment's rule, (n,).

    A recording by an older version does not tell; there every episode that another follows counts as ended.

    Raises:
        OSError: if the file cannot be read.
    """
    with np.load(path, allow_pickle=False) as arrays:
        known = arrays["terminated"] if "terminated" in arrays else np.append(arrays["step"][1:] == 0, False)
        return np.asarray(known, dtype=np.float64)


def episodes(path: Path, program: RewardProgram, chosen: Sequence[int]) -> Recording | None:
    """Read episodes of an evaluation; None where a signal that the program names was not recorded.

    Args:
        path: the .npz, whose layout stands at `Evaluation`.
        program: says which signals are needed.
        chosen: indices of the episodes, in any order; the recording has them in this order.

    Raises:
        OSError: if the file cannot be read.
    """
    with np.load(path, allow_pickle=False) as arrays:
        if not all(f"{index}/{name}" in arrays for index in chosen for name in ("action", *program.signals)):
            return None
        parts = [_episode(arrays, index, program) for index in chosen]
    return join(parts)


def _episode(arrays: np.lib.npyio.NpzFile, index: int, program: RewardProgram) -> Transitions:
    action = np.asarray(arrays[f"{index}/action"], dtype=np.float64)
    states: dict[str, dict[str, Array]] = {state: {} for state in STATES}
    for name in program.signals:
        after = np.asarray(arrays[f"{index}/{name}"], dtype=np.float64)
        start = np.asarray(arrays[f"{index}/start/{name}"], dtype=np.float64)[None]
        states["after"][name] = after
        states["before"][name] = np.concatenate([start, after[:-1]])
        states["start"][name] = np.repeat(start, len(after), axis=0)
    needed = {state: {name: states[state][name] for name in program.reads[state]} for state in STATES}
    return Transitions(action.reshape(len(action), -1), **needed)


def join(parts: Sequence[Transitions]) -> Recording:
    """Return transitions as one recording in which each part is an episode; at least one part."""
    ends = np.cumsum([part.n for part in parts])
    found = np.split(np.arange(ends[-1]), ends[:-1])
    states: dict[str, dict[str, Array]] = {}
    for state in STATES:
        arrays = [getattr(part, state) for part in parts]
        states[state] = {name: np.concatenate([array[name] for array in arrays]) for name in arrays[0]}
    action = np.concatenate([part.action for part in parts])
    return Recording(Transitions(action, **states), tuple(sorted(found, key=len, reverse=True)))


def layout(probe: Probe) -> Layout:
    """Return the shapes that a reward process is opened with."""
    return Layout({signal.name: signal.shape for signal in probe.signals}, probe.action_shape)


def score(process: RewardProcess, recording: Recording) -> Outcome:
    """Score a recording: in one call, or step by step where the program has memory.

    Raises:
        RewardFailed: if the program misbehaves.
        WorkerFailed: if the process fails otherwise.
    """
    if process.program.memory:
        return _walk(process, recording)
    scores = process.score(recording.transitions)
    return Outcome(scores.total, scores.terms)


def _walk(process: RewardProcess, recording: Recording) -> Outcome:
    """Score the episodes side by side in time order, the memory handed on."""
    n, episodes = recording.transitions.n, recording.episodes
    total, terms = np.zeros(n), dict[str, Array]()
    memory: Mapping[str, Array] | None = None
    for now in range(len(episodes[0])):
        rows = np.array([episode[now] for episode in episodes if now < len(episode)])
        if memory is not None:
            memory = {name: values[: len(rows)] for name, values in memory.items()}
        scores = process.score(_take(recording.transitions, rows), memory)
        memory, total[rows] = scores.memory, scores.total
        for name, values in scores.terms.items():
            terms.setdefault(name, np.full(n, np.nan))[rows] = values
    return Outcome(total, terms)


def _take(transitions: Transitions, chosen: Indices) -> Transitions:
    states = {state: {name: array[chosen] for name, array in getattr(transitions, state).items()} for state in STATES}
    return Transitions(transitions.action[chosen], **states)
