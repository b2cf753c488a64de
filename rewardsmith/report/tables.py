"""Tables of results and candidates, as `design`, `resume` and `show` print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rewardsmith.contract.records import Candidate, Result
from rewardsmith.contract.text import format_number
from rewardsmith.report.estimates import HEADING, HINT, TIE_HINT, CandidateEstimates, build_estimates
from rewardsmith.report.result_lines import summarize_result
from rewardsmith.report.text import mean_metrics, metric_names, replace_control_chars
from rewardsmith.search.storage.layout import MEASURED_ID, RunLayout

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200
MIN_LAST_COLUMN_WIDTH = 24
"""Width that a table's last column keeps before other columns are left out for it."""
COLUMN_GAP = 2
SVG_WIDTH = 110
SPARKLINE_BARS = "▁▂▃▄▅▆▇█"


def print_result(result: Result, console: Console, path: Path | None = None) -> None:
    """Print the outcome of a search: its candidates, the best program, and its fitness.

    Args:
        result: the outcome.
        console: the terminal or pipe to print to.
        path: the run directory as it is now; None takes the place where the run was made.
    """
    path = path or Path(result.run)

    # The table: candidates of a search, or the seeds of one measured program.
    if result.best.id == MEASURED_ID:
        _print_seeds(result, console)
        heading = f"The program ({RunLayout(path).best_program}):"
    else:
        estimates = build_estimates(result.candidates, result.finalists, result.best.id)
        print_candidates(result.candidates, estimates, console)
        heading = f"The best program, {result.best.id} ({RunLayout(path).best_program}):"

    # The program's text.
    console.print(f"\n{heading}\n", markup=False, soft_wrap=True)
    print_program(result.best.proposal.source, console)

    # The numbers, and where to read more.
    for line in summarize_result(result):
        console.print(line, markup=False, soft_wrap=True)
    page = RunLayout(path).report
    if page.is_file():
        console.print(f"full report: {page}", markup=False, soft_wrap=True)


def make_console(stream: TextIO) -> Console:
    """Return a console that uses a terminal's width, or in a pipe as much width as a table needs."""
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def render_svg(result: Result, path: Path | None = None) -> str:
    """Render what `print_result` shows on a terminal as an SVG picture."""
    from rich.console import Console

    console = Console(file=StringIO(), record=True, width=SVG_WIDTH, force_terminal=True, highlight=False)
    command = f'$ rewardsmith design "{replace_control_chars(result.task)}" --env {result.env_id}\n'
    console.print(command, markup=False, style="bold")
    print_result(result, console, path)
    return console.export_svg(title="rewardsmith")


def print_program(source: str, console: Console) -> None:
    """Print a program and an empty line, in colour on a terminal."""
    from rich.syntax import Syntax

    text = replace_control_chars(source.strip())
    if console.is_terminal:
        console.print(Syntax(text, "python", background_color="default", theme="ansi_dark", word_wrap=True))
    else:
        console.print(text, markup=False, soft_wrap=True)
    console.print()


def print_candidates(candidates: Sequence[Candidate], estimates: CandidateEstimates, console: Console) -> None:
    """Print a table of candidates.

    Args:
        candidates: one row each.
        estimates: of the whole search, with its best candidate, which is marked with a star.
        console: the terminal or pipe to print to.
    """
    metrics = metric_names(candidates)
    has_estimates = any(candidate.id in estimates.by_candidate for candidate in candidates)

    # Columns with a higher `drop` are left out earlier on a narrow terminal.
    base_drop = len(metrics) + 2
    columns = [TableColumn(""), TableColumn("candidate"), TableColumn("status"), TableColumn("fitness", right=True)]
    if has_estimates:
        columns.append(TableColumn(HEADING, right=True))
    for index, name in enumerate(metrics):
        columns.append(TableColumn(name, right=True, drop=len(metrics) + 1 - index))
    columns += [
        TableColumn("length", right=True, drop=base_drop + 1),
        TableColumn("while training", drop=1),
        TableColumn("parents", drop=base_drop),
        TableColumn("author", drop=base_drop + 2),
        TableColumn("cause"),
    ]

    rows = []
    for candidate in candidates:
        curve = candidate.trainings[-1].curve if candidate.trainings else ()
        row = [estimates.choose_mark(candidate.id), candidate.id, candidate.status, format_number(candidate.fitness)]
        row += [format_number(estimates.find_mean(candidate.id))] if has_estimates else []
        row += [format_number(value) for value in mean_metrics(candidate, metrics)]
        row.append(format_number(curve[-1].length if curve else None, 3))
        row.append(draw_sparkline([point.fitness for point in curve]))
        row += [" ".join(candidate.proposal.parents), candidate.proposal.author]
        row.append(candidate.cause.splitlines()[0] if candidate.cause else "")
        rows.append(row)
    print_table(columns, rows, console)

    # What the marks and the estimates mean.
    hints = [HINT] if has_estimates else []
    hints += [TIE_HINT] if any(candidate.id in estimates.ties for candidate in candidates) else []
    for hint in hints:
        console.print(hint, markup=False, soft_wrap=True)


def _print_seeds(result: Result, console: Console) -> None:
    """Print the fitness of each training seed of a program that was measured without a search."""
    if result.reported is None:
        print_candidates(result.candidates, CandidateEstimates(), console)
        return
    baseline = result.baselines.environment_reward
    columns = [TableColumn("training seed"), TableColumn("fitness", right=True)]
    rows = [[str(seed), format_number(value)] for seed, value in enumerate(result.reported.values, 1)]
    if baseline is not None and len(baseline.values) == len(rows):
        columns.append(TableColumn("environment reward", right=True))
        for row, value in zip(rows, baseline.values, strict=True):
            row.append(format_number(value))
    print_table(columns, rows, console)


@dataclass(frozen=True)
class TableColumn:
    """A column of a table."""

    name: str
    right: bool = False
    """Whether its numbers are aligned to the right."""
    drop: int = 0
    """Order in which columns are left out of a narrow terminal, the highest first; those with 0 always stay."""
    cut: bool = False
    """Whether a terminal shows one line of its text instead of wrapping it, where it is the last column."""


def print_table(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table that fits a terminal: the last column takes the remaining width, and no other column wraps.

    In a pipe every row is one line.
    """
    from rich.table import Table
    from rich.text import Text

    # The width that each column would need.
    cells = [[Text(replace_control_chars(cell)) for cell in row] for row in rows]
    widths = []
    for index, column in enumerate(columns):
        widths.append(max([Text(column.name).cell_len, *(row[index].cell_len for row in cells)]))

    # What fits.
    kept = list(range(len(columns)))
    if console.is_terminal:
        kept, last_width = _choose_columns(columns, widths, console.width)
        widths[-1] = min(widths[-1], last_width)
    else:
        console.width = max(console.width, sum(widths) + COLUMN_GAP * len(widths))

    table = Table(box=None, pad_edge=False, header_style="bold")
    for index in kept:
        column = columns[index]
        wraps = index == len(columns) - 1 and not column.cut
        table.add_column(
            column.name,
            justify="right" if column.right else "left",
            width=widths[index],
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
        )
    for row in cells:
        table.add_row(*(row[index] for index in kept))
    console.print(table)


def _choose_columns(columns: Sequence[TableColumn], widths: Sequence[int], width: int) -> tuple[list[int], int]:
    """Return the indices of the columns that a terminal has room for, and the width left for the last column."""
    kept = list(range(len(columns)))
    needed_for_last = min(widths[-1], MIN_LAST_COLUMN_WIDTH)
    while True:
        room = width - sum(widths[index] + COLUMN_GAP for index in kept[:-1])
        candidate_to_drop = max(kept, key=lambda index: columns[index].drop)
        if room >= needed_for_last or not columns[candidate_to_drop].drop:
            return kept, max(room, 1)
        kept.remove(candidate_to_drop)


def draw_sparkline(values: Sequence[float | None]) -> str:
    """Draw values as a row of bars, with a gap for None.

    >>> draw_sparkline([0.0, None, 1.0, 2.0])
    '▁ ▅█'
    """
    finite = [value for value in values if value is not None]
    if not finite:
        return ""
    low, span = min(finite), (max(finite) - min(finite)) or 1.0
    highest_bar = len(SPARKLINE_BARS) - 1
    bars = [" " if value is None else SPARKLINE_BARS[round((value - low) / span * highest_bar)] for value in values]
    return "".join(bars)
