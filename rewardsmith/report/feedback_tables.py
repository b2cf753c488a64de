"""Tables and lines about people's feedback: rankings by comparisons, recorded events, findings beside their lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rewardsmith.contract.records import Finding
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.text import replace_control_chars
from rewardsmith.search.feedback import (
    ContinueRequest,
    FeedbackEvent,
    FeedbackInput,
    Preference,
    PreferenceRanking,
    ProgramEdit,
    RankingChange,
    SuggestedPair,
    UserRemark,
    WeightChange,
    Withdrawal,
)

if TYPE_CHECKING:
    from rich.console import Console

    from rewardsmith.search.feedback.llm_judge import JudgeCalibration

CONTEXT_LINES = 1
"""Lines of a program shown before and after one with a finding."""

PREFERENCE_WORDS = {
    "a": "is better than",
    "b": "is worse than",
    "equal": "is as good as",
    "neither": "is as bad as",
}
CONSTRAINT_WORDS = {"pin": "pinned", "ban": "banned", "release": "neither pinned nor banned"}


def print_standings(standings: PreferenceRanking, pairs: Sequence[SuggestedPair], console: Console) -> None:
    """Print the ranking by comparisons, its warnings, and the pairs to compare next."""
    from rich.table import Table

    # The ranking.
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("candidate", "Elo", "95 %", "won", "lost", "equal"):
        table.add_column(name, justify="left" if name == "candidate" else "right", no_wrap=True)
    for row in standings.rows:
        bounds = f"{format_elo(row.low)} … {format_elo(row.high)}"
        table.add_row(row.candidate, f"{row.elo:.0f}", bounds, str(row.wins), str(row.losses), str(row.ties))
    console.print(table)

    # Its data and its limits.
    raters = f" by {', '.join(map(replace_control_chars, standings.raters))}" if standings.raters else ""
    console.print(f"comparisons: {standings.comparisons}{raters}", markup=False, soft_wrap=True)
    for warning in standings.warnings:
        console.print(f"Note: {replace_control_chars(warning)}", markup=False, soft_wrap=True)

    # What to compare next.
    if pairs:
        names = ", ".join(f"{pair.a} – {pair.b} ({pair.bits:.2f} bit)" for pair in pairs)
        console.print(f"most informative next comparisons: {names}", markup=False, soft_wrap=True)


def format_elo(strength: float) -> str:
    """Format a Bradley-Terry strength on the Elo scale."""
    from rewardsmith.search.feedback import bradley_terry

    return f"{bradley_terry.to_elo(strength):.0f}"


def describe_calibration(calibration: JudgeCalibration | None) -> str:
    """Say in a line how often the judge agrees with people."""
    if calibration is None:
        return "Note: the judge was never compared with people; compare a few pairs yourself to see how often it agrees"
    bounds = f"{calibration.low:.0%} to {calibration.high:.0%}"
    agreement = f"{calibration.agreement:.0%} of {pluralize(calibration.pairs, 'pair')}"
    return f"the judge agrees with people on {agreement} (95 %: {bounds})"


def describe_event(event: FeedbackEvent) -> str:
    """Describe recorded feedback in a line, without its number."""
    rater = "" if event.input.by == "user" else f" ({event.input.by})"
    return replace_control_chars(f"{_describe_input(event.input)}{rater}")


def _describe_input(item: FeedbackInput) -> str:
    if isinstance(item, UserRemark):
        return f"{item.about}: {item.text}" if item.about else item.text
    if isinstance(item, Preference):
        reason = f": {item.reason}" if item.reason else ""
        return f"{item.a} {PREFERENCE_WORDS[item.answer]} {item.b}{reason}"
    if isinstance(item, WeightChange):
        weights = ", ".join(f"{name} {format_number(value)}" for name, value in item.weights.items())
        return f"{item.candidate} with the weights {weights}"
    if isinstance(item, ProgramEdit):
        return item.about or f"an edit of {item.candidate}"
    if isinstance(item, RankingChange):
        return "people rank the programs" if item.rank == "people" else "the metric ranks the programs"
    if isinstance(item, Withdrawal):
        return f"undone: #{item.number}"
    if isinstance(item, ContinueRequest):
        return f"continue to generation {item.until - 1}"
    return f"{CONSTRAINT_WORDS[item.kind]}: {item.term}"


def print_findings(source: str, findings: Sequence[Finding], console: Console) -> None:
    """Print findings below the lines that they are about; those without a line come first."""
    lines = source.split("\n")
    placed = [finding for finding in findings if finding.line and finding.line <= len(lines)]
    for finding in findings:
        if finding not in placed:
            console.print(_describe_finding(finding), markup=False, soft_wrap=True)

    # Numbers of the lines to print: those with a finding, and their neighbours.
    shown: set[int] = set()
    for finding in placed:
        line_number = finding.line or 1
        shown.update(range(line_number - CONTEXT_LINES, line_number + CONTEXT_LINES + 1))

    for number, line in enumerate(lines, 1):
        if number in shown:
            console.print(f"{number:4d} │ {replace_control_chars(line)}", markup=False, soft_wrap=True)
        for finding in placed:
            if finding.line == number:
                console.print(f"     └ {_describe_finding(finding)}", markup=False, soft_wrap=True)


def _describe_finding(finding: Finding) -> str:
    return f"{finding.severity}: {replace_control_chars(finding.message)} [{finding.code}]"
