"""The figures of a run's report, read from its directory: what the page shows and what its data files hold."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rewardsmith.contract import records
from rewardsmith.contract.errors import RewardsmithError, RunError
from rewardsmith.contract.records import Candidate, Probe, ReportedFigure, Result, Signal, TermStats, Training
from rewardsmith.contract.reward_program import parse
from rewardsmith.llm import Ledger
from rewardsmith.report.text import further, further_of
from rewardsmith.search.steps import evaluator
from rewardsmith.search.storage import Event, Run
from rewardsmith.search.storage.run import Provenance
from rewardsmith.search.trial import BASELINE, FINAL


@dataclass(frozen=True)
class Course:
    """Fitness while training, the mean over trainings of one program with several seeds."""

    name: str
    seeds: int
    points: tuple[tuple[float, float, float, float], ...]
    """Environment steps; the mean, the least and the greatest over the seeds. Training episodes, with exploration."""
    data: tuple[str, ...]
    """The trainings' records, relative to the run directory."""


@dataclass(frozen=True)
class TermFigure:
    """One term of the winning program."""

    name: str
    weight: float
    stats: TermStats | None
    """Under random actions; None where there was no dry run."""
    paid: tuple[tuple[float, float], ...]
    """Environment steps, and what it paid per step, weight included: the mean over training episodes."""


@dataclass(frozen=True)
class RoleCost:
    """What one role's calls took."""

    role: str
    model: str
    calls: int
    tokens: int
    cost_usd: float | None
    """None where a price is unknown."""
    latency_s: float
    """Mean of a call."""


@dataclass(frozen=True)
class RunFigures:
    """All that a run's report shows."""

    task: str
    env_id: str
    fitness: str
    created: str
    provenance: Provenance
    result: Result | None
    """None where the search has not ended."""
    best: Candidate | None
    candidates: tuple[Candidate, ...]
    courses: tuple[Course, ...]
    terms: tuple[TermFigure, ...]
    reads: tuple[Signal, ...]
    """The signals that the winning program names."""
    costs: tuple[RoleCost, ...]
    train_cpu_s: float
    """CPU time of all trainings, in seconds."""
    env_steps: int
    """Of all trainings so far."""
    further: tuple[ReportedFigure, ...] = ()
    """What is measured beside the fitness."""


def of_run(run: Run) -> RunFigures:
    """Read a run's figures; a run that is still going is read as far as it is.

    Raises:
        RunError: if it is damaged.
    """
    try:
        result, candidates = run.result(), tuple(run.candidates())
        about = records.read(Provenance, run.path / "provenance.json")
        trainings = {event.key: records.load(Training, event.data) for event in _trainer_events(run)}
    except (OSError, ValueError) as error:
        raise RunError(f"{run.path} is damaged: {str(error).splitlines()[0]}") from error
    scored = [one for one in candidates if one.fitness is not None and one.status == "ok"]
    best = result.best if result else max(scored, key=lambda one: one.fitness or 0.0, default=None)
    return RunFigures(
        run.task.text,
        run.task.env.env_id,
        run.task.fitness,
        about.created,
        about,
        result,
        best,
        candidates or (result.candidates if result else ()),
        tuple(_courses(trainings, best)),
        _terms(best) if best else (),
        _reads(run, best) if best else (),
        _costs(run),
        sum(training.cpu_s for training in trainings.values()),
        sum(training.env_steps for training in trainings.values()),
        result.figures if result else evaluator.further(run.task, chosen=best.evaluations if best else ()),
    )


def course(name: str, trainings: Sequence[Training], data: Sequence[str] = ()) -> Course | None:
    """Return the mean course of several trainings; None where none of them has two points with a fitness.

    The mean is taken at the steps of the first one's points, between the points of the others, and ends where the
    first of them ended.
    """
    import numpy as np

    curves = []
    for training in trainings:
        known = [(point.env_steps, point.fitness) for point in training.curve if point.fitness is not None]
        if len(known) > 1:
            curves.append(np.array(known, dtype=float))
    if not curves:
        return None
    begin, end = max(curve[0, 0] for curve in curves), min(curve[-1, 0] for curve in curves)
    steps = [at for at in curves[0][:, 0] if begin <= at <= end]
    values = np.array([np.interp(steps, curve[:, 0], curve[:, 1]) for curve in curves])
    columns = zip(steps, values.mean(axis=0), values.min(axis=0), values.max(axis=0), strict=True)
    points = tuple((float(at), float(mean), float(low), float(high)) for at, mean, low, high in columns)
    return Course(name, len(curves), points, tuple(data))


def write_data(figures: RunFigures, folder: Path) -> tuple[Path, ...]:
    """Write the figures for programs: figures.json, candidates.csv, curves.csv.

    Raises:
        OSError: if they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records.write(figures, folder / "figures.json")
    beside = further(figures.candidates)
    rows = [
        (
            *(one.id, one.generation, one.status, one.fitness),
            *(" ".join(one.proposal.parents), one.proposal.author),
            *further_of(one, beside),
        )
        for one in figures.candidates
    ]
    named = (*("candidate", "generation", "status", "fitness", "parents", "author"), *(f"figure.{n}" for n in beside))
    write_csv(folder / "candidates.csv", named, rows)
    points = [(one.name, one.seeds, *point) for one in figures.courses for point in one.points]
    columns = ("curve", "training_seeds", "env_steps", "fitness", "least", "greatest")
    write_csv(folder / "curves.csv", columns, points)
    return folder / "figures.json", folder / "candidates.csv", folder / "curves.csv"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; what is None is empty."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    records.write_text(path, text.getvalue())


def _trainer_events(run: Run) -> list[Event]:
    return [event for event in run.events() if event.step == "trainer"]


def _courses(trainings: dict[str, Training], best: Candidate | None) -> Iterable[Course]:
    """Yield the reported program's course, and that of the own reward."""
    for name, phase in (("this program", f"{FINAL}/{best.id}" if best else ""), ("own reward", BASELINE)):
        mine = {key: training for key, training in trainings.items() if phase and key.startswith(f"{phase}/")}
        data = [f"{phase}/train-{key.rpartition('/')[2]}/result.json" for key in mine]
        found = course(name, tuple(mine.values()), data)
        if found:
            yield found


def _terms(best: Candidate) -> tuple[TermFigure, ...]:
    stats = {term.name: term for term in best.verdict.dry_run.terms} if best.verdict and best.verdict.dry_run else {}
    curve = best.trainings[0].curve if best.trainings else ()
    try:
        weights = dict(parse(best.proposal.source).weights)
    except RewardsmithError:
        weights = {}
    names = dict.fromkeys([*stats, *(name for point in curve for name in point.terms)])
    found = []
    for name in names:
        weight = weights.get(name, 1.0)
        paid = tuple((float(point.env_steps), weight * point.terms[name]) for point in curve if name in point.terms)
        found.append(TermFigure(name, weight, stats.get(name), paid))
    return tuple(found)


def _reads(run: Run, best: Candidate) -> tuple[Signal, ...]:
    try:
        named = parse(best.proposal.source).signals
        probe = next((event.data for event in run.events() if event.key.startswith("probe/")), None)
    except RewardsmithError:
        return ()
    known = {signal.name: signal for signal in (records.load(Probe, probe).signals if probe else ())}
    return tuple(known[name] for name in named if name in known)


def _costs(run: Run) -> tuple[RoleCost, ...]:
    path = run.path / "llm.jsonl"
    if not path.is_file():
        return ()
    entries = Ledger(path).entries
    found = []
    for role, model in dict.fromkeys((entry.role, entry.request.model) for entry in entries):
        mine = [entry for entry in entries if (entry.role, entry.request.model) == (role, model)]
        costs = [entry.spent.cost_usd for entry in mine]
        known = [cost for cost in costs if cost is not None]
        cost = sum(known) if len(known) == len(costs) else None
        tokens = sum(entry.spent.tokens for entry in mine)
        found.append(RoleCost(role, model, len(mine), tokens, cost, sum(e.latency_s for e in mine) / len(mine)))
    return tuple(found)
