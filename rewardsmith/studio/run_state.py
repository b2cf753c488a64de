"""What the pages tell of a run, read from its directory; nothing here writes, and a run that is going may be read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rewardsmith.contract import records
from rewardsmith.contract.errors import RunError, UserError
from rewardsmith.contract.records import Candidate, CurvePoint, Result
from rewardsmith.search.feedback import State, state
from rewardsmith.search.feedback.search_feedback import WAITS
from rewardsmith.search.storage import Run
from rewardsmith.studio.run_index import Place, contained, going, opened

Standing = Literal["going", "finished", "interrupted"]
ID = re.compile(r"g\d{1,6}c\d{1,6}")
ACTIVE = "*/train-s*/progress.jsonl"


@dataclass(frozen=True)
class Row:
    """A run in the list of runs."""

    place: Place
    standing: Standing | None
    """None where it cannot be read."""
    problem: str | None = None
    task: str = ""
    env: str = ""
    fitness: float | None = None
    """Of the best candidate."""
    best: str | None = None
    generations: int = 0
    candidates: int = 0


@dataclass(frozen=True)
class Active:
    """A training that is under way."""

    owner: str
    """A candidate's id, or "the report", "the baseline"."""
    seed: str
    env_steps: int
    total: int
    curve: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Facts:
    """One run, read once."""

    place: Place
    run: Run
    candidates: tuple[Candidate, ...]
    result: Result | None
    standing: Standing
    state: State
    active: tuple[Active, ...]
    """Empty unless the run is going."""

    @property
    def best(self) -> Candidate | None:
        """The best candidate so far: the result's, else the one of highest fitness."""
        if self.result is not None:
            known = [one for one in self.candidates if one.id == self.result.best.id]
            return known[0] if known else self.result.best
        scored = [one for one in self.candidates if one.fitness is not None and one.status == "ok"]
        return max(scored, key=lambda one: one.fitness or 0.0, default=None)

    @property
    def waits(self) -> bool:
        """Whether the search stopped so that people compare its programs."""
        stopped = self.result.stopped if self.result else None
        return self.standing == "interrupted" and (stopped or "").startswith(WAITS)

    @property
    def generations(self) -> tuple[tuple[Candidate, ...], ...]:
        """The candidates by generation."""
        numbers = sorted({one.generation for one in self.candidates})
        return tuple(tuple(one for one in self.candidates if one.generation == number) for number in numbers)

    @property
    def old(self) -> bool:
        """Whether an older rewardsmith made it, whose generations cannot be continued."""
        return bool(self.candidates) and self.state.begun == 0

    def candidate(self, id: str) -> Candidate | None:
        """Return a candidate; None where there is none of that id."""
        return next((one for one in self.candidates if one.id == id), None)


def facts(place: Place) -> Facts:
    """Read a run.

    Raises:
        RunError: if it is damaged, of another version, or holds a symbolic link where the studio reads.
    """
    run = opened(place)
    busy = going(place.path)
    try:
        result, candidates = run.result(), _candidates(place.path)
    except (OSError, ValueError) as error:
        raise RunError(f"{place.name} is damaged: {_first_line(error)}") from error
    said = _state(place.path, *_stamp(place.path / "journal.jsonl"))
    whole = (
        result is not None
        and not (result.stopped or "").startswith(WAITS)
        and 1 + max(one.generation for one in result.candidates) >= (said.until or 0)
    )
    standing: Standing = "going" if busy else "finished" if whole else "interrupted"
    return Facts(place, run, candidates, result, standing, said, _active(run) if busy else ())


def row(place: Place) -> Row:
    """Return a run's line in the list; a run that cannot be read says why."""
    try:
        known = facts(place)
    except UserError as error:
        return Row(place, None, str(error))
    best, run = known.best, known.run
    return Row(
        place,
        known.standing,
        None,
        run.task.text,
        run.task.env.env_id,
        best.fitness if best else None,
        best.id if best else None,
        len(known.generations),
        len(known.candidates),
    )


def version(place: Place, more: Sequence[str] = ()) -> str:
    """Return a tag that changes when what a run's page shows may have changed; costs a few `stat` calls.

    Args:
        place: the run.
        more: what else the page depends on.
    """
    root = place.path
    files = [root / "journal.jsonl", root / "result.json", *root.glob("candidates/*/candidate.json")]
    files += [path for folder in ("candidates", "final") for path in root.glob(f"{folder}/{ACTIVE}")]
    files += root.glob(f"baseline/{ACTIVE.removeprefix('*/')}")
    stamps = [f"{path}:{_stamp(path)}" for path in sorted(files)]
    return hashlib.sha256("\n".join([str(going(root)), *more, *stamps]).encode()).hexdigest()[:16]


def label(candidate: Candidate) -> str:
    """Return who wrote a candidate's program, as people say it.

    >>> label(Candidate("g0c00", 0, 0, records.Proposal("", "llm:small"), "ok"))
    'small'
    """
    author = candidate.proposal.author
    kind, _, name = author.partition(":")
    return name if kind == "llm" and name else f"weights of {name}" if kind == "weights" else author


def _candidates(root: Path) -> tuple[Candidate, ...]:
    paths = sorted(root.glob("candidates/*/candidate.json"))
    found = [_candidate(path, *_stamp(path)) for path in paths if contained(root, path)]
    # An id becomes part of paths and addresses: one that is none is no candidate of ours.
    sound = [
        one for path, one in zip(paths, found, strict=False) if ID.fullmatch(one.id) and path.parent.name == one.id
    ]
    return tuple(sorted(sound, key=lambda one: (one.generation, one.slot)))


@lru_cache(maxsize=4096)
def _candidate(path: Path, changed: int, size: int) -> Candidate:
    return records.read(Candidate, path)


@lru_cache(maxsize=32)
def _state(root: Path, changed: int, size: int) -> State:
    return state(Run.open(root))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        known = path.stat()
    except OSError:
        return 0, 0
    return known.st_mtime_ns, known.st_size


def _active(run: Run) -> tuple[Active, ...]:
    """Return the trainings that have begun and have no result yet."""
    root, total = run.path, run.config.search.env_steps
    files = [
        *root.glob(f"candidates/{ACTIVE}"),
        *root.glob(f"final/{ACTIVE}"),
        *root.glob("baseline/train-s*/progress.jsonl"),
    ]
    found = []
    for file in sorted(files):
        if (file.parent / "result.json").exists() or not contained(root, file):
            continue
        phase = file.relative_to(root).parts[0]
        owner = {"final": "the report", "baseline": "the baseline"}.get(phase, file.parent.parent.name)
        curve = _curve(file)
        done = curve[-1].env_steps if curve else 0
        found.append(Active(owner, file.parent.name.removeprefix("train-s"), done, total, curve))
    return tuple(found)


def _curve(file: Path) -> tuple[CurvePoint, ...]:
    """Read a learning curve that is being written; its last line may be half there."""
    points = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            points.append(records.load(CurvePoint, json.loads(line)))
        except ValueError:
            break
    return tuple(points)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
