"""What the designer's model is told: the messages for a slot, from the brief and the settings.

They are a function of these alone, byte for byte, so that a resumed or replayed search finds its answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rewardsmith.contract.records import TIMED_FINDINGS, Brief, Candidate, Example, Finding, Limits, Proposal, Status
from rewardsmith.llm import Message, prompts
from rewardsmith.search.steps.designer import sparse_dense
from rewardsmith.search.steps.designer.answer_parser import named
from rewardsmith.search.steps.designer.class_view import python_class
from rewardsmith.search.steps.designer.shaping_reference import shaping
from rewardsmith.search.steps.designer.signal_table import CATALOGUE_TOKENS, catalogue_text
from rewardsmith.spec.settings import DesignerSettings

IDEA_CHARS = 160
CAUSE_CHARS = 400
REVIEW_CHARS = 1_200

STATUS_WORDS: dict[Status, str] = {
    "ok": "trained",
    "invalid": "refused by the checks",
    "failed": "failed while training",
    "timeout": "took too long",
    "pruned": "stopped early",
    "duplicate": "not trained, since it pays what an earlier program pays",
}
"""Without "infrastructure": the machine's faults are not told."""


@dataclass(frozen=True)
class Manner:
    """How the model is told things, the same for a whole search."""

    settings: DesignerSettings = field(default_factory=DesignerSettings)
    max_terms: int = Limits.max_terms
    catalogue_tokens: int = CATALOGUE_TOKENS
    """About how long the list of signals may be."""
    examples: tuple[Example, ...] = ()

    @property
    def entry(self) -> tuple[str, ...]:
        """The functions that an answer defines."""
        return sparse_dense.PARTS if self.settings.form == "sparse-dense" else ("reward",)

    def written(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the text that its author wrote."""
        return replace(candidate, proposal=self.as_written(candidate.proposal))

    def as_written(self, proposal: Proposal) -> Proposal:
        """Return a proposal with the text that its author wrote."""
        if self.settings.form == "terms":
            return proposal
        return replace(proposal, source=sparse_dense.written(proposal.source))


def messages(manner: Manner, brief: Brief, slot: int) -> list[Message]:
    """Return what is said before the model writes a slot's program."""
    settings = manner.settings
    system = prompts.render(
        "designer/system", shaping=shaping(), max_terms=manner.max_terms, settings=settings, weights=weights(settings)
    )
    built_on = parent(brief, slot)
    if not settings.conversation or built_on is None or brief.mode == "cross":
        return [Message("system", system), Message("user", _ask(manner, brief, slot))]
    return [Message("system", system), *_turns(manner, brief, built_on)]


def repair(manner: Manner, proposal: Proposal, findings: Sequence[Finding], round: int) -> list[Message]:
    """Return what is said to a program's author about the findings in it."""
    found = _findings_text(findings)
    told = prompts.render("designer/repair", findings=found, round=round, edits=manner.settings.edits)
    return [Message("assistant", _as_answer(manner.as_written(proposal))), Message("user", told)]


def again(manner: Manner, text: str, problem: str, *, cut_off: bool) -> list[Message]:
    """Return what is said about an answer that holds no program."""
    told = prompts.render("designer/again", problem=problem, cut_off=cut_off, entry=named(manner.entry))
    return [Message("assistant", text if text.strip() else "(no text)"), Message("user", told)]


def parent(brief: Brief, slot: int) -> Candidate | None:
    """Return the program to build on: parents take turns over the slots, the best first, and a pair's better one."""
    return brief.parents[_turn(brief, slot)] if brief.parents else None


def _turn(brief: Brief, slot: int) -> int:
    return 0 if brief.mode == "cross" else slot % len(brief.parents)


def weights(settings: DesignerSettings) -> dict[str, float]:
    """Return the weights of the form "sparse-dense"."""
    return {"sparse": settings.sparse_weight, "dense": settings.dense_weight}


def _ask(manner: Manner, brief: Brief, slot: int) -> str:
    """Return a prompt that stands by itself."""
    parents = [manner.written(candidate) for candidate in brief.parents]
    built_on = parents[_turn(brief, slot)] if parents else None
    last = [candidate for candidate in _told(brief) if candidate.generation == brief.generation - 1]
    failed = [candidate for candidate in last if candidate.status != "ok"]
    return prompts.render(
        "designer/ask",
        **_task(manner, brief),
        slot=slot,
        history=_history_text(brief, manner.settings.history),
        failures="\n".join(_failure_line(candidate) for candidate in failed),
        all_failed=bool(last) and len(failed) == len(last),
        parent=built_on,
        feedback=_feedback_text(manner, built_on) if built_on else None,
        others=[candidate for candidate in parents if candidate is not built_on],
        mate=_mate_text(manner, parents) if brief.mode == "cross" else None,
        best=brief.incumbent or (parents[0].id if parents else None),
    )


def _turns(manner: Manner, brief: Brief, built_on: Candidate) -> list[Message]:
    """Return the conversation that led to a program: the task, each program of its line, and what became of it."""
    line = _line(brief, built_on, manner.settings.history)
    turns = [Message("user", prompts.render("designer/opening", **_task(manner, replace(brief, notes=()))))]
    for candidate in line:
        told = prompts.render(
            "designer/reflection",
            candidate=candidate,
            feedback=_feedback_text(manner, candidate),
            notes=_notes(brief) if candidate is built_on else (),
        )
        turns += [Message("assistant", _as_answer(manner.written(candidate).proposal)), Message("user", told)]
    return turns


def _line(brief: Brief, last: Candidate, turns: int) -> list[Candidate]:
    """Return a candidate with its first parents, at most so many of them, oldest first."""
    known = {candidate.id: candidate for candidate in brief.history}
    line = [last]
    while len(line) < turns and line[0].proposal.parents and line[0].proposal.parents[0] in known:
        line.insert(0, known[line[0].proposal.parents[0]])
    return line


def _task(manner: Manner, brief: Brief) -> dict[str, object]:
    """Return what every first prompt says: the task, the environment, examples."""
    view = python_class if manner.settings.view == "class" else catalogue_text
    return {
        "brief": replace(brief, notes=_notes(brief)),
        "signals": view(brief.signals, brief.named, manner.catalogue_tokens),
        "examples": [_example_text(example) for example in manner.examples],
        "settings": manner.settings,
    }


def _notes(brief: Brief) -> tuple[str, ...]:
    return tuple(f"- {prompts.clean(note)}" for note in brief.notes)


def _example_text(example: Example) -> str:
    return f"# {prompts.one_line(example.task)} ({prompts.one_line(example.env_id)})\n{example.source.strip()}"


def _as_answer(proposal: Proposal) -> str:
    """Return a program as its author's answer."""
    return f"{proposal.rationale}\n\n```python\n{proposal.source.rstrip()}\n```".strip()


def _feedback_text(manner: Manner, candidate: Candidate) -> str | None:
    """Return the feedback on a candidate, with or without the advice on how it is read."""
    if candidate.feedback is None:
        return None
    text = candidate.feedback.text
    return text if manner.settings.tips else text.replace(prompts.render("analyzer/tips").strip(), "").strip()


def _mate_text(manner: Manner, parents: Sequence[Candidate]) -> str | None:
    """Return the feedback on the second of a pair; the advice on how it is read stands with the first."""
    plain = replace(manner, settings=manner.settings.model_copy(update={"tips": False}))
    return _feedback_text(plain, parents[1]) if len(parents) > 1 else None


def _told(brief: Brief) -> list[Candidate]:
    """Return the candidates that a prompt may speak of: not those that the machine failed."""
    return [candidate for candidate in brief.history if candidate.status in STATUS_WORDS]


def _history_text(brief: Brief, turns: int) -> str | None:
    """Return a row for each candidate of the last generations and for each parent, oldest first; None for no turns."""
    if not turns:
        return None
    parents = {parent.id for parent in brief.parents}
    shown = [
        candidate
        for candidate in _told(brief)
        if candidate.generation >= brief.generation - turns or candidate.id in parents
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
        f"{finding.severity}{f' in line {finding.line}' if finding.line else ''} ({finding.code}): {_said(finding)}"
        for finding in ordered
    )


def _said(finding: Finding) -> str:
    """Return a finding's words: a reviewer's as they are, since the times in them are the task's."""
    if finding.code.startswith("review"):
        return prompts.one_line(finding.message, REVIEW_CHARS)
    return prompts.one_line(prompts.portable(finding.message), CAUSE_CHARS)
