"""Recorded episodes with what the program paid in them, and which of them tell the most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rewardsmith.contract.errors import RewardFailed
from rewardsmith.contract.records import Episode, Evaluation, Limits, Probe
from rewardsmith.contract.reward_program import Array, RewardProgram
from rewardsmith.sandbox import open_process, recorded
from rewardsmith.sandbox.recorded import Outcome
from rewardsmith.search.steps.analyzer.trajectory_tables import columns_of

FAILURE, NEAR, DECEPTIVE = "failure", "near-success", "well paid, badly done"
TYPICAL = "typical; the others are like it"
"""Why an episode is shown."""
ALIKE = 0.01
"""Range of fitness, relative to its size, below which no episode is better or worse than another."""


@dataclass(frozen=True, eq=False)
class Watched:
    """One episode as a reader sees it; equal only to itself."""

    episode: Episode
    signals: Mapping[str, Array]
    """Column to (1 + T,): the value at the start and after each step. "tilt[0]" for a component."""
    paid: Mapping[str, Array]
    """"reward", and "reward[<term>]" for each weighted term, to (T,); empty where it could not be scored."""
    folder: Path | None = None
    """Of the evaluation that ran it."""

    @property
    def earned(self) -> float | None:
        """Sum of the program's reward."""
        return float(self.paid["reward"].sum()) if self.paid else None


def watch(
    program: RewardProgram, evaluations: Sequence[Evaluation], folders: Sequence[Path], probe: Probe, limits: Limits
) -> list[Watched]:
    """Read every recorded episode of a candidate, and score it again.

    Args:
        program: the candidate's.
        evaluations: one per training seed.
        folders: of the evaluations; one without a recording is passed over.
        probe: what the environment offers.
        limits: of the reward process.

    Raises:
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
        OSError: if a recording cannot be read.
    """
    watched: list[Watched] = []
    for evaluation, folder in zip(evaluations, folders, strict=False):
        file, count = folder / recorded.FILE, len(evaluation.episodes)
        if not file.is_file() or not count:
            continue
        outcomes = _score(program, file, count, probe, limits)
        with np.load(file, allow_pickle=False) as arrays:
            for index, episode in enumerate(evaluation.episodes):
                signals = columns_of(arrays, index, program.signals)
                if signals:
                    paid = _paid(program, outcomes[index]) if outcomes else {}
                    watched.append(Watched(episode, signals, paid, folder))
    return watched


def _score(program: RewardProgram, file: Path, count: int, probe: Probe, limits: Limits) -> list[Outcome] | None:
    """Return what the program pays in each episode; None where its signals were not recorded or it fails."""
    recording = recorded.episodes(file, program, range(count))
    if recording is None:
        return None
    try:
        with open_process(program, recorded.layout(probe), limits) as process:
            outcome = recorded.score(process, recording)
    except RewardFailed:
        return None
    return [outcome.at(rows) for rows in recording.in_order]


def _paid(program: RewardProgram, outcome: Outcome) -> dict[str, Array]:
    terms = {f"reward[{name}]": program.weight(name) * values for name, values in outcome.terms.items()}
    return {"reward": outcome.total, **terms}


def informative(watched: Sequence[Watched]) -> dict[str, Watched]:
    """Return the episodes that tell the most, each under why: different ones, in the order of the reasons above.

    The failure has the lowest fitness. The near-success is the best of those in the lower half of the range: it almost
    did what the best ones do. The third has the highest rank by what it earned beside the lowest rank by fitness. Of
    episodes that are all alike one is enough.
    """
    ranked = sorted(watched, key=lambda one: (one.episode.fitness, one.episode.seed))
    if not ranked:
        return {}
    least, most = ranked[0].episode.fitness, ranked[-1].episode.fitness
    if len(ranked) > 1 and most - least <= ALIKE * max(abs(least), abs(most)):
        return {TYPICAL: ranked[len(ranked) // 2]}
    chosen = {FAILURE: ranked[0]}
    middle = 0.5 * (ranked[0].episode.fitness + ranked[-1].episode.fitness)
    below = [one for one in ranked[1:] if one.episode.fitness < middle]
    if below:
        chosen[NEAR] = below[-1]
    paid = sorted((one for one in ranked if one.earned is not None), key=lambda one: one.earned or 0.0)
    gaps = [(paid.index(one) - ranked.index(one), one) for one in paid if one not in chosen.values()]
    best = max(gaps, key=lambda gap: gap[0], default=None)
    if best is not None and best[0] > 0:
        chosen[DECEPTIVE] = best[1]
    return chosen


def moments(watched: Watched, most: int) -> list[int]:
    """Return the steps that matter, ascending, 0 the start: ends and quarters, extremes, and what came before the end.

    Args:
        watched: an episode.
        most: how many steps at most; the less telling ones go first.
    """
    last = watched.episode.length
    steps = [0, last, *(round(last * part) for part in (0.25, 0.5, 0.75))]
    if watched.episode.terminated:
        steps += [last - 1, last - 3, last - 10]
    if watched.paid:
        steps += [1 + int(np.argmax(watched.paid["reward"])), 1 + int(np.argmin(watched.paid["reward"]))]
    for values in watched.signals.values():
        steps += [int(np.argmax(values)), int(np.argmin(values))]
    return sorted(list(dict.fromkeys(step for step in steps if 0 <= step <= last))[:most])
