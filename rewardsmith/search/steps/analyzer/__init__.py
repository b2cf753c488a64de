"""Analyzer: writes the reflection on a trained program, as text for the next prompt and as alarms for the user.

term_curves         each term over training, with fitness and length (the reward reflection of Eureka, Ma et al.,
                    ICLR 2024, arXiv:2310.12931)
alarms              signs that the reward pays for something other than the task
trajectory_tables   the best, the median and the worst episode of the trained policy
llm_reader          a language model's reading of the episodes that tell the most (`episode_selection`), as far as its
                    claims hold (`claim_checks`)

`write_reflection` puts the first three together, `Analyzer` adds the reader. Nothing here depends on measured times, so
that equal trainings give equal text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rewardsmith.contract.records import Candidate, Episode, EpisodeReading, Probe, Reflection, Status
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import ModelPool, prompts
from rewardsmith.search.steps.analyzer.alarms import find_alarms, term_shares
from rewardsmith.search.steps.analyzer.llm_reader import EpisodeReader
from rewardsmith.search.steps.analyzer.term_curves import TrainingCurves, read_curves
from rewardsmith.search.steps.analyzer.trajectory_tables import build_episode_tables
from rewardsmith.search.storage import Run

FAILURES: dict[Status, str] = {
    "invalid": "was refused by the checks before any training",
    "failed": "failed while it was trained",
    "timeout": "took longer than a training may",
    "pruned": "was stopped early, being far behind the others",
    "infrastructure": "could not be run, through no fault of its own: the machine failed",
}


class Analyzer:
    """The analyzer of one search; its method is called from the threads of the slots."""

    def __init__(self, run: Run, probe: Probe, models: ModelPool | None, frames: FrameRenderer | None = None) -> None:
        """Put its parts together.

        Args:
            run: with the settings and the task.
            probe: what the environment offers.
            models: of the roles that ask one; needed where `analyzer.model_reads` is on.
            frames: renders frames for a model that sees images.
        """
        self._has_choices = probe.discrete_actions is not None
        self._reader: EpisodeReader | None = None
        if models is not None and run.config.analyzer.model_reads:
            self._reader = EpisodeReader(models.for_role("analyzer"), run, probe, frames)

    def analyze(self, candidate: Candidate, folders: Sequence[Path]) -> Reflection:
        """Write the reflection on a candidate; see `write_reflection`, and `EpisodeReader.read` for what it raises."""
        reading = self._reader.read_episodes(candidate, folders) if self._reader and candidate.status == "ok" else None
        return write_reflection(candidate, folders, reading, self._has_choices)


def write_reflection(
    candidate: Candidate, folders: Sequence[Path], reading: EpisodeReading | None = None, choices: bool = False
) -> Reflection:
    """Write what helped and what failed, where and why.

    Args:
        candidate: a program with its trainings and evaluations.
        folders: of its evaluations, in their order, with the recorded episodes. One that is missing is passed over.
        reading: what a model made of the episodes; None where none was asked.
        choices: an action is the number of a choice.
    """
    curves = read_curves(candidate.trainings)
    weights = _term_weights(candidate, curves)
    if candidate.status != "ok":
        return _reflect_on_failure(candidate, curves, weights)

    scoring = candidate.verdict.trial_scoring if candidate.verdict else None
    alarms = find_alarms(curves, weights, scoring)
    tables = build_episode_tables(candidate.evaluations, folders, candidate.program.signals, choices)
    text = prompts.render_prompt(
        "analyzer/reflection",
        fitness=candidate.fitness,
        episodes=_summarise_episodes(candidate),
        trainings=len(candidate.trainings),
        curves=curves,
        weights=weights,
        shares=term_shares(curves, weights),
        alarms=alarms,
        tables=tables,
        reading=reading,
    )
    return Reflection(text, alarms, reading)


@dataclass(frozen=True)
class _EpisodeSummary:
    """All evaluated episodes of a candidate; None where there are none."""

    count: int
    worst: float | None
    """Lowest fitness."""
    best: float | None
    """Highest fitness."""
    terminated: int
    """How many ended before the time limit."""
    length: float | None
    """Mean length in environment steps."""


def _summarise_episodes(candidate: Candidate) -> _EpisodeSummary:
    episodes: list[Episode] = [episode for evaluation in candidate.evaluations for episode in evaluation.episodes]
    fitness = [episode.fitness for episode in episodes]
    return _EpisodeSummary(
        count=len(episodes),
        worst=min(fitness, default=None),
        best=max(fitness, default=None),
        terminated=sum(episode.terminated for episode in episodes),
        length=sum(episode.length for episode in episodes) / len(episodes) if episodes else None,
    )


def _term_weights(candidate: Candidate, curves: TrainingCurves) -> dict[str, float]:
    """Return the weight of each term that was seen in training."""
    if not curves.terms:
        return {}
    program = candidate.program
    return {curve.name: program.weight(curve.name) for curve in curves.terms}


def _reflect_on_failure(candidate: Candidate, curves: TrainingCurves, weights: dict[str, float]) -> Reflection:
    findings = candidate.verdict.findings if candidate.verdict else ()
    text = prompts.render_prompt(
        "analyzer/failure",
        what=FAILURES[candidate.status],
        cause=prompts.to_one_line(prompts.strip_run_details(candidate.cause or "no cause is known")),
        findings=[prompts.to_one_line(prompts.strip_run_details(finding.message)) for finding in findings],
        curves=curves,
        weights=weights,
        shares=term_shares(curves, weights),
    )
    return Reflection(text)
