"""Runs, candidates, verdicts and frames in words, as a coding agent reads them."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rewardsmith.api.compare import ProgramComparison, describe_distance
from rewardsmith.api.exports import BEST, find_candidate
from rewardsmith.contract.errors import RewardsmithError
from rewardsmith.contract.records import Candidate, Finding, Result, Verdict
from rewardsmith.contract.text import format_number, pluralize
from rewardsmith.report.estimates import build_estimates, load_estimates
from rewardsmith.report.result_lines import describe_fitness, format_estimate, summarize_result
from rewardsmith.report.tables import make_console, print_candidates
from rewardsmith.report.text import collect_remarks, replace_control_chars
from rewardsmith.report.video import FINAL_OWNER
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.layout import MEASURED_ID, final_owner


def list_runs(folder: Path) -> str:
    """List the runs in a folder, a line each; those that cannot be read are left out."""
    lines = []
    for config in sorted(folder.glob("*/config.toml")):
        try:
            run = Run.open(config.parent)
            result = run.read_result()
        except RewardsmithError:
            continue
        fitness = describe_fitness(result.best, result) if result else "not finished"
        lines.append(f"{run.path}: {run.task.heading!r} on {run.task.env.env_id}; fitness {fitness}")
    return replace_control_chars("\n".join(lines)) if lines else f"no runs in {folder}/ yet"


def describe_run(run: Run) -> str:
    """Describe a run: its task, its candidates, and its result where it has one."""
    result, candidates = run.read_result(), run.read_candidates()
    head = [f"run: {run.path}", f"task: {run.task.heading}", f"on {run.task.env.env_id}, fitness = {run.task.fitness}"]
    if result is not None:
        return "\n".join([*head, describe_result(result, run.path)])
    stream = StringIO()
    if candidates:
        print_candidates(candidates, load_estimates(run, None), make_console(stream))
    done = f"{pluralize(len(candidates), 'candidate')} so far; the search has not ended"
    return "\n".join([*head, stream.getvalue().rstrip(), done])


def describe_result(result: Result, path: Path) -> str:
    """Describe the outcome of a search, or of the measurement of one program."""
    stream = StringIO()
    if result.best.id != MEASURED_ID:
        estimates = build_estimates(result.candidates, result.finalists, result.best.id)
        print_candidates(result.candidates, estimates, make_console(stream))
        stream.write(f"\nThe best program is {result.best.id}, in {path / 'reward.py'}.\n")
    return stream.getvalue() + "\n".join(summarize_result(result))


def describe_candidate(run: Run, candidate: Candidate) -> str:
    """Describe a candidate: its program, its outcome, and the reflection on it."""
    proposal, verdict, reflection = candidate.proposal, candidate.verdict, candidate.reflection
    lines = [
        f"candidate: {candidate.id}, {candidate.status}",
        f"fitness: {describe_fitness(candidate, run.read_result())}",
    ]
    lines += [f"cause: {candidate.cause}"] if candidate.cause else []
    lines += [f"made from: {', '.join(proposal.parents)}"] if proposal.parents else []
    lines += [describe_finding(finding) for finding in verdict.findings] if verdict else []
    lines += collect_remarks(candidate)
    parts = ["\n".join(lines)]
    parts += [f"Idea: {proposal.rationale.strip()}"] if proposal.rationale.strip() else []
    parts += [f"Program:\n\n{proposal.source.strip()}"] if proposal.source.strip() else []
    parts += [f"Reflection:\n\n{reflection.text.strip()}"] if reflection and reflection.text.strip() else []
    return replace_control_chars("\n\n".join(parts))


def describe_verdict(verdict: Verdict) -> str:
    """Describe the critic's verdict: the findings, and the terms on recorded transitions."""
    lines = ["accepted" if verdict.accepted else "refused"]
    lines += [describe_finding(finding) for finding in verdict.findings]
    if verdict.trial_scoring:
        lines.append("Terms under random actions: weight, mean ± deviation before the weight, share of the total")
        for term in verdict.trial_scoring.terms:
            spread = f"{format_number(term.mean)} ± {format_number(term.std)}"
            lines.append(f"  {term.name}: {format_number(term.weight)}, {spread}, {term.share:.0%}")
    return replace_control_chars("\n".join(lines))


def describe_finding(finding: Finding) -> str:
    """Describe a finding in a line."""
    place = f" in line {finding.line}" if finding.line else ""
    return f"{finding.severity}{place} ({finding.code}): {finding.message}"


def describe_comparison(comparison: ProgramComparison) -> str:
    """Describe a comparison: fitness, terms and distances of the programs."""
    lines = [f"compared on {comparison.transitions:,} random transitions of {comparison.env_id}"]
    for program, terms in zip(comparison.programs, comparison.terms, strict=True):
        measured = program.reported or program.chosen
        kind = "retrained on fresh seeds" if program.reported else "selection score"
        fitness = f"fitness {format_estimate(measured)} ({kind})" if measured else "not trained"
        lines.append(f"{program.name}: {fitness}")
        lines += [f"  {terms.problem}"] if terms.problem else []
        lines += [
            f"  {term.name}: weight {format_number(term.weight)}, {term.share:.0%} of the total" for term in terms.terms
        ]
    for row, first in enumerate(comparison.programs):
        for column in range(row + 1, len(comparison.programs)):
            distance = comparison.distances[row][column]
            if distance is not None:
                pair = f"{first.name} and {comparison.programs[column].name}"
                lines.append(f"{pair}: {describe_distance(distance)} (STARC distance {distance:.2f})")
    return replace_control_chars("\n".join(lines))


def choose_owner(run: Run, id: str) -> str:
    """Return the owner of a candidate's policies; BEST is the best program retrained, if it was.

    Raises:
        RunError: if there is no such candidate.
    """
    candidate = find_candidate(run, id)
    is_retrained = bool(run.layout.list_evaluations(final_owner(candidate.id)))
    return FINAL_OWNER if id == BEST and is_retrained else candidate.id
