"""The designer that asks a language model: one call per program, one more where the answer holds none.

What it says is in `telling`; how a program is taken out of an answer in `code`, `edits` and `forms`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.contract.records import Brief, Finding, Proposal
from rewardsmith.llm import Completion, LanguageModel, Message, prompts, sample_of
from rewardsmith.search.steps.designer import edits, prompt_builder, sparse_dense
from rewardsmith.search.steps.designer.answer_parser import Extract, extract
from rewardsmith.search.steps.designer.prompt_builder import Manner

ROLE = "designer"
REPAIR_ROLE = "designer-repair"


class LlmDesigner:
    """Writes reward programs by asking a language model."""

    def __init__(self, model: LanguageModel, manner: Manner | None = None) -> None:
        """Take the model.

        Args:
            model: whom to ask.
            manner: how it is told things; None takes the defaults.
        """
        self._model = model
        self._manner = manner or Manner()

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a new program for one slot of a generation.

        Raises:
            ModelRefused: if the model declines, or gives no program when asked again either.
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            BudgetExhausted: if a call might pass a limit.
            RunError: if an answer could not be recorded.
        """
        parent = prompt_builder.parent(brief, slot)
        messages = prompt_builder.messages(self._manner, brief, slot)
        base = parent.proposal.source if parent else None
        made_from = brief.parents if brief.mode == "cross" else (parent,) if parent else ()
        return self._program(messages, ROLE, slot, tuple(one.id for one in made_from), base)

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program mended by its author; see `propose` for what it raises.

        Args:
            brief: what the designer was told when it wrote the program.
            proposal: the program that was refused.
            findings: why.
            round: number of the repair, from 1.
        """
        slot = sample_of(proposal.transcript) if proposal.transcript else 0
        told = prompt_builder.repair(self._manner, proposal, findings, round)
        messages = [*prompt_builder.messages(self._manner, brief, slot), *told]
        mended = self._program(messages, REPAIR_ROLE, slot, proposal.parents, proposal.source)
        # What was wrong follows the idea: a history that named the mistake in its place would teach nothing.
        return replace(mended, rationale="\n\n".join(filter(None, (proposal.rationale, mended.rationale))))

    def _program(
        self, messages: list[Message], role: str, slot: int, parents: tuple[str, ...], base: str | None
    ) -> Proposal:
        """Ask; where the answer holds no program, say so and ask once more."""
        completion = self._model.complete(messages, role=role, sample=slot)
        found = self._read(completion, base)
        if found.source is None:
            cut_off = completion.finish == "length"
            told = prompt_builder.again(self._manner, completion.text, found.problem or "", cut_off=cut_off)
            completion = self._model.complete([*messages, *told], role=role, sample=slot)
            found = self._read(completion, base)
        if found.source is None:
            raise ModelRefused(self._no_program(found, completion))
        return Proposal(found.source, f"llm:{self._model.name}", parents, found.rationale, completion.key)

    def _read(self, completion: Completion, base: str | None) -> Extract:
        """Take the program out of an answer, as the settings have it given.

        Args:
            completion: the answer.
            base: the program that edits are edits of; None where there is none.
        """
        settings = self._manner.settings
        found = _edited(completion.text, base) if settings.edits == "diff" and base else None
        found = found or extract(completion.text, cut_off=completion.finish == "length", entry=self._manner.entry)
        if settings.form == "terms" or found.source is None:
            return found
        try:
            return Extract(sparse_dense.assembled(found.source, prompt_builder.weights(settings)), found.rationale)
        except sparse_dense.FormRefused as error:
            return Extract(None, found.rationale, str(error))

    def _no_program(self, found: Extract, completion: Completion) -> str:
        cure = "raise llm.max_tokens" if completion.finish == "length" else "take another --model"
        beginning = prompts.one_line(completion.text, 80)
        return (
            f"the model {self._model.name!r} gave no reward program, asked twice: {found.problem}; {cure} "
            f"(its last answer begins {beginning!r})"
        )


def _edited(text: str, base: str) -> Extract | None:
    """Return the program with the edits of an answer made; None where the answer holds no edits."""
    found = edits.found(text)
    if not found.edits:
        return None
    rationale = prompts.one_line(found.words, 2000)
    try:
        return Extract(edits.applied(base, found.edits), rationale)
    except edits.EditRefused as error:
        return Extract(None, rationale, str(error))
