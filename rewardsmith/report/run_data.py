"""Data of a run's report, read from its directory: shown by the page and written to its data files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import Candidate, ReportedMetric, Result, Signal, TermStats, Training
from rewardsmith.contract.term_limits import parse_limit
from rewardsmith.llm import Ledger
from rewardsmith.llm.ledger import sum_usage
from rewardsmith.report.estimates import CandidateEstimates, build_estimates
from rewardsmith.report.text import mean_metrics, metric_names
from rewardsmith.search.finalists import read_finalists
from rewardsmith.search.reported_metrics import report_metrics
from rewardsmith.search.steps.evolution import find_incumbent
from rewardsmith.search.storage import Event, Provenance, Run
from rewardsmith.search.storage.journal_keys import is_training_of_search, owner_of_training
from rewardsmith.search.storage.layout import BASELINE, final_owner


@dataclass(frozen=True)
class LearningCurve:
    """Fitness while training: the mean over trainings of one program with several seeds."""

    name: str
    seeds: int
    points: tuple[tuple[float, float, float, float], ...]
    """Environment steps; mean, minimum and maximum over the seeds, in training episodes with exploration."""
    data: tuple[str, ...]
    """The trainings' records, relative to the run directory."""


@dataclass(frozen=True)
class TermSummary:
    """One term of the best program."""

    name: str
    weight: float
    stats: TermStats | None
    """Values under random actions; None if there was no trial scoring."""
    paid_per_step: tuple[tuple[float, float], ...]
    """Environment steps, and the mean payment per step over training episodes, weight included."""


@dataclass(frozen=True)
class LimitCourse:
    """A limit of `training.constraints` over a training."""

    limit: str
    """Text of the setting: "effort <= 0.2"."""
    mean: float
    """Mean of the term per step at the end of training, before its weight."""
    multipliers: tuple[tuple[float, float], ...]
    """Environment steps, and the Lagrange multiplier there."""


@dataclass(frozen=True)
class RoleCost:
    """Model calls of one role and their cost."""

    role: str
    model: str
    calls: int
    tokens: int
    cost_usd: float | None
    """None if a price is unknown."""
    latency_s: float
    """Mean duration of a call, in seconds."""


@dataclass(frozen=True)
class RunData:
    """Everything that a run's report shows."""

    task: str
    env_id: str
    fitness: str
    created: str
    provenance: Provenance
    result: Result | None
    """None while the search has not ended."""
    best: Candidate | None
    candidates: tuple[Candidate, ...]
    curves: tuple[LearningCurve, ...]
    terms: tuple[TermSummary, ...]
    signals_read: tuple[Signal, ...]
    """The signals that the best program names."""
    costs: tuple[RoleCost, ...]
    train_cpu_s: float
    """CPU time of all trainings, in seconds."""
    env_steps: int
    """Environment steps of all trainings so far."""
    metrics: tuple[ReportedMetric, ...] = ()
    """Metrics measured in addition to the fitness."""
    estimates: CandidateEstimates = field(default_factory=CandidateEstimates)
    """Fitness to expect of each candidate when it is retrained."""
    learned_weights: tuple[tuple[str, tuple[tuple[float, float], ...]], ...] = ()
    """Learned weight of each term in the reported training of the best program, first seed: environment steps, and the
    weight there; empty where `training.blend` is fixed."""
    limits: tuple[LimitCourse, ...] = ()
    """Limited terms in the reported training of the best program, first seed; empty without `training.constraints`."""


def load_run_data(run: Run) -> RunData:
    """Read the data of a run; a run that has not ended is read as far as it is.

    Raises:
        RunError: if it is damaged.
    """
    result, candidates = run.read_result(), tuple(run.read_candidates())
    provenance = run.read_provenance()
    trainings = {event.key: run.load_event(Training, event) for event in _trainer_events(run)}

    # The best program: of the result, else the incumbent.
    if result:
        best: Candidate | None = result.best
        metrics = result.metrics
    else:
        best = find_incumbent(candidates, run.config.evolution)
        metrics = report_metrics(run.task, chosen=best.evaluations if best else ())

    return RunData(
        task=run.task.heading,
        env_id=run.task.env.env_id,
        fitness=describe_fitness_source(run.fitness_name),
        created=provenance.created,
        provenance=provenance,
        result=result,
        best=best,
        candidates=candidates or (result.candidates if result else ()),
        curves=tuple(_final_curves(run, trainings, best)),
        terms=_summarize_terms(best) if best else (),
        signals_read=_signals_read(run, best) if best else (),
        costs=_sum_costs(run),
        train_cpu_s=sum(training.cpu_s for training in trainings.values()),
        env_steps=sum(training.env_steps for training in trainings.values()),
        metrics=metrics,
        estimates=build_estimates(candidates, read_finalists(run), result.best.id if result else None),
        limits=_follow_limits(_shown_trainings(trainings, best)) if best else (),
        learned_weights=_follow_weights(_shown_trainings(trainings, best)) if best else (),
    )


def average_curves(name: str, trainings: Sequence[Training], data: Sequence[str] = ()) -> LearningCurve | None:
    """Return the mean of several learning curves; None if none of them has two points with a fitness.

    The mean is taken at the steps of the first curve, over the range that all curves share; the others are
    interpolated.

    Args:
        name: shown beside the curve.
        trainings: of one program, with different seeds.
        data: the trainings' records, relative to the run directory.
    """
    import numpy as np

    curves = []
    for training in trainings:
        measured = [(point.env_steps, point.fitness) for point in training.curve if point.fitness is not None]
        if len(measured) > 1:
            curves.append(np.array(measured, dtype=float))
    if not curves:
        return None

    # Steps at which all curves have a value.
    begin, end = max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves)
    steps = [step for step in curves[0][:, 0] if begin <= step <= end]

    # Mean and range over the seeds.
    values = np.array([np.interp(steps, curve[:, 0], curve[:, 1]) for curve in curves])
    columns = zip(steps, values.mean(axis=0), values.min(axis=0), values.max(axis=0), strict=True)
    points = tuple((float(step), float(mean), float(low), float(high)) for step, mean, low, high in columns)
    return LearningCurve(name, len(curves), points, tuple(data))


def write_data(data: RunData, folder: Path) -> tuple[Path, ...]:
    """Write the data for other programs: figures.json, candidates.csv, curves.csv.

    Raises:
        OSError: if they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    json_file, candidates_file, curves_file = (
        folder / name for name in ("figures.json", "candidates.csv", "curves.csv")
    )
    records.write(data, json_file)

    metrics = metric_names(data.candidates)
    columns = ["candidate", "generation", "status", "fitness", "expected", "parents", "author"]
    columns += [f"metric.{name}" for name in metrics]
    rows: list[list[object]] = []
    for candidate in data.candidates:
        row: list[object] = [candidate.id, candidate.generation, candidate.status, candidate.fitness]
        row.append(data.estimates.find_mean(candidate.id))
        row += [" ".join(candidate.proposal.parents), candidate.proposal.author]
        row += mean_metrics(candidate, metrics)
        rows.append(row)
    write_csv(candidates_file, columns, rows)

    points = [(curve.name, curve.seeds, *point) for curve in data.curves for point in curve.points]
    write_csv(curves_file, ("curve", "training_seeds", "env_steps", "fitness", "least", "greatest"), points)
    return json_file, candidates_file, curves_file


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV table; None becomes an empty cell."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    records.write_text(path, text.getvalue())


def _trainer_events(run: Run) -> list[Event]:
    return [event for event in run.read_events() if is_training_of_search(event.key)]


def _final_curves(run: Run, trainings: dict[str, Training], best: Candidate | None) -> Iterable[LearningCurve]:
    """Yield the learning curves of the final evaluation: the reported program's, and the environment reward's."""
    owners = {"this program": final_owner(best.id) if best else "", "environment reward": BASELINE}
    for name, owner in owners.items():
        own = {key: training for key, training in trainings.items() if owner and owner_of_training(key) == owner}
        folders = [run.layout.training_dir(owner, training.seed) for training in own.values()]
        data = [str((folder / RESULT_FILE).relative_to(run.path)) for folder in folders]
        curve = average_curves(name, tuple(own.values()), data)
        if curve:
            yield curve


def _shown_trainings(trainings: dict[str, Training], best: Candidate) -> list[Training]:
    """Return the reported trainings of the best program; those of the search where there are none."""
    final = [training for key, training in trainings.items() if owner_of_training(key) == final_owner(best.id)]
    return final or list(best.trainings)


def _follow_limits(trainings: Sequence[Training]) -> tuple[LimitCourse, ...]:
    """Return the course of each limit in the first of the trainings."""
    curve = trainings[0].curve if trainings else ()
    courses = []
    for limit in dict.fromkeys(limit for point in curve for limit in point.multipliers):
        points = [point for point in curve if limit in point.multipliers]
        multipliers = tuple((float(point.env_steps), point.multipliers[limit]) for point in points)
        courses.append(LimitCourse(limit, points[-1].terms[parse_limit(limit).term], multipliers))
    return tuple(courses)


def _follow_weights(trainings: Sequence[Training]) -> tuple[tuple[str, tuple[tuple[float, float], ...]], ...]:
    """Return the course of each learned weight in the first of the trainings."""
    points = [point for point in trainings[0].curve if point.weights] if trainings else []
    names = dict.fromkeys(name for point in points for name in point.weights)
    return tuple(
        (name, tuple((float(p.env_steps), p.weights[name]) for p in points if name in p.weights)) for name in names
    )


def _summarize_terms(best: Candidate) -> tuple[TermSummary, ...]:
    """Return the terms of the best program: weight, trial scoring, and payment while training (first seed)."""
    stats = best.trial_terms
    curve = best.trainings[0].curve if best.trainings else ()
    try:
        weights = dict(best.program.weights)
    except RewardsmithError:
        weights = {}

    names = dict.fromkeys([*stats, *(name for point in curve for name in point.terms)])
    summaries = []
    for name in names:
        weight = weights.get(name, 1.0)
        paid = [(float(point.env_steps), weight * point.terms[name]) for point in curve if name in point.terms]
        summaries.append(TermSummary(name, weight, stats.get(name), tuple(paid)))
    return tuple(summaries)


def _signals_read(run: Run, best: Candidate) -> tuple[Signal, ...]:
    """Return the signals that a program names, as the probe recorded them."""
    try:
        names = best.program.signals
        probe = run.read_probe()
    except RewardsmithError:
        return ()
    by_name = {signal.name: signal for signal in (probe.signals if probe else ())}
    return tuple(by_name[name] for name in names if name in by_name)


def _sum_costs(run: Run) -> tuple[RoleCost, ...]:
    """Return the model calls of a run, by role and model."""
    path = run.layout.ledger
    if not path.is_file():
        return ()
    entries = Ledger(path).entries
    costs = []
    for role, model in dict.fromkeys((entry.role, entry.request.model) for entry in entries):
        calls = [entry for entry in entries if (entry.role, entry.request.model) == (role, model)]
        spent = sum_usage(entry.spent for entry in calls)
        latency = sum(entry.latency_s for entry in calls) / len(calls)
        costs.append(RoleCost(role, model, len(calls), spent.tokens, spent.cost_usd, latency))
    return tuple(costs)
