"""The reviewer: a language model reads a program against its task before anything is trained.

It sees what the designer sees of the task, the program, and what its terms give under random actions; never the
fitness. Its objections go to the program's author. It may object a few times (three rounds at most, as in Auto
MC-Reward, Li et al., CVPR 2024, arXiv:2312.09238); where it still does not agree, and where it cannot be asked, the
program is trained as it is: a training shows what no review can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Brief, DryRun, Finding, Proposal, Verdict
from rewardsmith.contract.reward_program import parse
from rewardsmith.llm import LanguageModel, Message, prompts
from rewardsmith.llm.structured_output import Form, ask

ROLE = "critic"
MOST = 6
"""Findings of one review."""
MESSAGE_CHARS = 1_200
MORE_SIGNALS = 30
"""Signals shown beside those that the program reads."""


class Remark(Form):
    """One thing that the reviewer found."""

    kind: Literal["goal", "sign", "scale", "unit", "loophole"]
    message: Annotated[str, Field(min_length=1, max_length=4000)]
    term: str | None = None
    line: int | None = None


class Review(Form):
    """What the reviewer answers."""

    verdict: Literal["accept", "revise"]
    findings: list[Remark] = Field(default_factory=list, max_length=MOST)


class Reviewer:
    """Reviews programs by asking a language model; for several threads."""

    def __init__(self, model: LanguageModel, rounds: int, form: Literal["terms", "sparse-dense"] = "terms") -> None:
        """Take the model.

        Args:
            model: whom to ask.
            rounds: how often it may object to one slot's programs.
            form: what the programs' authors have to write.
        """
        self._model, self._rounds, self._form = model, rounds, form

    def judge(
        self, brief: Brief, slot: int, proposal: Proposal, verdict: Verdict, earlier: Sequence[Verdict]
    ) -> Verdict:
        """Return the verdict on a program that the checks accepted, with the reviewer's findings.

        Args:
            brief: what the designer was told.
            slot: of the generation.
            proposal: the program.
            verdict: of the checks, with a dry run.
            earlier: the verdicts on this slot's programs so far, oldest first.

        Raises:
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
        """
        objections = [found for one in earlier for found in one.findings if found.severity == "objection"]
        rounds = sum(any(found.severity == "objection" for found in one.findings) for one in earlier)
        if rounds >= self._rounds:
            times = "once" if rounds == 1 else f"{rounds} times"
            return _noted(verdict, f"the reviewer objected {times} and is not asked again; trained as it is")
        told = Message("user", self._prompt(brief, proposal, verdict, objections))
        messages = [Message("system", prompts.render("critic/system", most=MOST)), told]
        check = partial(_mistake, proposal.source, verdict.dry_run)
        try:
            review = ask(self._model, messages, Review, role=ROLE, sample=slot, check=check)
        except (ModelRefused, BudgetExhausted) as error:
            return _noted(verdict, f"it was not reviewed: {error}")
        severity: Literal["objection", "warning"] = "objection" if review.verdict == "revise" else "warning"
        found = tuple(_finding(remark, severity) for remark in review.findings)
        return replace(verdict, accepted=review.verdict == "accept", findings=(*verdict.findings, *found))

    def _prompt(self, brief: Brief, proposal: Proposal, verdict: Verdict, objections: Sequence[Finding]) -> str:
        lines = proposal.source.rstrip().split("\n")
        return prompts.render(
            "critic/review",
            brief=brief,
            form=self._form,
            notes="\n".join(f"- {prompts.clean(note)}" for note in brief.notes),
            signals=_signals(brief, proposal.source),
            program="\n".join(f"{number:3d}  {line}" for number, line in enumerate(lines, 1)),
            figures=_figures(verdict.dry_run),
            objections="\n".join(f"- {prompts.one_line(found.message, MESSAGE_CHARS)}" for found in objections),
        )


def _noted(verdict: Verdict, note: str) -> Verdict:
    return replace(verdict, findings=(*verdict.findings, Finding("review", note, "warning")))


def _finding(remark: Remark, severity: Literal["objection", "warning"]) -> Finding:
    about = f"the term {remark.term!r}: " if remark.term else ""
    message = prompts.one_line(f"{about}{remark.message}", MESSAGE_CHARS)
    return Finding(f"review-{remark.kind}", message, severity, remark.line)


def _mistake(source: str, dry_run: DryRun | None, review: Review) -> str | None:
    """Return what is wrong with a review beside its form; None where nothing is."""
    if review.verdict == "revise" and not review.findings:
        return 'the verdict is "revise", but there is no finding'
    lines = source.rstrip().count("\n") + 1
    terms = [term.name for term in dry_run.terms] if dry_run else []
    for remark in review.findings:
        if remark.line is not None and not 1 <= remark.line <= lines:
            return f"a finding names line {remark.line}; the program has lines 1 to {lines}"
        if remark.term is not None and remark.term not in terms:
            return f"a finding names the term {prompts.one_line(remark.term, 40)!r}; the terms are {', '.join(terms)}"
    return None


def _signals(brief: Brief, source: str) -> str:
    """Return the signals that the program reads, and the first of the others."""
    read = parse(source).signals
    shown = [signal for signal in brief.signals if signal.name in read]
    shown += [signal for signal in brief.signals if signal.name not in read][:MORE_SIGNALS]
    rows = [
        f"{signal.name} | {signal.shape or 'scalar'} | {signal.unit} | {prompts.one_line(signal.meaning)}"
        for signal in shown
    ]
    return "\n".join(["name | shape | unit | meaning (those that the program reads come first)", *rows])


def _figures(dry_run: DryRun | None) -> str:
    rows = [
        " | ".join(
            (
                prompts.one_line(term.name, 40),
                *map(prompts.figure, (term.weight, term.mean, term.std, term.min, term.max)),
                f"{100.0 * term.share:.0f} %",
            )
        )
        for term in (dry_run.terms if dry_run else ())
    ]
    return "\n".join(["term | weight | mean | deviation | least | greatest | share of the total", *rows])
