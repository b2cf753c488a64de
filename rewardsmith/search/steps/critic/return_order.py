"""The order screen: does a program put random actions below what has already done the task?

A program under which a random policy earns more than the best policy's successful episodes ranks them the wrong way
round; whoever maximises it is led away from what is known to work. Both are cut to the same length, and what an
episode earns is discounted as in training. An episode is a success here if its fitness is above that of every random
one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import FitnessError, RewardFailed
from rewardsmith.contract.fitness.expression import Fitness, Rollout
from rewardsmith.contract.records import Limits, Probe
from rewardsmith.contract.reward_program import Array, RewardProgram
from rewardsmith.sandbox import open_process, recorded
from rewardsmith.sandbox.recorded import Indices, Recording

LEAST = 3
"""Fewer successes, or fewer random episodes, say nothing."""


@dataclass(frozen=True)
class Order:
    """What random actions and successful episodes earn under a program."""

    random: float
    """Median over the random episodes of the discounted return."""
    success: float
    """Median over the successful episodes."""
    successes: int

    @property
    def wrong(self) -> bool:
        """Whether random actions earn more."""
        return self.random > self.success


@dataclass(frozen=True)
class Episodes:
    """What is known of episodes beside what a program pays in them."""

    horizon: int
    """To how many steps all episodes are cut."""
    random: tuple[Indices, ...]
    """The transitions of each random episode in the probe's recording."""
    successes: tuple[tuple[Path, int], ...]
    """The file and the index of each successful episode."""


def find(fitness: Fitness, transitions: Path, folders: Sequence[Path]) -> Episodes | None:
    """Find the random episodes, and those of a policy that did better than all of them.

    Args:
        fitness: the task's.
        transitions: the .npz that the probe recorded.
        folders: of the best candidate's evaluations.

    Returns:
        None where there are too few of either, or the fitness names what the probe does not record.

    Raises:
        OSError: if a recording cannot be read.
    """
    ended = recorded.terminated(transitions)
    with np.load(transitions, allow_pickle=False) as arrays:
        if not all(f"after/{name}" in arrays for name in fitness.names):
            return None
        starts = np.flatnonzero(arrays["step"] == 0)
        pieces = np.split(np.arange(len(arrays["step"])), starts[starts > 0])
        horizon = max(len(piece) for piece in pieces)
        random = [piece for piece in pieces if len(piece) == horizon or ended[piece[-1]]]
        after = {name: arrays[f"after/{name}"] for name in fitness.names}
        start = {name: arrays[f"start/{name}"] for name in fitness.names}
        action = arrays["action"]
        worths = [_worth(fitness, after, start, action, piece) for piece in random]
    bar = max((worth for worth in worths if worth is not None), default=None)
    files = [folder / recorded.FILE for folder in folders if (folder / recorded.FILE).is_file()]
    successes = [found for file in files for found in _above(fitness, file, horizon, bar)]
    if len(random) < LEAST or len(successes) < LEAST:
        return None
    return Episodes(horizon, tuple(random), tuple(successes))


def screen(
    program: RewardProgram, probe: Probe, transitions: Path, episodes: Episodes, gamma: float, limits: Limits
) -> Order | None:
    """Compare what a program pays for random and for successful episodes.

    Args:
        program: without errors.
        probe: what the environment offers.
        transitions: the .npz that the probe recorded.
        episodes: what `find` found.
        gamma: discount factor of the training.
        limits: of the reward process.

    Returns:
        None where the program fails on them, or reads signals that were not recorded with the successes.

    Raises:
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
        OSError: if a recording cannot be read.
    """
    random = recorded.probe(transitions, program).part(*sorted(episodes.random, key=len, reverse=True))
    files = dict.fromkeys(file for file, _ in episodes.successes)
    chosen = {file: [index for where, index in episodes.successes if where == file] for file in files}
    found = [recorded.episodes(file, program, indices) for file, indices in chosen.items()]
    successes = [recording for recording in found if recording is not None]
    if not successes:
        return None
    try:
        with open_process(program, recorded.layout(probe), limits) as process:
            earned = [
                _returns(recorded.score(process, recording).total, recording, episodes.horizon, gamma)
                for recording in (random, *successes)
            ]
    except RewardFailed:
        return None
    better = np.concatenate(earned[1:])
    return Order(float(np.median(earned[0])), float(np.median(better)), len(better))


def _returns(total: Array, recording: Recording, horizon: int, gamma: float) -> Array:
    discounts = gamma ** np.arange(horizon)
    cut = [total[episode][:horizon] for episode in recording.in_order]
    return np.array([float(values @ discounts[: len(values)]) for values in cut])


def _above(fitness: Fitness, file: Path, horizon: int, bar: float | None) -> list[tuple[Path, int]]:
    """Return the recorded episodes whose first steps are worth more than `bar`."""
    chosen = []
    with np.load(file, allow_pickle=False) as arrays:
        count = len({name.partition("/")[0] for name in arrays})
        for index in range(count):
            action = arrays[f"{index}/action"]
            after = {name: arrays[f"{index}/{name}"] for name in fitness.names}
            start = {name: arrays[f"{index}/start/{name}"][None] for name in fitness.names}
            worth = _worth(fitness, after, start, action, np.arange(min(horizon, len(action))))
            if worth is not None and bar is not None and worth > bar:
                chosen.append((file, index))
    return chosen


def _worth(
    fitness: Fitness, after: Mapping[str, Array], start: Mapping[str, Array], action: Array, rows: Indices
) -> float | None:
    """Return the fitness of an episode; None where so short a one has none."""
    signals = {name: np.asarray(values[rows], dtype=np.float64) for name, values in after.items()}
    begin = {name: np.asarray(values[rows[0]], dtype=np.float64) for name, values in start.items()}
    try:
        return fitness.evaluate(Rollout(signals, begin, np.asarray(action[rows], dtype=np.float64), False))
    except FitnessError:
        return None
