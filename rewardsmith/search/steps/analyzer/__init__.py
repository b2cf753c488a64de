"""Analyzer: writes the reflection on a trained program, as text for the next prompt and as alarms for the user.

term_curves         each term over training, with fitness and length (the reward reflection of Eureka, Ma et al.,
                    ICLR 2024, arXiv:2310.12931)
alarms              signs that the reward pays for something other than the task
episode_outcome     how the episodes ended and where, and what each term did in them
trajectory_tables   the episodes of the trained policy: one where all went alike, else the best and the worst
llm_reader          a language model's reading of the episodes that tell the most (`episode_selection`), as far as its
                    claims hold (`claim_checks`)

`write_reflection` puts the first four together, with what a scoring judge said of the policy (`search/feedback/`);
`Analyzer` adds the reader. Nothing here depends on measured times, so
that equal trainings give equal text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rewardsmith.contract.records import Candidate, EpisodeReading, Metric, Probe, Reflection, Status
from rewardsmith.contract.term_limits import parse_limit
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import ModelPool, prompts
from rewardsmith.search.steps.analyzer.alarms import find_action_alarms, find_alarms, term_shares
from rewardsmith.search.steps.analyzer.episode_outcome import (
    TermUse,
    describe_two_kinds,
    measure_term_use,
    summarise_episodes,
)
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
        self._run, self._probe = run, probe
        self._reader: EpisodeReader | None = None
        if models is not None and run.config.analyzer.model_reads:
            self._reader = EpisodeReader(models.for_role("analyzer"), run, probe, frames)

    def analyze(self, candidate: Candidate, folders: Sequence[Path], reads: bool = True) -> Reflection:
        """Write the reflection on a candidate.

        Args:
            candidate: a program with its trainings and evaluations.
            folders: of its evaluations, in their order.
            reads: whether a later prompt uses a model's reading of the episodes; not after the last generation.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
            OSError: if a recording cannot be read.
            ModelError: if the reader's endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
        """
        if candidate.status != "ok":
            return write_reflection(candidate, folders)
        reading = self._reader.read_episodes(candidate, folders) if self._reader and reads else None
        context = ReflectionContext(
            tuple(signal.name for signal in self._run.task.env.signals),
            self._probe,
            measure_term_use(candidate, folders, self._probe, self._run.config.sandbox),
            tuple(metric for metric in self._run.task.metrics if metric.in_prompts),
        )
        return write_reflection(candidate, folders, reading, context)


@dataclass(frozen=True)
class ReflectionContext:
    """Facts that a reflection needs beside the candidate's own records."""

    card_signals: tuple[str, ...] = ()
    """Names of the card's signals, which are shown whether the program reads them or not."""
    probe: Probe | None = None
    term_use: Mapping[str, TermUse] = field(default_factory=dict)
    """Term to what it did in the episode that is shown."""
    metrics: tuple[Metric, ...] = ()
    """Metrics that the card lets prompts name."""


def write_reflection(
    candidate: Candidate,
    folders: Sequence[Path],
    reading: EpisodeReading | None = None,
    context: ReflectionContext | None = None,
) -> Reflection:
    """Write the reflection on a candidate: what helped, what failed, and why.

    Args:
        candidate: a program with its trainings and evaluations.
        folders: of its evaluations, in their order, with the recorded episodes. One that is missing is passed over.
        reading: a model's reading of the episodes; None if none was asked.
        context: the card's signals, the probe and the use of the terms; None if nothing is known.
    """
    context = context or ReflectionContext()
    curves = read_curves(candidate.trainings)
    weights = _term_weights(candidate, curves)
    if candidate.status != "ok":
        return _reflect_on_failure(candidate, curves, weights)

    # The episodes, and the signals that are shown of them: the program's, in the card's order, then the card's others.
    episodes = summarise_episodes(candidate, folders, context.card_signals)
    read = candidate.program.signals
    first = [name for name in context.card_signals if name in read]
    names = list(dict.fromkeys([*first, *read, *context.card_signals]))
    tables = build_episode_tables(candidate.evaluations, folders, names, context.probe)

    alarms = [
        *find_alarms(curves, weights, candidate.trial_terms),
        *find_action_alarms(candidate, folders, context.probe),
    ]
    if episodes.two_kinds:
        alarms.append(describe_two_kinds(*episodes.two_kinds))
    text = prompts.render_prompt(
        "analyzer/reflection",
        fitness=candidate.fitness,
        episodes=episodes,
        trainings=len(candidate.trainings),
        curves=curves,
        weights=weights,
        shares=term_shares(curves, weights),
        use={name: use.describe() for name, use in context.term_use.items()},
        alarms=alarms,
        tables=tables,
        metrics=_list_metrics(candidate, context.metrics),
        reading=reading,
        judge=next((evaluation.judge for evaluation in candidate.evaluations if evaluation.judge), None),
    )
    return Reflection(text, tuple(alarms), reading, episodes.outcome, episodes.first_ends)


def _list_metrics(candidate: Candidate, metrics: Sequence[Metric]) -> list[tuple[str, str, float]]:
    """Return the name, the meaning and the mean of each metric that prompts may name."""
    means = ((metric, candidate.average_metric(metric.name)) for metric in metrics)
    return [(metric.name, prompts.to_one_line(metric.meaning), mean) for metric, mean in means if mean is not None]


def _term_weights(candidate: Candidate, curves: TrainingCurves) -> dict[str, float]:
    """Return the weight of each term that was seen in training; of one with a limit, what its multiplier came to."""
    if not curves.terms:
        return {}
    program = candidate.program
    weights = {curve.name: program.weight(curve.name) for curve in curves.terms}
    held: dict[str, float] = {}
    for multiplier in curves.multipliers:
        limit = parse_limit(multiplier.name)
        held[limit.term] = held.get(limit.term, 0.0) - limit.sign * (multiplier.known[-1] if multiplier.known else 0.0)
    return weights | held


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
        use={},
    )
    return Reflection(text)
