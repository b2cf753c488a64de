"""Selection of recorded episodes: each is scored again by the program, and the most telling ones are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.records import Episode, Evaluation, Limits, Probe
from rewardsmith.contract.reward_program import Array, RewardProgram
from rewardsmith.executors.episode_steps import select_telling_steps
from rewardsmith.sandbox.recorded import EpisodeFile
from rewardsmith.sandbox.recorded_scores import RecordedScores
from rewardsmith.search.steps.analyzer.trajectory_tables import read_table_columns

FAILURE, NEAR, DECEPTIVE = "failure", "near-success", "well paid, badly done"
TYPICAL = "typical; the others are like it"
"""Reasons why an episode is shown."""
ALIKE = 0.01
"""Range of fitness, relative to its size, below which no episode is better or worse than another."""


@dataclass(frozen=True, eq=False)
class ScoredEpisode:
    """One episode with its signals and the program's reward; equal only to itself."""

    episode: Episode
    signals: Mapping[str, Array]
    """Column to (1 + T,): the value at the start and after each step. "tilt[0]" for a component."""
    paid: Mapping[str, Array]
    """"reward", and "reward[<term>]" for each weighted term, to (T,); empty where it could not be scored."""
    folder: Path | None = None
    """Folder of the evaluation that ran it."""

    @property
    def earned(self) -> float | None:
        """Sum of the program's reward."""
        return float(self.paid["reward"].sum()) if self.paid else None

    def select_steps(self, most: int) -> list[int]:
        """Return the most informative steps, at most `most`; see `select_telling_steps`."""
        return select_telling_steps(self.episode, self.signals, self.paid.get("reward"), most)


def score_episodes(
    program: RewardProgram, evaluations: Sequence[Evaluation], folders: Sequence[Path], probe: Probe, limits: Limits
) -> list[ScoredEpisode]:
    """Read every recorded episode of a candidate, and score it with the program.

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
    scored: list[ScoredEpisode] = []
    for evaluation, folder in zip(evaluations, folders, strict=False):
        file, count = EpisodeFile.in_folder(folder), len(evaluation.episodes)
        if not file.exists() or not count:
            continue
        terminated = [episode.terminated for episode in evaluation.episodes]
        scores = file.score_episodes(program, range(count), terminated, probe, limits)
        tables = read_table_columns(file, range(count), program.signals)
        for index, (episode, table) in enumerate(zip(evaluation.episodes, tables, strict=True)):
            signals = table.columns
            if signals:
                paid = _weighted_rewards(program, scores[index]) if scores else {}
                scored.append(ScoredEpisode(episode, signals, paid, folder))
    return scored


def _weighted_rewards(program: RewardProgram, scores: RecordedScores) -> dict[str, Array]:
    terms = {f"reward[{name}]": program.weight(name) * values for name, values in scores.terms.items()}
    return {"reward": scores.total, **terms}


def select_informative(scored: Sequence[ScoredEpisode]) -> dict[str, ScoredEpisode]:
    """Return the most informative episodes, by the reason why each is shown: different ones, in the order above.

    The failure has the lowest fitness. The near-success is the best of those in the lower half of the range: it almost
    did what the best ones do. The deceptive one has a high rank by its reward and a low rank by fitness. Of episodes
    that are all alike one is enough.
    """
    by_fitness = sorted(scored, key=lambda episode: (episode.episode.fitness, episode.episode.seed))
    if not by_fitness:
        return {}
    lowest, highest = by_fitness[0].episode.fitness, by_fitness[-1].episode.fitness
    are_alike = highest - lowest <= ALIKE * max(abs(lowest), abs(highest))
    if len(by_fitness) > 1 and are_alike:
        return {TYPICAL: by_fitness[len(by_fitness) // 2]}

    chosen = {FAILURE: by_fitness[0]}
    middle = 0.5 * (lowest + highest)
    lower_half = [episode for episode in by_fitness[1:] if episode.episode.fitness < middle]
    if lower_half:
        chosen[NEAR] = lower_half[-1]

    # How many places an episode climbs when reward ranks in place of fitness.
    by_reward = sorted((one for one in by_fitness if one.earned is not None), key=lambda one: one.earned or 0.0)
    candidates = [episode for episode in by_reward if episode not in chosen.values()]
    climbs = {id(episode): by_reward.index(episode) - by_fitness.index(episode) for episode in candidates}
    deceptive = max(candidates, key=lambda episode: climbs[id(episode)], default=None)
    if deceptive is not None and climbs[id(deceptive)] > 0:
        chosen[DECEPTIVE] = deceptive
    return chosen
