"""Outcome of a program's evaluated episodes: how they ended, where they arrived, and what its terms did in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from rewardsmith.contract.known_values import average_known
from rewardsmith.contract.records import Candidate, Episode, Evaluation, Limits, Probe
from rewardsmith.contract.reward_program import Array
from rewardsmith.llm.prompts import format_rounded, format_value
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.search.steps.analyzer.trajectory_tables import select_shown_episodes

END_SIGNALS = 3
"""Signals of the card that the outcome names with their values at the end, the first ones."""
TWO_KINDS_LEAST = 6
"""Episodes from which on they may fall into two kinds."""
TWO_KINDS_GAP = 0.5
"""Gap in fitness between two kinds, as part of the range over all episodes."""
TWO_KINDS_RANGE = 0.3
"""Range of fitness, as part of its greatest size, below which episodes are of one kind."""
AT_EDGE = 0.01
"""Part of a term's range within which it counts as at its greatest or least value."""
NEAR_ZERO = 1e-9


@dataclass(frozen=True)
class EpisodeKind:
    """Episodes of about the same fitness."""

    count: int
    fitness: float
    """Their mean fitness."""


@dataclass(frozen=True)
class EpisodeSummary:
    """All evaluated episodes of a candidate; None if there are none."""

    count: int
    terminated: int
    """Number of episodes that ended before the time limit."""
    length: float | None
    """Mean length in environment steps."""
    shortest: int | None
    longest: int | None
    policies: tuple[float, ...]
    """Fitness of each trained policy, where there are several."""
    ends: Mapping[str, float]
    """Signal of the card, with its component, to its mean at the last step."""
    two_kinds: tuple[EpisodeKind, EpisodeKind] | None = None
    """The kind of lower and that of higher fitness, where the episodes fall into two."""

    @property
    def first_ends(self) -> dict[str, float]:
        """The means at the last step of the first of the card's signals, for a history."""
        return dict(list(self.ends.items())[:END_SIGNALS])

    @property
    def outcome(self) -> str:
        """Number of episodes that ended early, and the mean length, for a history."""
        if not self.count:
            return ""
        return f"{self.terminated} of {self.count}, {format_rounded(self.length)} steps"


@dataclass(frozen=True)
class TermUse:
    """Use of a term in the episode that is shown."""

    zero: float
    """Share of the steps in which it was 0."""
    top: float
    """Share of the steps in which it was at the greatest value that it had."""
    bottom: float
    """Share of the steps in which it was at the least value that it had, where that is not 0."""

    def describe(self) -> str:
        """Return the shares of 20 % or more in words; "" without one."""
        edges = (("0", self.zero), ("at its greatest value", self.top), ("at its least value", self.bottom))
        return ", ".join(
            f"{what} in {share:.0%} of the steps".replace("%", " %") for what, share in edges if share >= 0.2
        )


def summarise_episodes(candidate: Candidate, folders: Sequence[Path], card_signals: Sequence[str]) -> EpisodeSummary:
    """Return how a candidate's episodes went.

    Args:
        candidate: trained and evaluated.
        folders: of its evaluations; one without a recording adds nothing to the ends.
        card_signals: names of the card's signals.
    """
    episodes = [episode for evaluation in candidate.evaluations for episode in evaluation.episodes]
    lengths = [episode.length for episode in episodes]
    values = candidate.seed_fitness
    return EpisodeSummary(
        count=len(episodes),
        terminated=sum(episode.terminated for episode in episodes),
        length=average_known(lengths),
        shortest=min(lengths, default=None),
        longest=max(lengths, default=None),
        policies=values if len(values) > 1 else (),
        ends=_average_ends(candidate.evaluations, folders, card_signals),
        two_kinds=find_two_kinds(episodes),
    )


def find_two_kinds(episodes: Iterable[Episode]) -> tuple[EpisodeKind, EpisodeKind] | None:
    """Return the two kinds that episodes fall into by fitness, the lower one first; None where they do not.

    >>> seen = [Episode(0, value, 10, False) for value in (1.0, 2.0, 1.0, 2.0, 50.0, 50.0)]
    >>> find_two_kinds(seen)
    (EpisodeKind(count=4, fitness=1.5), EpisodeKind(count=2, fitness=50.0))
    """
    fitness = sorted(episode.fitness for episode in episodes)
    if len(fitness) < TWO_KINDS_LEAST:
        return None
    spread = fitness[-1] - fitness[0]
    gaps = [above - below for below, above in pairwise(fitness)]
    place = max(range(len(gaps)), key=gaps.__getitem__) + 1
    lower, upper = fitness[:place], fitness[place:]
    is_wide = spread > TWO_KINDS_RANGE * max(map(abs, fitness))
    if not is_wide or gaps[place - 1] < TWO_KINDS_GAP * spread or min(len(lower), len(upper)) < 2:
        return None
    return EpisodeKind(len(lower), sum(lower) / len(lower)), EpisodeKind(len(upper), sum(upper) / len(upper))


def describe_two_kinds(lower: EpisodeKind, upper: EpisodeKind) -> str:
    """Return the alarm for episodes of two kinds."""
    return (
        f"the episodes fall into two kinds, {lower.count} with a fitness about {format_value(lower.fitness)} and "
        f"{upper.count} about {format_value(upper.fitness)}: their mean tells of neither"
    )


def measure_term_use(candidate: Candidate, folders: Sequence[Path], probe: Probe, limits: Limits) -> dict[str, TermUse]:
    """Return what each term did in the episodes that are shown; {} where they cannot be scored again.

    Args:
        candidate: trained and evaluated.
        folders: of its evaluations; one without a recording is passed over.
        probe: what the environment offers.
        limits: of the reward process.

    Raises:
        SandboxUnavailable: if reward programs cannot be sealed on this machine.
        WorkerFailed: if the reward process fails for another reason than the program.
        OSError: if a recording cannot be read.
    """
    number, index = next(iter(select_shown_episodes(candidate.evaluations).values()), (0, 0))
    if number >= len(folders) or not EpisodeFile.in_folder(folders[number]).exists():
        return {}
    episode = candidate.evaluations[number].episodes[index]
    file = EpisodeFile.in_folder(folders[number])
    scores = file.score_episodes(candidate.program, [index], [episode.terminated], probe, limits)
    return {name: _measure_use(values) for name, values in scores[0].terms.items()} if scores else {}


def _measure_use(values: Array) -> TermUse:
    low, high = float(values.min()), float(values.max())
    slack = AT_EDGE * (high - low)
    zero = float((abs(values) <= NEAR_ZERO).mean())
    if not high > low:
        return TermUse(zero, 0.0, 0.0)
    top = float((values >= high - slack).mean()) if abs(high) > NEAR_ZERO else 0.0
    bottom = float((values <= low + slack).mean()) if abs(low) > NEAR_ZERO else 0.0
    return TermUse(zero, top, bottom)


def _average_ends(
    evaluations: Sequence[Evaluation], folders: Sequence[Path], card_signals: Sequence[str]
) -> dict[str, float]:
    """Return the mean of each of the card's signals at the last step, scalars first."""
    totals: dict[str, list[float]] = {}
    for evaluation, folder in zip(evaluations, folders, strict=False):
        file = EpisodeFile.in_folder(folder)
        if file.exists() and evaluation.episodes and card_signals:
            for ends in file.read_ends(range(len(evaluation.episodes)), card_signals, 3):
                for name, value in ends.items():
                    totals.setdefault(name, []).append(value)
    scalars_first = sorted(totals, key=lambda name: "[" in name)
    return {name: sum(totals[name]) / len(totals[name]) for name in scalars_first}
