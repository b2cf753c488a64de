"""How a search looks while it runs: a live table on a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

from rewardsmith.contract import records
from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result
from rewardsmith.contract.text import counted
from rewardsmith.report.text import duration, figure, plain, remarks
from rewardsmith.search.callbacks import Watch
from rewardsmith.search.storage import Run
from rewardsmith.search.trial import is_phase

if TYPE_CHECKING:
    from rich.console import RenderableType

REFRESH_HZ = 4
BAR = 24
STATUS_STYLE = {"ok": "green", "invalid": "yellow", "failed": "red", "timeout": "red", "pruned": "dim"}


@contextmanager
def view(stream: TextIO, json_: bool, run: Run) -> Iterator[Watch]:
    """Show a search on `stream` while the block runs, in the form that suits it."""
    if json_:
        yield JsonLines(stream, run)
    elif stream.isatty():
        with _live(stream, run) as watch:
            yield watch
    else:
        yield PlainLines(stream, run)


class JsonLines(Watch):
    """One JSON object per line: {"event": ..., ...}; the last one is {"event": "result", ...}."""

    def __init__(self, stream: TextIO, run: Run) -> None:
        self.stream, self.lock = stream, threading.Lock()
        self._write("run", path=str(run.path), task=run.task.text)

    def started(self, trainings: int, env_steps: int) -> None:
        self._write("started", trainings=trainings, env_steps=env_steps)

    def generation(self, brief: Brief) -> None:
        self._write("generation", number=brief.generation, parents=[parent.id for parent in brief.parents])

    def stage(self, candidate: str, stage: str) -> None:
        self._write("stage", candidate=candidate, stage=stage)

    def curve(self, training: str, point: CurvePoint) -> None:
        self._write("curve", training=training, point=asdict(point))

    def judged(self, candidate: Candidate) -> None:
        self._write(
            "candidate",
            id=candidate.id,
            status=candidate.status,
            fitness=candidate.fitness,
            cause=candidate.cause,
            alarms=candidate.feedback.alarms if candidate.feedback else (),
        )

    def trained(self, training: str) -> None:
        self._write("trained", training=training)

    def notice(self, text: str) -> None:
        self._write("notice", text=text)

    def finished(self, result: Result) -> None:
        self._write("result", **records.dump(result))

    def _write(self, event: str, **data: Any) -> None:
        line = json.dumps({"event": event, **data})
        with self.lock:
            self.stream.write(line + "\n")
            self.stream.flush()


class PlainLines(Watch):
    """One readable line per thing that happened."""

    def __init__(self, stream: TextIO, run: Run) -> None:
        self.stream, self.lock = stream, threading.Lock()
        self.pace, self.last_notice = Pace(), ""
        self._write(f"{run.path}: {run.task.text!r} on {run.task.env.env_id}")
        self._write(f"fitness = {run.task.fitness}")

    def started(self, trainings: int, env_steps: int) -> None:
        self.pace.plan(trainings, env_steps)
        self._write(f"up to {counted(trainings, 'training')} of {counted(env_steps, 'environment step')}")

    def generation(self, brief: Brief) -> None:
        parents = ", ".join(parent.id for parent in brief.parents) or "none"
        self._write(f"generation g{brief.generation}: {counted(brief.population, 'program')}, parents: {parents}")

    def stage(self, candidate: str, stage: str) -> None:
        if is_phase(candidate) and stage == "train":
            self._write(f"to report: a training of {candidate}")

    def curve(self, training: str, point: CurvePoint) -> None:
        self.pace.point(training, point)

    def trained(self, training: str) -> None:
        self.pace.ended(training)

    def judged(self, candidate: Candidate) -> None:
        left = self.pace.left()
        ahead = f", about {duration(left)} left" if left else ""
        outcome = f"fitness {figure(candidate.fitness)}" if candidate.status == "ok" else f"{candidate.cause}"
        self._write(f"{candidate.id} {candidate.status}: {outcome}{ahead}")
        for line in remarks(candidate):
            self._write(f"  {line}")

    def notice(self, text: str) -> None:
        if text != self.last_notice:
            self._write(text)
        self.last_notice = text

    def finished(self, result: Result) -> None: ...

    def _write(self, text: str) -> None:
        with self.lock:
            self.stream.write(plain(text) + "\n")
            self.stream.flush()


class Pace:
    """How far the trainings of the search are, and how long the rest may take."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.total = 0
        self.env_steps = 1
        self.done: dict[str, int] = {}
        self.resumed = 0

    def plan(self, trainings: int, env_steps: int) -> None:
        """Take note of what lies ahead."""
        self.total, self.env_steps = trainings * env_steps, env_steps
        self.began = time.monotonic()

    def point(self, training: str, point: CurvePoint) -> None:
        """Take note of a training's progress."""
        self.done[training] = min(point.env_steps, self.env_steps)

    def ended(self, training: str) -> None:
        """Take note of a training's end; one without a single point was found finished."""
        if training not in self.done:
            self.resumed += self.env_steps
        self.done[training] = self.env_steps

    def left(self) -> float | None:
        """Return the seconds that the rest may take; None while nothing is known."""
        done = sum(self.done.values())
        worked = done - self.resumed
        if worked <= 0 or done >= self.total:
            return None
        return (time.monotonic() - self.began) / worked * (self.total - done)

    def part(self) -> float:
        """Return the part that is done, in [0, 1]."""
        return min(1.0, sum(self.done.values()) / self.total) if self.total else 0.0


@dataclass
class Row:
    """What the live table shows of one candidate."""

    stage: str = "design"
    point: CurvePoint | None = None
    candidate: Candidate | None = None


class LiveTable(Watch):
    """The live view: a row per candidate, a bar per training, and the time that is left."""

    def __init__(self, run: Run) -> None:
        self.run, self.pace, self.lock = run, Pace(), threading.Lock()
        self.rows: dict[str, Row] = {}
        self.notices: list[str] = []
        self.headline = "looking at the environment"

    def started(self, trainings: int, env_steps: int) -> None:
        self.pace.plan(trainings, env_steps)

    def generation(self, brief: Brief) -> None:
        self.headline = (
            f"generation g{brief.generation} ({brief.generation + 1} of "
            f"{max(brief.generation + 1, self.run.config.search.generations)})"
        )

    def stage(self, candidate: str, stage: str) -> None:
        with self.lock:
            if is_phase(candidate):
                self.headline = "training anew, to report"
            self.rows.setdefault(candidate, Row()).stage = stage

    def curve(self, training: str, point: CurvePoint) -> None:
        with self.lock:
            self.pace.point(training, point)
            self.rows.setdefault(training.partition("/trainer/")[0], Row()).point = point

    def trained(self, training: str) -> None:
        with self.lock:
            self.pace.ended(training)

    def judged(self, candidate: Candidate) -> None:
        with self.lock:
            self.rows[candidate.id] = Row("done", candidate=candidate)

    def notice(self, text: str) -> None:
        with self.lock:
            if plain(text) not in self.notices[-1:]:
                self.notices.append(plain(text))

    def finished(self, result: Result) -> None: ...

    def __rich__(self) -> RenderableType:
        """Draw the table as it stands."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        with self.lock:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for name in ("candidate", "stage", "progress", "reward", "length", "fitness"):
                table.add_column(name, justify="left" if name in ("candidate", "stage", "progress") else "right")
            for id, row in self.rows.items():
                table.add_row(*self._cells(id, row))
            left = self.pace.left()
            head = f"{plain(self.run.task.text)}  [{self.run.task.env.env_id}]  {self.headline}"
            ahead = f", about {duration(left)} left" if left else ""
            ahead = f"{bar(self.pace.part())} {self.pace.part():4.0%}{ahead}"
            measure = Text(f"fitness = {plain(self.run.task.fitness)}", style="dim")
            return Group(Text(head, style="bold"), measure, Text(ahead), table, *map(Text, self.notices))

    def _cells(self, id: str, row: Row) -> tuple[RenderableType, ...]:
        from rich.text import Text

        if row.candidate is not None:
            done = row.candidate
            style = STATUS_STYLE.get(done.status, "red")
            why = "; ".join(remarks(done)) if done.status == "ok" else plain(done.cause or "").splitlines()[0]
            last = done.trainings[-1].curve[-1] if done.trainings and done.trainings[-1].curve else None
            cells = (figure(last.reward), figure(last.length)) if last else ("", "")
            status, fitness = Text(done.status, style=style), Text(figure(done.fitness), style=style)
            return (id, status, Text(plain(why)[:60]), *cells, fitness)
        if row.point is None:
            return (id, row.stage, "", "", "", "")
        part = row.point.env_steps / self.pace.env_steps
        figures = (figure(row.point.reward), figure(row.point.length), figure(row.point.fitness))
        return (id, row.stage, bar(part), *figures)


def bar(part: float) -> str:
    """Return a progress bar.

    >>> bar(0.5)
    '━━━━━━━━━━━━────────────'
    """
    filled = round(min(1.0, part) * BAR)
    return "━" * filled + "─" * (BAR - filled)


@contextmanager
def _live(stream: TextIO, run: Run) -> Iterator[Watch]:
    from rich.console import Console
    from rich.live import Live

    table = LiveTable(run)
    with Live(table, console=Console(file=stream), refresh_per_second=REFRESH_HZ, transient=False):
        yield table
