"""Recorded transitions as a program takes them, and their scores in the sealed reward process.

A program without memory scores a recording in one call. One with memory is walked through it as a training would: the
episodes side by side, one call per step in time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewardsmith.contract.records import Probe
from rewardsmith.contract.reward_program import Array, Transitions
from rewardsmith.sandbox import ProgramLayout, RewardProcess

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class RecordedTransitions:
    """Recorded transitions as far as a program needs them, grouped by episode."""

    transitions: Transitions
    episodes: tuple[Indices, ...]
    """The transitions of each episode, in time order; the longest episode first."""

    def select_episodes(self, *episodes: Indices) -> RecordedTransitions:
        """Return only the transitions of these index lists, one list after the other, each as an episode."""
        chosen = np.concatenate(episodes)
        ends = np.cumsum([len(episode) for episode in episodes])
        return RecordedTransitions(
            self.transitions.select_rows(chosen), tuple(np.split(np.arange(len(chosen)), ends[:-1]))
        )

    @property
    def in_order(self) -> list[Indices]:
        """The transitions of each episode, the episodes in the order in which they were recorded."""
        return sorted(self.episodes, key=lambda episode: int(episode[0]))


@dataclass(frozen=True)
class RecordedScores:
    """Scores of a program for n recorded transitions."""

    total: Array
    """(n,)"""
    terms: Mapping[str, Array]
    """Term name to (n,); NaN where a term was not returned."""

    def select_rows(self, rows: Indices) -> RecordedScores:
        """Return the scores of the chosen transitions."""
        return RecordedScores(self.total[rows], {name: values[rows] for name, values in self.terms.items()})


def join_episodes(episodes: Sequence[Transitions]) -> RecordedTransitions:
    """Join the transitions of at least one episode into one recording."""
    ends = np.cumsum([episode.n for episode in episodes])
    indices = np.split(np.arange(ends[-1]), ends[:-1])
    return RecordedTransitions(Transitions.concatenate(episodes), tuple(sorted(indices, key=len, reverse=True)))


def build_layout(probe: Probe) -> ProgramLayout:
    """Return the shapes with which a reward process is opened."""
    return ProgramLayout({signal.name: signal.shape for signal in probe.signals}, probe.action_shape)


def score_recording(process: RewardProcess, recording: RecordedTransitions) -> RecordedScores:
    """Score recorded transitions: in one call, or step by step where the program has memory.

    Raises:
        RewardFailed: if the program misbehaves.
        WorkerFailed: if the process fails otherwise.
    """
    if process.program.memory:
        return _score_stepwise(process, recording)
    scores = process.score(recording.transitions)
    return RecordedScores(scores.total, scores.terms)


def _score_stepwise(process: RewardProcess, recording: RecordedTransitions) -> RecordedScores:
    """Score the episodes side by side in time order, handing the memory on from step to step."""
    n, episodes = recording.transitions.n, recording.episodes
    total, terms = np.zeros(n), dict[str, Array]()
    memory: Mapping[str, Array] | None = None
    for now in range(len(episodes[0])):
        # The longest episode comes first, so those that have ended are always the last rows.
        rows = np.array([episode[now] for episode in episodes if now < len(episode)])
        if memory is not None:
            memory = {name: values[: len(rows)] for name, values in memory.items()}

        scores = process.score(recording.transitions.select_rows(rows), memory)
        memory, total[rows] = scores.memory, scores.total
        for name, values in scores.terms.items():
            terms.setdefault(name, np.full(n, np.nan))[rows] = values
    return RecordedScores(total, terms)
