"""The designer that asks a language model: one call per program, one more where the answer holds none.

Prompts are a function of the brief alone, byte for byte, so that a resumed or replayed search finds its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith import prompts
from rewardsmith.errors import ModelRefused
from rewardsmith.llm import Completion, LanguageModel, Message, sample_of
from rewardsmith.records import Brief, Candidate, Finding, Limits, Proposal, Signal, Status
from rewardsmith.steps.designer.code import Extract, extract
from rewardsmith.steps.designer.reference import shaping

ROLE = "designer"
REPAIR_ROLE = "designer-repair"
HISTORY_TURNS = 4
"""Generations shown in the history; BIRD found that a few turns are what helps."""
IDEA_CHARS = 160
CAUSE_CHARS = 400

TIMED_FINDINGS = ("slow",)
"""Found or not as the machine's load will have it; a repair that mentioned them could not be replayed."""

STATUS_WORDS: dict[Status, str] = {
    "ok": "trained",
    "invalid": "refused by the checks",
    "failed": "failed while training",
    "timeout": "took too long",
    "pruned": "stopped early",
}
"""Without "infrastructure": the machine's faults are not told."""


class LlmDesigner:
    """Writes reward programs by asking a language model."""

    def __init__(self, model: LanguageModel, max_terms: int = Limits.max_terms) -> None:
        """Take the model.

        Args:
            model: whom to ask.
            max_terms: how many terms a program may have.
        """
        self._model = model
        self._max_terms = max_terms

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a new program for one slot of a generation.

        Raises:
            ModelRefused: if the model declines, or gives no program when asked again either.
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            BudgetExhausted: if a call might pass a limit.
            RunError: if an answer could not be recorded.
        """
        parent = _parent(brief, slot)
        parents = (parent.id,) if parent else ()
        return self._program(self._conversation(brief, slot), ROLE, slot, parents)

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program mended by its author; see `propose` for what it raises.

        Args:
            brief: what the designer was told when it wrote the program.
            proposal: the program that was refused.
            findings: why.
            round: number of the repair, from 1.
        """
        slot = sample_of(proposal.transcript) if proposal.transcript else 0
        answer = f"{proposal.rationale}\n\n```python\n{proposal.source.rstrip()}\n```".strip()
        told = prompts.render("designer/repair", findings=_findings_text(findings), round=round)
        messages = [*self._conversation(brief, slot), Message("assistant", answer), Message("user", told)]
        return self._program(messages, REPAIR_ROLE, slot, proposal.parents)

    def _conversation(self, brief: Brief, slot: int) -> list[Message]:
        system = prompts.render("designer/system", shaping=shaping(), max_terms=self._max_terms)
        return [Message("system", system), Message("user", _ask(brief, slot))]

    def _program(self, messages: list[Message], role: str, slot: int, parents: tuple[str, ...]) -> Proposal:
        """Ask; where the answer holds no program, say so and ask once more."""
        completion = self._model.complete(messages, role=role, sample=slot)
        found = _extract(completion)
        if found.source is None:
            told = prompts.render("designer/again", problem=found.problem, cut_off=completion.finish == "length")
            answer = completion.text if completion.text.strip() else "(no text)"
            messages = [*messages, Message("assistant", answer), Message("user", told)]
            completion = self._model.complete(messages, role=role, sample=slot)
            found = _extract(completion)
        if found.source is None:
            raise ModelRefused(self._no_program(found, completion))
        return Proposal(found.source, f"llm:{self._model.name}", parents, found.rationale, completion.key)

    def _no_program(self, found: Extract, completion: Completion) -> str:
        cure = "raise llm.max_tokens" if completion.finish == "length" else "take another --model"
        beginning = prompts.one_line(completion.text, 80)
        return (
            f"the model {self._model.name!r} gave no reward program, asked twice: {found.problem}; {cure} "
            f"(its last answer begins {beginning!r})"
        )


def _extract(completion: Completion) -> Extract:
    return extract(completion.text, cut_off=completion.finish == "length")


def _parent(brief: Brief, slot: int) -> Candidate | None:
    """Return the program to build on: parents take turns over the slots, the best first."""
    return brief.parents[slot % len(brief.parents)] if brief.parents else None


def _ask(brief: Brief, slot: int) -> str:
    parent = _parent(brief, slot)
    last = [candidate for candidate in _told(brief) if candidate.generation == brief.generation - 1]
    failed = [candidate for candidate in last if candidate.status != "ok"]
    return prompts.render(
        "designer/ask",
        brief=replace(brief, notes=tuple(f"- {prompts.clean(note)}" for note in brief.notes)),
        slot=slot,
        signals=_signals_text(brief.signals),
        history=_history_text(brief),
        failures="\n".join(_failure_line(candidate) for candidate in failed),
        all_failed=bool(last) and len(failed) == len(last),
        parent=parent,
        others=[candidate for candidate in brief.parents if candidate is not parent],
        best=brief.parents[0].id if brief.parents else None,
    )


def _told(brief: Brief) -> list[Candidate]:
    """Return the candidates that a prompt may speak of: not those that the machine failed."""
    return [candidate for candidate in brief.history if candidate.status in STATUS_WORDS]


def _signals_text(signals: Sequence[Signal]) -> str:
    rows = [
        f"{signal.name} | {_shape_text(signal.shape)} | {signal.unit} | {prompts.one_line(signal.meaning)}"
        for signal in signals
    ]
    return "\n".join(["name | shape | unit | meaning", *rows])


def _shape_text(shape: tuple[int, ...]) -> str:
    return "scalar" if not shape else f"({shape[0]},)" if len(shape) == 1 else str(shape)


def _history_text(brief: Brief) -> str:
    """Return a row for each candidate of the last generations and for each parent, oldest first."""
    parents = {parent.id for parent in brief.parents}
    shown = [
        candidate
        for candidate in _told(brief)
        if candidate.generation >= brief.generation - HISTORY_TURNS or candidate.id in parents
    ]
    rows = [
        f"{candidate.id} | {prompts.figure(candidate.fitness)} | {STATUS_WORDS[candidate.status]} | "
        f"{', '.join(candidate.proposal.parents) or '-'} | {_idea(candidate.proposal)}"
        for candidate in shown
    ]
    return "\n".join(["id | fitness | status | from | idea", *rows])


def _idea(proposal: Proposal) -> str:
    """Return the first sentence of what the author said."""
    line = prompts.one_line(proposal.rationale, 4 * IDEA_CHARS)
    sentence, stop, _ = line.partition(". ")
    return prompts.one_line(sentence + stop.strip(), IDEA_CHARS) or "-"


def _failure_line(candidate: Candidate) -> str:
    cause = prompts.one_line(prompts.portable(candidate.cause or "no cause is known"), CAUSE_CHARS)
    return f"{candidate.id} {STATUS_WORDS[candidate.status]}: {cause}"


def _findings_text(findings: Sequence[Finding]) -> str:
    """Return a line for each finding, errors first."""
    told = [finding for finding in findings if finding.code not in TIMED_FINDINGS]
    ordered = sorted(told, key=lambda finding: finding.severity != "error")
    return "\n".join(
        f"{finding.severity}{f' in line {finding.line}' if finding.line else ''} ({finding.code}): "
        f"{prompts.one_line(prompts.portable(finding.message), CAUSE_CHARS)}"
        for finding in ordered
    )
