"""The reviewer: a language model that reads a program against its task before anything is trained.

It sees what the designer sees of the task, the program, and what its terms give under random actions; never the
fitness. Its objections go to the program's author. It may object a few times (three rounds at most, as in Auto
MC-Reward, Li et al., CVPR 2024, arXiv:2312.09238); where it still objects, or cannot be asked, the
program is trained as it is: a training shows what no review can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Brief, Finding, Proposal, TrialScoring, Verdict
from rewardsmith.contract.reward_program import RewardProgram
from rewardsmith.llm import LanguageModel, prompts
from rewardsmith.llm.structured_output import AnswerForm, request_form

ROLE = "critic"
MAX_FINDINGS = 6
"""Findings of one review, at most."""
MESSAGE_CHARS = 1_200
TERM_NAME_CHARS = 40
OTHER_SIGNALS = 30
"""Signals shown beside those that the program reads."""


class ReviewFinding(AnswerForm):
    """One thing that the reviewer found."""

    kind: Literal["goal", "sign", "scale", "unit", "loophole"]
    message: Annotated[str, Field(min_length=1, max_length=4000)]
    term: str | None = None
    line: int | None = None


class ReviewAnswer(AnswerForm):
    """The reviewer's answer."""

    verdict: Literal["accept", "revise"]
    findings: list[ReviewFinding] = Field(default_factory=list, max_length=MAX_FINDINGS)


class LlmReviewer:
    """Reviews programs by asking a language model; safe to use from several threads."""

    def __init__(self, model: LanguageModel, rounds: int, form: Literal["terms", "sparse-dense"] = "terms") -> None:
        """Take the model.

        Args:
            model: the model to ask.
            rounds: how often it may object to one slot's programs.
            form: the form in which the programs' authors write.
        """
        self._model, self._rounds, self._form = model, rounds, form

    def review_program(
        self, brief: Brief, slot: int, proposal: Proposal, verdict: Verdict, earlier: Sequence[Verdict]
    ) -> Verdict:
        """Return the verdict on a program that the checks accepted, with the reviewer's findings.

        Args:
            brief: what the designer knew.
            slot: of the generation.
            proposal: the program.
            verdict: of the checks, with a trial scoring.
            earlier: the verdicts on this slot's programs so far, oldest first.

        Raises:
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
        """
        # A reviewer that has objected often enough is not asked again.
        objections = [_list_objections(earlier_verdict) for earlier_verdict in earlier]
        rounds = sum(bool(findings) for findings in objections)
        if rounds >= self._rounds:
            times = "once" if rounds == 1 else f"{rounds} times"
            return _add_note(verdict, f"the reviewer objected {times} and is not asked again; trained as it is")

        # Ask; a program that cannot be reviewed is trained as it is.
        previous = [finding for findings in objections for finding in findings]
        system = prompts.render_prompt("critic/system", most=MAX_FINDINGS)
        request = self._render_request(brief, proposal, verdict, previous)
        check = partial(_find_contradiction, proposal.source, verdict.trial_scoring)
        try:
            review = request_form(self._model, system, request, ReviewAnswer, role=ROLE, sample=slot, check=check)
        except (ModelRefused, BudgetExhausted) as error:
            return _add_note(verdict, f"it was not reviewed: {error}")

        # Objections go back to the author; remarks on an accepted program are warnings.
        accepted = review.verdict == "accept"
        findings = tuple(_build_finding(finding, "warning" if accepted else "objection") for finding in review.findings)
        return replace(verdict, accepted=accepted, findings=(*verdict.findings, *findings))

    def _render_request(self, brief: Brief, proposal: Proposal, verdict: Verdict, objections: Sequence[Finding]) -> str:
        lines = proposal.source.rstrip().split("\n")
        return prompts.render_prompt(
            "critic/review",
            brief=brief,
            form=self._form,
            notes="\n".join(f"- {prompts.clean_text(note)}" for note in brief.notes),
            signals=_render_signals(brief, proposal.program),
            program="\n".join(f"{number:3d}  {line}" for number, line in enumerate(lines, 1)),
            figures=_render_term_stats(verdict.trial_scoring),
            objections="\n".join(f"- {prompts.to_one_line(finding.message, MESSAGE_CHARS)}" for finding in objections),
        )


def _list_objections(verdict: Verdict) -> list[Finding]:
    return [finding for finding in verdict.findings if finding.severity == "objection"]


def _add_note(verdict: Verdict, note: str) -> Verdict:
    return replace(verdict, findings=(*verdict.findings, Finding("review", note, "warning")))


def _build_finding(finding: ReviewFinding, severity: Literal["objection", "warning"]) -> Finding:
    """Return a reviewer's finding as the critic reports it."""
    subject = f"the term {finding.term!r}: " if finding.term else ""
    message = prompts.to_one_line(f"{subject}{finding.message}", MESSAGE_CHARS)
    return Finding(f"review-{finding.kind}", message, severity, finding.line)


def _find_contradiction(source: str, trial_scoring: TrialScoring | None, review: ReviewAnswer) -> str | None:
    """Return a claim of a review that cannot be true, such as a line that does not exist; None without one."""
    if review.verdict == "revise" and not review.findings:
        return 'the verdict is "revise", but there is no finding'
    line_count = source.rstrip().count("\n") + 1
    terms = [term.name for term in trial_scoring.terms] if trial_scoring else []
    for finding in review.findings:
        if finding.line is not None and not 1 <= finding.line <= line_count:
            return f"a finding names line {finding.line}; the program has lines 1 to {line_count}"
        if finding.term is not None and finding.term not in terms:
            name = prompts.to_one_line(finding.term, TERM_NAME_CHARS)
            return f"a finding names the term {name!r}; the terms are {', '.join(terms)}"
    return None


def _render_signals(brief: Brief, program: RewardProgram) -> str:
    """Render the signals that the program reads, and the first of the others."""
    read_signals = [signal for signal in brief.signals if signal.name in program.signals]
    other_signals = [signal for signal in brief.signals if signal.name not in program.signals]
    rows = ["name | shape | unit | meaning (those that the program reads come first)"]
    for signal in [*read_signals, *other_signals[:OTHER_SIGNALS]]:
        meaning = prompts.to_one_line(signal.meaning)
        rows.append(f"{signal.name} | {signal.shape or 'scalar'} | {signal.unit} | {meaning}")
    return "\n".join(rows)


def _render_term_stats(trial_scoring: TrialScoring | None) -> str:
    """Render what each term gives under random actions."""
    rows = ["term | weight | mean | deviation | least | greatest | share of the total"]
    for term in trial_scoring.terms if trial_scoring else ():
        values = [prompts.format_value(value) for value in (term.weight, term.mean, term.std, term.min, term.max)]
        name = prompts.to_one_line(term.name, TERM_NAME_CHARS)
        rows.append(" | ".join([name, *values, f"{100.0 * term.share:.0f} %"]))
    return "\n".join(rows)
