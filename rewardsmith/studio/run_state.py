"""State of a run as the pages show it, read from its directory without writing; also while a search is running."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rewardsmith.contract import bounded_files, records
from rewardsmith.contract.errors import UserError
from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.job_files import RESULT_FILE
from rewardsmith.contract.records import Candidate, CurvePoint, Interval, Result
from rewardsmith.search.feedback import FeedbackState, is_waiting_reason, load_state
from rewardsmith.search.steps.evolution import find_incumbent
from rewardsmith.search.storage import Run, RunLayout
from rewardsmith.search.storage.journal import unreadable_error
from rewardsmith.search.storage.layout import BASELINE, FINAL, parse_candidate_id
from rewardsmith.search.storage.run import read_record
from rewardsmith.studio.run_index import RunRef, is_contained, is_running, open_run

RunStatus = Literal["running", "finished", "interrupted"]
PROGRESS_FILE = "progress.jsonl"
"""File to which a training writes its learning curve while it runs."""


@dataclass(frozen=True)
class RunSummary:
    """A run in the list of runs."""

    ref: RunRef
    status: RunStatus | None
    """None if the run cannot be read."""
    problem: str | None = None
    task: str = ""
    env: str = ""
    created: str = ""
    """Start of the run, UTC, ISO 8601."""
    reported: Interval | None = None
    """Fitness of the best program, retrained on fresh seeds; None until it is known."""
    selection_score: float | None = None
    """Fitness of the best candidate in the search; the choice of the best biases it upwards."""
    best: str | None = None
    generations: int = 0
    candidates: int = 0


@dataclass(frozen=True)
class ActiveTraining:
    """A training that is running."""

    owner: str
    """A candidate's id, "final evaluation" or "baseline"."""
    seed: str
    env_steps: int
    total: int
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class RunState:
    """Everything that the pages show of one run, read once."""

    ref: RunRef
    run: Run
    candidates: tuple[Candidate, ...]
    result: Result | None
    status: RunStatus
    feedback_state: FeedbackState
    active_trainings: tuple[ActiveTraining, ...]
    """Empty unless the run is running."""

    @property
    def best(self) -> Candidate | None:
        """The best candidate so far: the result's, else the incumbent."""
        if self.result is not None:
            return self.find_candidate(self.result.best.id) or self.result.best
        return find_incumbent(self.candidates, self.run.config.evolution)

    @property
    def waits_for_people(self) -> bool:
        """Whether the search stopped so that people compare its programs."""
        stopped = self.result.stopped if self.result else None
        return self.status == "interrupted" and is_waiting_reason(stopped)

    @property
    def generations(self) -> tuple[tuple[Candidate, ...], ...]:
        """The candidates by generation."""
        numbers = sorted({candidate.generation for candidate in self.candidates})
        return tuple(tuple(one for one in self.candidates if one.generation == number) for number in numbers)

    @property
    def fitness(self) -> str:
        """Description of the fitness: an expression, or that a judge gives it."""
        return describe_fitness_source(self.run.fitness_name)

    @property
    def rank(self) -> Literal["metric", "people", "judge"]:
        """The ranking of the programs (metric, people or judge), by the settings and the user's latest choice."""
        return self.feedback_state.effective_settings(self.run.config.feedback).rank

    @property
    def is_read_only(self) -> bool:
        """Whether an older rewardsmith made it, whose generations cannot be continued."""
        return bool(self.candidates) and self.feedback_state.generations_started == 0

    def find_candidate(self, id: str) -> Candidate | None:
        """Return a candidate; None if no candidate has that id."""
        return next((candidate for candidate in self.candidates if candidate.id == id), None)


def load_run_state(ref: RunRef) -> RunState:
    """Read the state of a run.

    Raises:
        RunError: if it is damaged, of another version, or contains a symbolic link where the studio reads.
    """
    run = open_run(ref)
    running = is_running(ref.path)
    try:
        result, candidates = run.read_result(), _load_candidates(run)
    except (OSError, ValueError) as error:
        raise unreadable_error(ref.path, error) from error
    feedback_state = _load_feedback_state(ref.path, *_read_stamp(run.layout.journal))

    # A result is the last word unless the search waits for people, or was asked to go further.
    is_complete = (
        result is not None
        and not is_waiting_reason(result.stopped)
        and 1 + max(candidate.generation for candidate in result.candidates) >= (feedback_state.target_generations or 0)
    )
    status: RunStatus = "running" if running else "finished" if is_complete else "interrupted"
    active_trainings = _load_active_trainings(run) if running else ()
    return RunState(ref, run, candidates, result, status, feedback_state, active_trainings)


def summarize_run(ref: RunRef) -> RunSummary:
    """Return a run's entry in the list; for a run that cannot be read it holds the reason."""
    try:
        state = load_run_state(ref)
    except UserError as error:
        return RunSummary(ref, None, str(error))
    best = state.best
    return RunSummary(
        ref,
        state.status,
        task=state.run.task.heading,
        env=state.run.task.env.env_id,
        created=state.run.read_provenance().created,
        reported=state.result.reported if state.result else None,
        selection_score=best.fitness if best else None,
        best=best.id if best else None,
        generations=len(state.generations),
        candidates=len(state.candidates),
    )


def compute_version_tag(ref: RunRef, extra: Sequence[str] = ()) -> str:
    """Return a tag that changes when the content of a run's page may have changed; costs a few `stat` calls.

    Args:
        ref: the run.
        extra: other values that the page depends on.
    """
    root, layout = ref.path, RunLayout(ref.path)
    files = [layout.journal, layout.result, *layout.list_candidate_records()]
    files += [folder / PROGRESS_FILE for _, _, folder in layout.iter_trainings() if (folder / PROGRESS_FILE).is_file()]
    stamps = [f"{path}:{_read_stamp(path)}" for path in sorted(files)]
    return hashlib.sha256("\n".join([str(is_running(root)), *extra, *stamps]).encode()).hexdigest()[:16]


def describe_author(candidate: Candidate) -> str:
    """Return the author of a candidate's program for display.

    >>> describe_author(Candidate("g0c00", 0, 0, records.Proposal("", "llm:small"), "ok"))
    'small'
    """
    author = candidate.proposal.author
    kind, _, name = author.partition(":")
    return name if kind == "llm" and name else f"weights of {name}" if kind == "weights" else author


def _load_candidates(run: Run) -> tuple[Candidate, ...]:
    candidates = []
    for path in run.layout.list_candidate_records():
        if not is_contained(run.path, path):
            continue
        candidate = _load_candidate(path, run.format, *_read_stamp(path))
        # An id becomes part of paths and addresses: anything else than an id is ignored.
        if parse_candidate_id(candidate.id) and path.parent.name == candidate.id:
            candidates.append(candidate)
    return tuple(sorted(candidates, key=lambda candidate: (candidate.generation, candidate.slot)))


@lru_cache(maxsize=4096)
def _load_candidate(path: Path, format: int, modified_ns: int, size: int) -> Candidate:
    return read_record(Candidate, path, format)


@lru_cache(maxsize=32)
def _load_feedback_state(root: Path, modified_ns: int, size: int) -> FeedbackState:
    return load_state(Run.open(root))


def _read_stamp(path: Path) -> tuple[int, int]:
    """Return modification time and size of a file; zeros if there is no such file."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _load_active_trainings(run: Run) -> tuple[ActiveTraining, ...]:
    """Return the trainings that have started and have no result yet."""
    total, phases = run.config.search.env_steps, {FINAL: "final evaluation", BASELINE: "baseline"}
    trainings = []
    for owner, seed, folder in run.layout.iter_trainings():
        file = folder / PROGRESS_FILE
        if not file.is_file() or (folder / RESULT_FILE).exists() or not is_contained(run.path, file):
            continue
        curve = _read_curve(file)
        env_steps = curve[-1].env_steps if curve else 0
        trainings.append(ActiveTraining(phases.get(owner.split("/")[0], owner), seed, env_steps, total, curve))
    return tuple(trainings)


def _read_curve(file: Path) -> tuple[CurvePoint, ...]:
    """Read a learning curve that is being written; its last line may be incomplete."""
    points = []
    with suppress(OSError, ValueError):
        for number, line in bounded_files.iter_lines(file):
            points.append(records.load(CurvePoint, bounded_files.parse_json(line, file, number)))
    return tuple(points)
