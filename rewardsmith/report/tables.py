"""The tables that end a search and that `rewardsmith show` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rewardsmith.contract.records import Candidate, Interval, ReportedFigure, Result, Rule
from rewardsmith.contract.text import counted
from rewardsmith.report.text import figure, further, further_of, plain, remarks, saved, verdict

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 200
LAST_WIDTH = 24
"""Of a table's last column, before others are left out for it."""
GAP = 2
"""Between two columns."""
PICTURE_WIDTH = 110
RULES: dict[Rule, str] = {"worst": "worst of", "cautious": "cautious mean of"}
SPARKS = "▁▂▃▄▅▆▇█"


def print_result(result: Result, console: Console) -> None:
    """Print the outcome of a search: its candidates, the best program, and what it is worth."""
    from rich.syntax import Syntax

    print_candidates(result.candidates, result.best.id, console)
    console.print(f"\nThe best program, {result.best.id} ({result.run}/reward.py):\n", markup=False, soft_wrap=True)
    source = plain(result.best.proposal.source.strip())
    if console.is_terminal:
        console.print(Syntax(source, "python", background_color="default", theme="ansi_dark"))
    else:
        console.print(source, markup=False, soft_wrap=True)
    console.print()
    for line in summary(result):
        console.print(line, markup=False, soft_wrap=True)
    page = Path(result.run) / "report.html"
    if page.is_file():
        console.print(f"all of it to read: {page}", markup=False, soft_wrap=True)


def console_on(stream: TextIO) -> Console:
    """Return a console that uses a terminal's width, and all the width it needs in a pipe."""
    from rich.console import Console

    return Console(file=stream, highlight=False, width=None if stream.isatty() else PIPE_WIDTH)


def picture(result: Result) -> str:
    """Return what `print_result` shows on a terminal as an SVG picture."""
    from rich.console import Console

    console = Console(file=StringIO(), record=True, width=PICTURE_WIDTH, force_terminal=True, highlight=False)
    console.print(f'$ rewardsmith design "{plain(result.task)}" --env {result.env_id}\n', markup=False, style="bold")
    print_result(result, console)
    return console.export_svg(title="rewardsmith")


def summary(result: Result) -> list[str]:
    """Return what the result is worth, line by line."""
    own, random, ensemble = result.baselines.own_reward, result.baselines.random, result.ensemble
    lines = [f"fitness = {result.fitness}"]
    lines += _worth(result, result.reported, ensemble.reported if ensemble else None, own, random, result.best.fitness)
    if result.normalised is not None:
        lines.append(f"  normalised (random 0, own 1)      {figure(result.normalised, 3)}")
    said = verdict(result)
    lines += [f"  {said}"] if said else []
    for one in result.figures:
        lines.append(f"{one.name} = {one.expression}: {one.meaning}")
        chosen = one.chosen.mean if one.chosen else None
        lines += _worth(result, one.reported, one.ensemble, one.own_reward, one.random, chosen)
    cost = "cost unknown" if result.spent.cost_usd is None else f"${result.spent.cost_usd:.2f}"
    spent = (counted(result.spent.calls, "model call"), counted(result.spent.tokens, "token"), cost)
    done = (counted(len(result.candidates), "candidate"), counted(result.env_steps, "environment step"))
    lines.append(", ".join((*done, *spent) if result.spent.calls else done))
    held_back = saved(result.candidates)
    lines += [held_back] if held_back else []
    lines += remarks(result.best)
    if result.stopped:
        lines.append(f"ended early: {result.stopped}")
    return [plain(line) for line in lines]


def _worth(
    result: Result,
    reported: Interval | None,
    ensemble: Interval | None,
    own: Interval | None,
    random: float | None,
    chosen: float | None,
) -> list[str]:
    """Return a line for each of the values of one measure that is known."""
    lines = []
    if reported is not None:
        lines.append(f"  this program, trained anew        {interval(reported)}")
    if ensemble is not None and result.ensemble is not None:
        name = f"{RULES[result.ensemble.rule]} {', '.join(result.ensemble.members)}"
        lines.append(f"  {name:<34}{interval(ensemble)}")
    if own is not None:
        lines.append(f"  the environment's own reward      {interval(own)}")
    if random is not None:
        lines.append(f"  random actions                    {figure(random)}")
    if chosen is not None:
        lines.append(f"  in the search, where chosen       {figure(chosen)}")
    return lines


def interval(value: Interval) -> str:
    """Return a mean with its interval and the number of seeds behind it.

    >>> interval(Interval(2.0, 1.5, 2.5, (1.75, 2.25)))
    '2      [1.5, 2.5]  2 training seeds'
    """
    seeds = counted(len(value.values), "training seed")
    bounds = "" if value.low is None else f"[{figure(value.low)}, {figure(value.high)}]  "
    return f"{figure(value.mean):<6} {bounds}{seeds}"


def worth(candidate: Candidate, result: Result | None) -> str:
    """Return what a candidate is worth: the figure of it trained anew where there is one, else that of the search."""
    if result is not None and result.reported is not None and result.best.id == candidate.id:
        return bounded(result.reported)
    return "no figure" if candidate.fitness is None else f"{figure(candidate.fitness, 3)} in the search"


def beside(figures: Sequence[ReportedFigure]) -> str:
    """Return what was measured of a reported program beside its fitness, to put behind it.

    >>> beside([ReportedFigure("fell", "1 - survived", reported=Interval(0.1, 0.0, 0.2, (0.05, 0.15)))])
    ', fell 0.1 [0, 0.2]'
    """
    known = [(one.name, one.reported) for one in figures if one.reported]
    return "".join(f", {name} {bounded(value)}" for name, value in known)


def bounded(value: Interval) -> str:
    """Return a mean with its interval.

    >>> bounded(Interval(2.0, 1.5, 2.5, (1.75, 2.25))), bounded(Interval(2.0, None, None, (2.0,)))
    ('2 [1.5, 2.5]', '2')
    """
    bounds = "" if value.low is None else f" [{figure(value.low, 3)}, {figure(value.high, 3)}]"
    return f"{figure(value.mean, 3)}{bounds}"


def print_candidates(candidates: Sequence[Candidate], best: str | None, console: Console) -> None:
    """Print a table of candidates, the best one marked."""
    beside = further(candidates)
    head = (Column(""), Column("candidate"), Column("status"), Column("fitness", right=True))
    measured = [Column(name, right=True, drop=len(beside) + 1 - at) for at, name in enumerate(beside)]
    soon = len(beside) + 2
    course = (Column("length", right=True, drop=soon + 1), Column("while training", drop=1))
    origin = (Column("parents", drop=soon), Column("author", drop=soon + 2))
    rows = []
    for candidate in candidates:
        last = candidate.trainings[-1].curve if candidate.trainings else ()
        rows.append(
            (
                "★" if candidate.id == best else "",
                candidate.id,
                candidate.status,
                figure(candidate.fitness),
                *(figure(value) for value in further_of(candidate, beside)),
                figure(last[-1].length if last else None, 3),
                sparkline([point.fitness for point in last]),
                " ".join(candidate.proposal.parents),
                candidate.proposal.author,
                candidate.cause.splitlines()[0] if candidate.cause else "",
            )
        )
    columns = (*head, *measured, *course, *origin, Column("cause"))
    print_table(columns, rows, console)


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    right: bool = False
    """Its figures end in a line."""
    drop: int = 0
    """Where a terminal is too narrow, the columns with the highest numbers are left out first; those with 0 stay."""
    cut: bool = False
    """On a terminal its text is cut to one line, as the last column."""


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], console: Console) -> None:
    """Print a table that fits a terminal: the last column takes the room that is left, and no other is ever broken.

    In a pipe every row is one line.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(plain(cell)) for cell in row] for row in rows]
    wide = [max([Text(one.name).cell_len, *(row[at].cell_len for row in cells)]) for at, one in enumerate(columns)]
    kept = list(range(len(columns)))
    if console.is_terminal:
        kept, room = _fitting(columns, wide, console.width)
        wide[-1] = min(wide[-1], room)
    else:
        console.width = max(console.width, sum(wide) + GAP * len(wide))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at in kept:
        one = columns[at]
        wraps = at == len(columns) - 1 and not one.cut
        table.add_column(
            one.name,
            justify="right" if one.right else "left",
            width=wide[at],
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
        )
    for row in cells:
        table.add_row(*(row[at] for at in kept))
    console.print(table)


def _fitting(columns: Sequence[Column], wide: Sequence[int], width: int) -> tuple[list[int], int]:
    """Return which columns a terminal has room for, and how much is left for the last one."""
    kept, last = list(range(len(columns))), wide[-1]
    while True:
        room = width - sum(wide[at] + GAP for at in kept[:-1])
        spare = max(kept, key=lambda at: columns[at].drop)
        if room >= min(last, LAST_WIDTH) or not columns[spare].drop:
            return kept, max(room, 1)
        kept.remove(spare)


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values as a row of bars; a gap where there is none.

    >>> sparkline([0.0, None, 1.0, 2.0])
    '▁ ▅█'
    """
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), (max(known) - min(known)) or 1.0
    height = len(SPARKS) - 1
    return "".join(" " if value is None else SPARKS[round((value - low) / span * height)] for value in values)
