"""Prompts of the designer's model: the messages for a slot, built from the brief and the settings.

The same brief and settings give the same bytes, so that a resumed or replayed search finds its answers in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rewardsmith.contract.records import TIMED_FINDINGS, Brief, Candidate, Example, Finding, Limits, Proposal
from rewardsmith.llm import Message, prompts
from rewardsmith.search.steps.designer import sparse_dense
from rewardsmith.search.steps.designer.class_view import render_class
from rewardsmith.search.steps.designer.history_table import (
    describe_noise,
    list_visible_candidates,
    render_failure,
    render_history,
)
from rewardsmith.search.steps.designer.program_absence import format_function_names
from rewardsmith.search.steps.designer.shaping_reference import list_shaping_functions
from rewardsmith.search.steps.designer.signal_table import CATALOGUE_TOKENS, NOT_SEEN, render_signal_table
from rewardsmith.spec.settings import DesignerSettings

CAUSE_CHARS = 400
REVIEW_CHARS = 1_200
QUOTED_CHARS = 120


@dataclass(frozen=True)
class PromptOptions:
    """Options of the prompts, the same for a whole search."""

    settings: DesignerSettings = field(default_factory=DesignerSettings)
    max_terms: int = Limits.max_terms
    catalogue_tokens: int = CATALOGUE_TOKENS
    """Approximate length of the list of signals, in tokens."""
    examples: tuple[Example, ...] = ()
    from_scratch: bool = True
    """Whether every training begins with a random policy."""

    @property
    def required_functions(self) -> tuple[str, ...]:
        """Names of the functions that an answer has to define."""
        return sparse_dense.FUNCTIONS if self.settings.form == "sparse-dense" else ("reward",)

    @property
    def fixed_weights(self) -> dict[str, float]:
        """Weights of the two terms of the form "sparse-dense"."""
        return {"sparse": self.settings.sparse_weight, "dense": self.settings.dense_weight}

    def restore_proposal(self, proposal: Proposal) -> Proposal:
        """Return a proposal with the text that its author wrote, without what the form put around it."""
        if self.settings.form == "terms":
            return proposal
        return replace(proposal, source=sparse_dense.strip_shared_part(proposal.source))

    def restore_candidate(self, candidate: Candidate) -> Candidate:
        """Return a candidate with the text that its author wrote; see `restore_proposal`."""
        return replace(candidate, proposal=self.restore_proposal(candidate.proposal))


def choose_parent(brief: Brief, slot: int) -> Candidate | None:
    """Return the program to build on: parents take turns over the slots, the best first.

    Of a pair to be crossed it is the better one. None where the brief names no parents.
    """
    return brief.parents[_parent_index(brief, slot)] if brief.parents else None


def render_rules(options: PromptOptions, *, prompted_only: bool = True) -> str:
    """Render the rules for reward programs: the system message of every prompt.

    Args:
        options: of the prompts.
        prompted_only: whether to list only the shaping functions that every prompt lists, and not all of them.
    """
    return prompts.render_prompt(
        "designer/system",
        shaping=list_shaping_functions(prompted_only=prompted_only),
        max_terms=options.max_terms,
        settings=options.settings,
        weights=options.fixed_weights,
        from_scratch=options.from_scratch,
    )


def build_messages(options: PromptOptions, brief: Brief, slot: int) -> list[Message]:
    """Build the messages that ask for a slot's program: one prompt, or the conversation that led to its parent."""
    brief = brief if options.settings.reflection else _omit_reflections(brief)
    system = render_rules(options)
    parent = choose_parent(brief, slot)
    if not options.settings.conversation or parent is None or brief.mode == "cross":
        return [Message("system", system), Message("user", _render_single_prompt(options, brief, slot))]
    return [Message("system", system), *_build_conversation(options, brief, parent)]


def build_repair_turns(
    options: PromptOptions, proposal: Proposal, findings: Sequence[Finding], round: int
) -> list[Message]:
    """Build the turns that follow a refused program: the program as its author's answer, and the findings in it."""
    told = _render_findings(findings, proposal.source)
    request = prompts.render_prompt("designer/repair", findings=told, round=round)
    return [Message("assistant", _render_answer(options.restore_proposal(proposal))), Message("user", request)]


def build_retry_turns(options: PromptOptions, answer: str, problem: str, *, cut_off: bool) -> list[Message]:
    """Build the turns that follow an answer without a program.

    Args:
        options: of the search.
        answer: the model's words.
        problem: why there is no program, in a sentence.
        cut_off: whether the answer ended because it reached the limit of its length.
    """
    functions = format_function_names(options.required_functions)
    request = prompts.render_prompt("designer/no-program", problem=problem, cut_off=cut_off, entry=functions)
    return [Message("assistant", answer if answer.strip() else "(no text)"), Message("user", request)]


# ---------------------------------------------------------------- a prompt that stands by itself


def _render_single_prompt(options: PromptOptions, brief: Brief, slot: int) -> str:
    """Render the task, what was tried, and the program to build on as one prompt."""
    # The programs to build on, in the same order for every slot.
    parents = [options.restore_candidate(candidate) for candidate in brief.parents]
    parent = parents[_parent_index(brief, slot)] if parents else None

    # The failures of the last generation, each with its cause.
    last_generation = [
        candidate for candidate in list_visible_candidates(brief) if candidate.generation == brief.generation - 1
    ]
    failed = [candidate for candidate in last_generation if candidate.status != "ok"]

    return prompts.render_prompt(
        "designer/ask",
        **_task_values(options, brief),
        slot=slot,
        history=render_history(brief, options.settings.history),
        noise=describe_noise(brief),
        failures="\n".join(render_failure(candidate) for candidate in failed),
        all_failed=bool(last_generation) and len(failed) == len(last_generation),
        parents=parents,
        parent=parent,
        # The tips are the same for every slot, so they stand before what differs.
        tips=options.settings.tips and any(one.status == "ok" and one.reflection for one in parents),
        feedback=_render_reflection(parent, tips=False) if parent else None,
        mate_id=parents[1].id if len(parents) > 1 else None,
        mate=_render_reflection(parents[1], tips=False) if brief.mode == "cross" and len(parents) > 1 else None,
        best=brief.incumbent or (parents[0].id if parents else None),
    )


def _omit_reflections(brief: Brief) -> Brief:
    """Return a brief whose programs have their fitness and nothing else that their trainings showed."""
    parents = tuple(replace(candidate, reflection=None) for candidate in brief.parents)
    return replace(
        brief, parents=parents, history=tuple(replace(candidate, reflection=None) for candidate in brief.history)
    )


def _parent_index(brief: Brief, slot: int) -> int:
    return 0 if brief.mode == "cross" else slot % len(brief.parents)


def _task_values(options: PromptOptions, brief: Brief) -> dict[str, object]:
    """Return the part of every first prompt: the task, the environment, examples."""
    if options.settings.view == "class":
        signals = render_class(brief.signals, brief.card_signal_count, options.catalogue_tokens)
    else:
        signals = render_signal_table(
            brief.signals, brief.card_signal_count, options.catalogue_tokens, brief.signal_facts, brief.unobserved
        )
    return {
        "brief": replace(brief, notes=_format_notes(brief)),
        "signals": signals,
        "policy_sees": None if brief.unobserved is None else NOT_SEEN in signals,
        "has_figures": bool(brief.signal_facts) and options.settings.view != "class",
        "examples": [_render_example(example) for example in options.examples],
        "settings": options.settings,
    }


def _format_notes(brief: Brief) -> tuple[str, ...]:
    return tuple(f"- {prompts.clean_text(note)}" for note in brief.notes)


def _render_example(example: Example) -> str:
    return f"# {prompts.to_one_line(example.task)} ({prompts.to_one_line(example.env_id)})\n{example.source.strip()}"


# ---------------------------------------------------------------- a conversation


def _build_conversation(options: PromptOptions, brief: Brief, parent: Candidate) -> list[Message]:
    """Build the conversation that led to a program: the task, then each program of its line with its feedback."""
    opening = prompts.render_prompt("designer/opening", **_task_values(options, replace(brief, notes=())))
    turns = [Message("user", opening)]
    for candidate in _trace_lineage(brief, parent, options.settings.history):
        reply = prompts.render_prompt(
            "designer/reflection",
            candidate=candidate,
            feedback=_render_reflection(candidate, tips=options.settings.tips),
            notes=_format_notes(brief) if candidate is parent else (),
            settings=options.settings,
            brief=brief if candidate is parent else None,
        )
        turns.append(Message("assistant", _render_answer(options.restore_proposal(candidate.proposal))))
        turns.append(Message("user", reply))
    return turns


def _trace_lineage(brief: Brief, last: Candidate, turns: int) -> list[Candidate]:
    """Return a candidate with its first parents, at most `turns` of them, oldest first."""
    by_id = {candidate.id: candidate for candidate in brief.history}
    lineage = [last]
    while len(lineage) < turns:
        parents = lineage[0].proposal.parents
        if not parents or parents[0] not in by_id:
            break
        lineage.insert(0, by_id[parents[0]])
    return lineage


def _render_answer(proposal: Proposal) -> str:
    """Render a program as its author's answer."""
    return f"{proposal.rationale}\n\n```python\n{proposal.source.rstrip()}\n```".strip()


# ---------------------------------------------------------------- what earlier programs came to


def _render_reflection(candidate: Candidate, *, tips: bool) -> str | None:
    """Render the analyzer's reflection on a candidate; None without one.

    Args:
        candidate: an earlier program.
        tips: whether to add how to read the reflection; only that on a trained program has figures to read.
    """
    if candidate.reflection is None or not candidate.reflection.text.strip():
        return None
    return prompts.render_prompt(
        "designer/feedback", reflection=candidate.reflection.text.strip(), tips=tips and candidate.status == "ok"
    )


def _render_findings(findings: Sequence[Finding], source: str) -> str:
    """Render a line for each finding, errors first; those that depend on the machine's load are left out.

    Args:
        findings: in the program.
        source: the program, whose lines are quoted.
    """
    text = dict(enumerate(source.splitlines(), start=1))
    reproducible = [finding for finding in findings if finding.code not in TIMED_FINDINGS]
    lines: list[str] = []
    for finding in sorted(reproducible, key=lambda finding: finding.severity != "error"):
        quoted = prompts.to_one_line(text.get(finding.line or 0, ""), QUOTED_CHARS)
        place = f" in line {finding.line}, `{quoted}`" if quoted else f" in line {finding.line}" if finding.line else ""
        lines.append(f"{finding.severity}{place} ({finding.code}): {_render_finding_message(finding)}")
    return "\n".join(lines)


def _render_finding_message(finding: Finding) -> str:
    """Return a finding's message on one line; a reviewer's keeps its times, which are the task's."""
    if finding.code.startswith("review"):
        return prompts.to_one_line(finding.message, REVIEW_CHARS)
    return prompts.to_one_line(prompts.strip_run_details(finding.message), CAUSE_CHARS)
