"""Views of a running search: a live table on a terminal, plain lines in a pipe, JSON lines for programs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from rewardsmith.contract import records
from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.records import Brief, Candidate, CurvePoint, Result
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.estimates import HEADING, CandidateEstimates, build_estimates
from rewardsmith.report.progress import ProgressEstimate, describe_owner
from rewardsmith.report.text import collect_remarks, format_duration, replace_control_chars
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.journal_keys import owner_of_training
from rewardsmith.search.storage.layout import (
    BASELINE,
    FINAL,
    MEASURED_ID,
    final_owner,
    is_ablation,
    is_finalist,
    is_phase,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table
    from rich.text import Text

REFRESH_HZ = 4
BAR_WIDTH = 24
MAX_LIVE_NOTICES = 3
"""Notices below the live table while the search runs; all of them are shown at its end."""
MIN_LIVE_ROWS = 3
STATUS_STYLE = {"ok": "green", "invalid": "yellow", "failed": "red", "timeout": "red", "pruned": "dim"}


@contextmanager
def open_view(stream: TextIO, json_: bool, run: Run) -> Iterator[SearchCallback]:
    """Show a search on `stream` while the block runs, in the form that suits the stream.

    Args:
        stream: a terminal, a pipe or a file.
        json_: whether to write JSON lines.
        run: the search.
    """
    if json_:
        yield JsonLines(stream, run)
    elif stream.isatty():
        with _open_live_table(stream, run) as table:
            yield table
    else:
        yield PlainLines(stream, run)


class JsonLines(SearchCallback):
    """One JSON object per line: {"event": ..., ...}; the last one is {"event": "result", ...}."""

    def __init__(self, stream: TextIO, run: Run) -> None:
        self.stream, self.lock = stream, threading.Lock()
        self._write("run", path=str(run.path), task=run.task.heading)

    def on_search_start(self, trainings: int, env_steps: int) -> None:
        self._write("started", trainings=trainings, env_steps=env_steps)

    def on_generation_start(self, brief: Brief) -> None:
        self._write("generation", number=brief.generation, parents=[parent.id for parent in brief.parents])

    def on_stage(self, owner: str, stage: str) -> None:
        self._write("stage", candidate=owner, stage=stage)

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        self._write("curve", training=training, point=asdict(point))

    def on_candidate_end(self, candidate: Candidate) -> None:
        self._write(
            "candidate",
            id=candidate.id,
            status=candidate.status,
            fitness=candidate.fitness,
            cause=candidate.cause,
            alarms=candidate.reflection.alarms if candidate.reflection else (),
        )

    def on_training_end(self, training: str) -> None:
        self._write("trained", training=training)

    def on_notice(self, text: str) -> None:
        self._write("notice", text=text)

    def on_search_end(self, result: Result) -> None:
        estimates = build_estimates(result.candidates, result.finalists, result.best.id)
        self._write("result", **records.dump(result), estimates=estimates.dump())

    def _write(self, event: str, **data: Any) -> None:
        line = json.dumps({"event": event, **data})
        with self.lock:
            self.stream.write(line + "\n")
            self.stream.flush()


class PlainLines(SearchCallback):
    """One readable line per event, for a pipe or a log file."""

    def __init__(self, stream: TextIO, run: Run) -> None:
        self.stream, self.lock = stream, threading.Lock()
        self.progress, self.last_notice = ProgressEstimate(), ""
        self.final_seeds, self.final_trainings = run.config.search.final_seeds, dict[str, int]()
        self._write(f"{run.path}: {run.task.heading!r} on {run.task.env.env_id}")
        self._write(f"fitness = {describe_fitness_source(run.fitness_name)}")

    def on_search_start(self, trainings: int, env_steps: int) -> None:
        self.progress.set_plan(trainings, env_steps)
        self._write(f"up to {pluralize(trainings, 'training')} of {pluralize(env_steps, 'environment step')}")

    def on_generation_start(self, brief: Brief) -> None:
        parents = ", ".join(parent.id for parent in brief.parents)
        origin = f", parents: {parents}" if parents else ""
        self._write(f"generation {brief.generation}: {pluralize(brief.population, 'new program')}{origin}")

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        self.progress.record_point(training, point)

    def on_training_end(self, training: str) -> None:
        self.progress.record_end(training)
        owner = owner_of_training(training)
        if is_finalist(owner) or is_ablation(owner):
            self._write(f"{describe_owner(owner)}: fresh training finished")
        elif is_phase(owner):
            with self.lock:
                finished = self.final_trainings.get(owner, 0) + 1
                self.final_trainings[owner] = finished
            self._write(f"{describe_owner(owner)}: training finished ({finished} of {self.final_seeds})")

    def on_candidate_end(self, candidate: Candidate) -> None:
        left = self.progress.seconds_left()
        ahead = f", about {format_duration(left)} left" if left else ""
        outcome = f"fitness {format_number(candidate.fitness)}" if candidate.status == "ok" else f"{candidate.cause}"
        self._write(f"{candidate.id} {candidate.status}: {outcome}{ahead}")
        for line in collect_remarks(candidate):
            self._write(f"  {line}")

    def on_notice(self, text: str) -> None:
        if text != self.last_notice:
            self._write(text)
        self.last_notice = text

    def _write(self, text: str) -> None:
        with self.lock:
            self.stream.write(replace_control_chars(text) + "\n")
            self.stream.flush()


@dataclass
class LiveRow:
    """State of one candidate, or of one part of the final evaluation, in the live table."""

    stage: str = "design"
    points: dict[str, CurvePoint | None] = field(default_factory=dict)
    """Newest point of each training that runs, by its key; None before its first point."""
    last_point: CurvePoint | None = None
    candidate: Candidate | None = None
    """The finished candidate; None while it is worked on, and for the final evaluation."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more happens in this row."""
        return self.stage == "done"


class LiveTable(SearchCallback):
    """The live view: a row per candidate, a bar per row that trains, and the time left.

    What runs comes first; finished rows, the newest first, fill the remaining lines of the terminal.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.progress, self.lock = run, ProgressEstimate(), threading.Lock()
        self.rows: dict[str, LiveRow] = {}
        self.notices: list[str] = []
        self.headline = "probing the environment"
        self.ended = False
        self.estimates = CandidateEstimates()
        """Estimates of the candidates, at the end of the search."""

    def on_search_start(self, trainings: int, env_steps: int) -> None:
        self.progress.set_plan(trainings, env_steps)

    def on_generation_start(self, brief: Brief) -> None:
        total = max(brief.generation + 1, self.run.config.search.generations)
        self.headline = f"generation {brief.generation} ({brief.generation + 1} of {total})"

    def on_stage(self, owner: str, stage: str) -> None:
        with self.lock:
            self.headline = self._choose_headline(owner)
            self.rows.setdefault(owner, LiveRow()).stage = stage

    def on_curve_point(self, training: str, point: CurvePoint) -> None:
        with self.lock:
            self.progress.record_point(training, point)
            row = self.rows.setdefault(owner_of_training(training), LiveRow())
            row.points[training] = row.last_point = point

    def on_training_end(self, training: str) -> None:
        with self.lock:
            self.progress.record_end(training)
            row = self.rows.setdefault(owner_of_training(training), LiveRow())
            row.points.pop(training, None)

    def on_candidate_end(self, candidate: Candidate) -> None:
        with self.lock:
            # Rows are in the order in which they finished.
            self.rows.pop(candidate.id, None)
            self.rows[candidate.id] = LiveRow("done", candidate=candidate)

    def on_notice(self, text: str) -> None:
        with self.lock:
            if replace_control_chars(text) not in self.notices[-1:]:
                self.notices.append(replace_control_chars(text))

    def on_search_end(self, result: Result) -> None:
        with self.lock:
            self.headline, self.ended = "finished", True
            candidates = [row.candidate for row in self.rows.values() if row.candidate]
            if candidates:
                self.estimates = build_estimates(candidates, result.finalists, result.best.id)
            for row in self.rows.values():
                row.stage = "done"
                row.points.clear()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table as it is now, no higher than the terminal."""
        from rich.text import Text

        with self.lock:
            heading = self._build_heading()
            notices = [Text(notice) for notice in (self.notices if self.ended else self.notices[-MAX_LIVE_NOTICES:])]

            # Lines that remain for rows: without the heading, the table's own head, the notices and the "more" line.
            taken = sum(len(text.wrap(console, options.max_width)) for text in (*heading, *notices))
            capacity = max(MIN_LIVE_ROWS, console.size.height - taken - 3)

            running = [(owner, row) for owner, row in self.rows.items() if not row.is_finished]
            finished = [(owner, row) for owner, row in self.rows.items() if row.is_finished]
            ordered = running + finished[::-1]
            yield from heading
            yield self._build_table(ordered[:capacity])
            if len(ordered) > capacity:
                yield Text(f"… {len(ordered) - capacity} more", style="dim")
            yield from notices

    def _choose_headline(self, owner: str) -> str:
        """Return the headline of the phase that an owner of trainings belongs to; a generation keeps its own."""
        if is_finalist(owner):
            return "finalists: fresh trainings of the best programs"
        if is_ablation(owner):
            return "ablation: the program without each of its terms"
        if not is_phase(owner):
            return self.headline
        if owner == BASELINE and not any(shown.startswith(FINAL) for shown in self.rows):
            return "final evaluation"
        is_measured = final_owner(MEASURED_ID) in (owner, *self.rows)
        return "training the program" if is_measured else "final evaluation: retraining the best program"

    def _build_heading(self) -> list[Text]:
        from rich.text import Text

        task = self.run.task
        title = f"{replace_control_chars(task.heading)}  [{task.env.env_id}]  {self.headline}"
        fraction, left = self.progress.fraction_done(), self.progress.seconds_left()
        ahead = f", about {format_duration(left)} left" if left else ""
        return [
            Text(title, style="bold"),
            Text(f"fitness = {replace_control_chars(describe_fitness_source(self.run.fitness_name))}", style="dim"),
            Text(f"{draw_bar(fraction)} {fraction:4.0%}{ahead}"),
        ]

    def _build_table(self, rows: list[tuple[str, LiveRow]]) -> Table:
        from rich.table import Table

        # The numbers keep their width; the bar, or a remark about a candidate, takes what is left.
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        for name in ("candidate", "stage"):
            table.add_column(name, no_wrap=True)
        table.add_column("progress", no_wrap=True, overflow="ellipsis", min_width=BAR_WIDTH, ratio=1)
        numbers = ("reward", "length", "fitness", *([HEADING] if self.estimates.by_candidate else []))
        for name in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        for owner, row in rows:
            table.add_row(*self._build_cells(owner, row))
        return table

    def _build_cells(self, owner: str, row: LiveRow) -> tuple[RenderableType, ...]:
        """Return the cells of a row, one for each column of `_build_table`."""
        return self._build_finished_cells(row.candidate) if row.candidate else self._build_running_cells(owner, row)

    def _build_finished_cells(self, candidate: Candidate) -> tuple[RenderableType, ...]:
        """Return a candidate's status, what the user should know about it, and its last numbers."""
        from rich.text import Text

        # What there is to say.
        is_ok = candidate.status == "ok"
        remark = "; ".join(collect_remarks(candidate)) if is_ok else (candidate.cause or "").partition("\n")[0]
        note = Text(replace_control_chars(remark))
        name = f"{candidate.id} {self.estimates.choose_mark(candidate.id)}".strip()

        # The numbers.
        style = STATUS_STYLE.get(candidate.status, "red")
        status, fitness = Text(candidate.status, style=style), Text(format_number(candidate.fitness), style=style)
        last = candidate.trainings[-1].curve[-1] if candidate.trainings and candidate.trainings[-1].curve else None
        reward, length = (format_number(last.reward), format_number(last.length)) if last else ("", "")
        expected = [format_number(self.estimates.find_mean(candidate.id))] if self.estimates.by_candidate else []
        return (name, status, note, reward, length, fitness, *expected)

    def _build_running_cells(self, owner: str, row: LiveRow) -> tuple[RenderableType, ...]:
        """Return the stage of an owner of trainings, a bar over those that run, and the numbers of the newest point."""
        bar = ""
        if row.points:
            steps = sum(point.env_steps for point in row.points.values() if point)
            bar = draw_bar(steps / (self.progress.env_steps * len(row.points)))
        stage = "train" if row.points else row.stage
        point = row.last_point
        numbers = (point.reward, point.length, point.fitness) if point else ()
        cells = [format_number(number) for number in numbers] or ["", "", ""]
        return (describe_owner(owner), stage, bar, *cells)


def draw_bar(fraction: float) -> str:
    """Draw a progress bar.

    >>> draw_bar(0.5)
    '━━━━━━━━━━━━────────────'
    """
    filled = round(min(1.0, fraction) * BAR_WIDTH)
    return "━" * filled + "─" * (BAR_WIDTH - filled)


@contextmanager
def _open_live_table(stream: TextIO, run: Run) -> Iterator[SearchCallback]:
    from rich.console import Console
    from rich.live import Live

    table = LiveTable(run)
    with Live(table, console=Console(file=stream), refresh_per_second=REFRESH_HZ, transient=False):
        yield table
