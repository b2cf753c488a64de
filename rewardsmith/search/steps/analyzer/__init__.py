"""The analyzer: what a training and its evaluation say about a program, as text for the next prompt and as alarms.

curves         each term's course over training, fitness and length beside it (the reflection of Eureka, Ma et al.,
               ICLR 2024, arXiv:2310.12931)
alarms         signs that the reward pays for something other than the task
trajectories   what the trained policy does in its best, median and worst episode
reader         what a language model makes of the episodes that tell the most (`watched`), as far as its `claims` hold

`analyze` puts the first three together, `Analyzer` adds the reader. Nothing here depends on measured times, so that
equal trainings give equal text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rewardsmith.contract import reward_program
from rewardsmith.contract.records import Candidate, DryRun, Episode, Feedback, Probe, Reading, Status
from rewardsmith.executors.frames import Stills
from rewardsmith.llm import Models, prompts
from rewardsmith.search.steps.analyzer.alarms import find_alarms, shares
from rewardsmith.search.steps.analyzer.llm_reader import Reader
from rewardsmith.search.steps.analyzer.term_curves import Curves, read_curves
from rewardsmith.search.steps.analyzer.trajectory_tables import read_views
from rewardsmith.search.storage import Run

FAILURES: dict[Status, str] = {
    "invalid": "was refused by the checks before any training",
    "failed": "failed while it was trained",
    "timeout": "took longer than a training may",
    "pruned": "was stopped early, being far behind the others",
    "duplicate": "was not trained, since it pays what an earlier program pays",
    "infrastructure": "could not be run, through no fault of its own: the machine failed",
}


class Analyzer:
    """The analyzer of one search; its method is called from the threads of the slots."""

    def __init__(self, run: Run, probe: Probe, models: Models | None, stills: Stills | None = None) -> None:
        """Put its parts together.

        Args:
            run: with the settings and the task.
            probe: what the environment offers.
            models: of the roles that ask one; needed where `analyzer.model_reads` is on.
            stills: makes frames for a model that sees images.
        """
        reads = models is not None and run.config.analyzer.model_reads
        self._choices = probe.discrete_actions is not None
        self._reader = Reader(models.of("analyzer"), run, probe, stills) if models and reads else None

    def analyze(self, candidate: Candidate, folders: Sequence[Path]) -> Feedback:
        """Say what helped and what failed, where and why; see `analyze` below, and `Reader.read` for what it raises."""
        reading = self._reader.read(candidate, folders) if self._reader and candidate.status == "ok" else None
        return analyze(candidate, folders, reading, self._choices)


def analyze(
    candidate: Candidate, folders: Sequence[Path], reading: Reading | None = None, choices: bool = False
) -> Feedback:
    """Say what helped and what failed, where and why.

    Args:
        candidate: a program with its trainings and evaluations.
        folders: of its evaluations, in their order; the recorded episodes lie in `episodes.npz`. One that is missing
            is passed over.
        reading: what a model made of the episodes; None where none was asked.
        choices: an action is the number of a choice.
    """
    curves = read_curves(candidate.trainings)
    weights = _weights(candidate, curves)
    if candidate.status != "ok":
        return _failure(candidate, curves, weights)
    alarms = find_alarms(curves, weights, _dry_run(candidate))
    names = reward_program.parse(candidate.proposal.source).signals
    text = prompts.render(
        "analyzer/feedback",
        fitness=candidate.fitness,
        episodes=_Episodes(candidate),
        trainings=len(candidate.trainings),
        curves=curves,
        weights=weights,
        shares=shares(curves, weights),
        alarms=alarms,
        views=read_views(candidate.evaluations, folders, names, choices),
        reading=reading,
    )
    return Feedback(text, alarms, reading)


def _dry_run(candidate: Candidate) -> DryRun | None:
    return candidate.verdict.dry_run if candidate.verdict else None


class _Episodes:
    """Figures over all evaluated episodes of a candidate."""

    def __init__(self, candidate: Candidate) -> None:
        episodes: list[Episode] = [episode for found in candidate.evaluations for episode in found.episodes]
        self.count = len(episodes)
        self.worst = min((episode.fitness for episode in episodes), default=None)
        self.best = max((episode.fitness for episode in episodes), default=None)
        self.terminated = sum(episode.terminated for episode in episodes)
        self.length = sum(episode.length for episode in episodes) / len(episodes) if episodes else None


def _weights(candidate: Candidate, curves: Curves) -> dict[str, float]:
    """Return the weight of each term that was seen in training."""
    if not curves.terms:
        return {}
    parsed = reward_program.parse(candidate.proposal.source)
    return {course.name: parsed.weight(course.name) for course in curves.terms}


def _failure(candidate: Candidate, curves: Curves, weights: dict[str, float]) -> Feedback:
    findings = candidate.verdict.findings if candidate.verdict else ()
    text = prompts.render(
        "analyzer/failure",
        what=FAILURES[candidate.status],
        cause=prompts.one_line(prompts.portable(candidate.cause or "no cause is known")),
        findings=[prompts.one_line(prompts.portable(finding.message)) for finding in findings],
        curves=curves,
        weights=weights,
        shares=shares(curves, weights),
    )
    return Feedback(text)
