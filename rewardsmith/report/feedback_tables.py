"""What people see of their own part: the standings by comparisons, what was said, findings beside their lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewardsmith.contract.records import Finding
from rewardsmith.contract.text import counted
from rewardsmith.report.text import figure, plain
from rewardsmith.search.feedback import (
    Ban,
    Edit,
    More,
    Pair,
    Pin,
    Preference,
    Ranking,
    Release,
    Remark,
    Said,
    Standings,
    Weights,
)

if TYPE_CHECKING:
    from rich.console import Console

    from rewardsmith.search.feedback.llm_judge import Calibration

CONTEXT = 1
"""Lines of a program shown before and after one with a finding."""


def print_standings(standings: Standings, pairs: Sequence[Pair], console: Console) -> None:
    """Print who leads by comparisons, what makes that doubtful, and which pairs to look at next."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("candidate", "Elo", "95 %", "won", "lost", "equal"):
        table.add_column(name, justify="left" if name == "candidate" else "right", no_wrap=True)
    for row in standings.rows:
        bounds = f"{elo(row.low)} … {elo(row.high)}"
        table.add_row(row.candidate, f"{row.elo:.0f}", bounds, str(row.wins), str(row.losses), str(row.ties))
    console.print(table)
    raters = f" by {', '.join(map(plain, standings.raters))}" if standings.raters else ""
    console.print(f"comparisons: {standings.comparisons}{raters}", markup=False, soft_wrap=True)
    for warning in standings.warnings:
        console.print(f"mind: {plain(warning)}", markup=False, soft_wrap=True)
    if pairs:
        told = ", ".join(f"{pair.a} – {pair.b} ({pair.bits:.2f} bit)" for pair in pairs)
        console.print(f"an answer tells most about: {told}", markup=False, soft_wrap=True)


def elo(strength: float) -> str:
    """Return a strength on the scale of chess, as the table shows it."""
    from rewardsmith.search.feedback import bradley_terry

    return f"{bradley_terry.elo(strength):.0f}"


def calibrated(found: Calibration | None) -> str:
    """Return how far the judge agrees with people, in a line."""
    if found is None:
        return "mind: the judge was never held against people; prefer a few pairs, and its agreement is shown"
    bounds = f"{found.low:.0%} to {found.high:.0%}"
    return f"the judge agrees with people on {found.agreement:.0%} of {counted(found.pairs, 'pair')} (95 %: {bounds})"


def told(said: Said) -> str:
    """Return an input in a line."""
    what = said.input
    who = "" if what.by == "user" else f" ({what.by})"
    return plain(f"{said.number}. {_line(what)}{who}")


def print_findings(source: str, findings: Sequence[Finding], console: Console) -> None:
    """Print findings beside the lines that they are about; those without a line come first."""
    lines = source.split("\n")
    placed = [finding for finding in findings if finding.line and finding.line <= len(lines)]
    for finding in findings:
        if finding not in placed:
            console.print(
                f"{finding.severity}: {plain(finding.message)} [{finding.code}]", markup=False, soft_wrap=True
            )
    shown = {at for finding in placed for at in range((finding.line or 1) - CONTEXT, (finding.line or 1) + CONTEXT + 1)}
    for number, line in enumerate(lines, 1):
        if number in shown:
            console.print(f"{number:4d} │ {plain(line)}", markup=False, soft_wrap=True)
        for finding in placed:
            if finding.line == number:
                about = f"{finding.severity}: {plain(finding.message)} [{finding.code}]"
                console.print(f"     └ {about}", markup=False, soft_wrap=True)


def _line(what: Remark | Preference | Pin | Ban | Release | Weights | Edit | Ranking | More) -> str:
    if isinstance(what, Remark):
        return f"{what.about}: {what.text}" if what.about else what.text
    if isinstance(what, Preference):
        words = {"a": "is better than", "b": "is worse than", "equal": "is as good as", "neither": "as little as"}
        return f"{what.a} {words[what.answer]} {what.b}{f': {what.reason}' if what.reason else ''}"
    if isinstance(what, Weights):
        return f"{what.candidate} with {', '.join(f'{name} {figure(value)}' for name, value in what.weights.items())}"
    if isinstance(what, Edit):
        return what.about or f"an edit of {what.candidate}"
    if isinstance(what, Ranking):
        return f"{what.rank} rank{'s' if what.rank == 'metric' else ''} the programs"
    if isinstance(what, More):
        return f"go on to generation g{what.until - 1}"
    return {"pin": "keep", "ban": "never again", "release": "free"}[what.kind] + f" {what.term}"
