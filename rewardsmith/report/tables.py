"""Tables of results and candidates, as `design`, `resume` and `show` print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rewardsmith.contract.fitness.judged import describe_fitness_source
from rewardsmith.contract.observation import describe_observation
from rewardsmith.contract.records import Candidate, EnsembleRule, Interval, ReportedMetric, Result
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.estimates import HEADING, HINT, TIE_HINT, CandidateEstimates, build_estimates
from rewardsmith.report.text import (
    collect_remarks,
    compare_with_baseline,
    mean_metrics,
    metric_names,
    replace_control_chars,
)
from rewardsmith.search.steps.evolution import BehaviourArchive
from rewardsmith.search.storage.layout import MEASURED_ID, RunLayout

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200
MIN_LAST_COLUMN_WIDTH = 24
"""Width that a table's last column keeps before other columns are left out for it."""
COLUMN_GAP = 2
SVG_WIDTH = 110
LABEL_WIDTH = 44
"""Width of the labels in front of the numbers of a result."""
ENSEMBLE_RULES: dict[EnsembleRule, str] = {"worst": "worst of", "cautious": "cautious mean of"}
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


def summarize_result(result: Result) -> list[str]:
    """Return the numbers of a result, line by line: fitness, verdict, metrics, costs, remarks."""
    baselines, ensemble = result.baselines, result.ensemble

    # Fitness.
    lines = [f"fitness = {describe_fitness_source(result.fitness)}"]
    lines += _format_estimates(
        result,
        result.reported,
        ensemble.reported if ensemble else None,
        baselines.environment_reward,
        baselines.random,
        result.best.fitness,
    )
    lines += _format_lineage(result)
    lines += _format_expectation(result)
    if result.normalised is not None:
        score = f"{format_number(result.normalised, 3):<6} (0 = random, 1 = environment reward)"
        lines.append(_format_row("normalised score", score))
    verdict = compare_with_baseline(result)
    if verdict:
        lines.append(f"  {verdict}")

    # Metrics.
    for metric in result.metrics:
        lines.append(f"{metric.name} = {metric.expression}: {metric.meaning}")
        selected = metric.chosen.mean if metric.chosen else None
        lines += _format_estimates(
            result, metric.reported, metric.ensemble, metric.environment_reward, metric.random, selected
        )

    # The stages before, what the policy sees, and the costs.
    for number, stage in enumerate(result.stages, start=1):
        reached = "none" if stage.reached is None else format_number(stage.reached)
        lines.append(f"stage {number}, {pluralize(stage.env_steps, 'step')}: {stage.text} (selection score {reached})")
    if result.observation:
        lines.append(f"the policy observes: {describe_observation(result.observation)}")
    lines += _describe_archive(result)
    costs = [pluralize(result.env_steps, "environment step")]
    if result.best.id != MEASURED_ID:
        costs.insert(0, pluralize(len(result.candidates), "candidate"))
    if result.spent.calls:
        usd = "cost unknown" if result.spent.cost_usd is None else f"${result.spent.cost_usd:.2f}"
        costs += [pluralize(result.spent.calls, "model call"), pluralize(result.spent.tokens, "token"), usd]
    lines.append(", ".join(costs))

    # Remarks.
    lines += collect_remarks(result.best)
    if result.stopped:
        lines.append(f"ended early: {result.stopped}")
    return [replace_control_chars(line) for line in lines]


def _describe_archive(result: Result) -> list[str]:
    """Return a line on the archive of behaviours; none where the task has no descriptors."""
    if not result.behaviour:
        return []
    archive = BehaviourArchive.build(result.behaviour, result.candidates)
    filled = f"{len(archive.elites)} of {pluralize(archive.size, 'cell')} ({archive.coverage:.0%})"
    line = f"archive of {' and '.join(one.name for one in result.behaviour)}: policies in {filled}"
    if result.baselines.random is not None:
        score = archive.compute_qd_score(result.baselines.random)
        line += f", QD score {format_number(score)} above random actions"
    return [line]


def _format_estimates(
    result: Result,
    reported: Interval | None,
    ensemble: Interval | None,
    baseline: Interval | None,
    random: float | None,
    selected: float | None,
) -> list[str]:
    """Return a line for each estimate of one quantity that is known."""
    lines = []
    if reported is not None:
        seeds = pluralize(len(reported.values), "seed" if result.best.id == MEASURED_ID else "fresh seed")
        verb = "trained" if result.best.id == MEASURED_ID else "retrained"
        lines.append(_format_row(f"this program, {verb} on {seeds}", _format_mean_and_bounds(reported)))
    if ensemble is not None and result.ensemble is not None:
        name = f"{ENSEMBLE_RULES[result.ensemble.rule]} {', '.join(result.ensemble.members)}"
        lines.append(_format_row(name, _format_mean_and_bounds(ensemble)))
    if baseline is not None:
        seeds = pluralize(len(baseline.values), "seed")
        lines.append(_format_row(f"environment reward, trained on {seeds}", _format_mean_and_bounds(baseline)))
    if random is not None:
        lines.append(_format_row("random actions", format_number(random)))
    if selected is not None:
        lines.append(_format_row("selection score (biased upwards)", format_number(selected)))
    return lines


def _format_lineage(result: Result) -> list[str]:
    """Return the lines about the policies that the search itself trained, where they begin with others'."""
    lineage = result.lineage
    if lineage is None or lineage.reached is None:
        return []
    label = f"warm-started lineage, {pluralize(lineage.env_steps, 'step')}"
    path = f"    ({' > '.join(lineage.members)}: the policies of the search, not trained from nothing)"
    return [_format_row(label, _format_mean_and_bounds(lineage.reached)), path]


def _format_expectation(result: Result) -> list[str]:
    """Return a line with the fitness to expect of the best program, from the trainings that it was chosen by."""
    estimate = build_estimates(result.candidates, result.finalists).by_candidate.get(result.best.id)
    if estimate is None:
        return []
    value = f"{format_number(estimate.mean):<6} ± {format_number(estimate.deviation, 2)}"
    return [_format_row(f"expected, from {pluralize(estimate.trainings, 'training')}", value)]


def _format_row(label: str, value: str) -> str:
    """Return a label and its value, the values below each other."""
    return f"  {label:<{LABEL_WIDTH - 2}}{value}"


def _format_mean_and_bounds(interval: Interval) -> str:
    if interval.low is None:
        return format_number(interval.mean)
    return f"{format_number(interval.mean):<6} [{format_number(interval.low)}, {format_number(interval.high)}]"


def format_interval(value: Interval) -> str:
    """Format a mean with its interval and the number of seeds behind it.

    >>> format_interval(Interval(2.0, 1.5, 2.5, (1.75, 2.25)))
    '2      [1.5, 2.5]  2 training seeds'
    """
    return f"{_format_mean_and_bounds(value):<6}  {pluralize(len(value.values), 'training seed')}"


def describe_fitness(candidate: Candidate, result: Result | None) -> str:
    """Return a candidate's fitness: of the final evaluation, else the selection score with what is to be expected."""
    if result is not None and result.reported is not None and result.best.id == candidate.id:
        return format_estimate(result.reported)
    if candidate.fitness is None:
        return "not measured"
    estimates = build_estimates(result.candidates, result.finalists) if result is not None else CandidateEstimates()
    expected = estimates.find_mean(candidate.id)
    note = "" if expected is None else f", {format_number(expected, 3)} expected when retrained"
    return f"{format_number(candidate.fitness, 3)} (selection score{note})"


def format_metrics(metrics: Sequence[ReportedMetric]) -> str:
    """Format the metrics of a reported program, to append to its fitness.

    >>> format_metrics([ReportedMetric("fell", "1 - survived", reported=Interval(0.1, 0.0, 0.2, (0.05, 0.15)))])
    ', fell 0.1 [0, 0.2]'
    """
    return "".join(f", {metric.name} {format_estimate(metric.reported)}" for metric in metrics if metric.reported)


def format_estimate(value: Interval) -> str:
    """Format a mean with its interval.

    >>> format_estimate(Interval(2.0, 1.5, 2.5, (1.75, 2.25))), format_estimate(Interval(2.0, None, None, (2.0,)))
    ('2 [1.5, 2.5]', '2')
    """
    bounds = "" if value.low is None else f" [{format_number(value.low, 3)}, {format_number(value.high, 3)}]"
    return f"{format_number(value.mean, 3)}{bounds}"


# ---------------------------------------------------------------- tables


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


def describe_updates(candidate: Candidate) -> str | None:
    """Return a line about the size of PPO's updates in a candidate's last training; None for other trainers."""
    curve = candidate.trainings[-1].curve if candidate.trainings else ()
    divergences = [point.approx_kl for point in curve if point.approx_kl is not None]
    fractions = [point.clip_fraction for point in curve if point.clip_fraction is not None]
    if not divergences or not fractions:
        return None
    kl = f"approx_kl {format_number(divergences[-1], 2)} (at most {format_number(max(divergences), 2)})"
    clipped = f"clip_fraction {format_number(fractions[-1], 2)} (at most {format_number(max(fractions), 2)})"
    return f"PPO updates at the end of training: {kl}, {clipped}"


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
    """As the last column: whether its text is cut to one line on a terminal instead of wrapped."""


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
