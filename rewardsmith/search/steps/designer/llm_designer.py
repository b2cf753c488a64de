"""The designer that asks a language model: one call per program, and one more where the answer holds none.

`prompt_builder` builds the messages; `answer_parser` and `sparse_dense` take the program out of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.errors import ModelRefused
from rewardsmith.contract.records import Brief, Candidate, Finding, Proposal
from rewardsmith.llm import Completion, LanguageModel, Message, parse_sample_index, prompts
from rewardsmith.search.steps.designer import prompt_builder, sparse_dense
from rewardsmith.search.steps.designer.answer_parser import ParsedAnswer, parse_answer
from rewardsmith.search.steps.designer.mend_arguments import add_missing_arguments
from rewardsmith.search.steps.designer.prompt_builder import PromptOptions

ROLE = "designer"
REPAIR_ROLE = "designer-repair"


class LlmDesigner:
    """Writes reward programs by asking a language model."""

    def __init__(self, model: LanguageModel, options: PromptOptions | None = None) -> None:
        """Take the model.

        Args:
            model: the model to ask.
            options: of its prompts; None takes the defaults.
        """
        self._model = model
        self._options = options or PromptOptions()

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a new program for one slot of a generation.

        Raises:
            ModelRefused: if the model declines, or gives no program when asked again either.
            ModelError: if the endpoint cannot be used, or a replayed ledger lacks the answer.
            BudgetExhausted: if a call might pass a limit.
            RunError: if an answer could not be recorded.
        """
        messages = prompt_builder.build_messages(self._options, brief, slot)
        parent_ids = tuple(parent.id for parent in _list_parents(brief, slot))
        return self._ask_for_program(messages, ROLE, slot, parent_ids)

    def repair(self, brief: Brief, proposal: Proposal, findings: Sequence[Finding], round: int) -> Proposal:
        """Return the program repaired by its author; see `propose` for what it raises.

        Args:
            brief: what the designer knew when it wrote the program.
            proposal: the program that was refused.
            findings: why.
            round: number of the repair, from 1.
        """
        slot = parse_sample_index(proposal.transcript) if proposal.transcript else 0
        messages = [
            *prompt_builder.build_messages(self._options, brief, slot),
            *prompt_builder.build_repair_turns(self._options, proposal, findings, round),
        ]
        repaired = self._ask_for_program(messages, REPAIR_ROLE, slot, proposal.parents)

        # The idea stays first: a history that names only the mistake in its place would teach nothing.
        rationales = [rationale for rationale in (proposal.rationale, repaired.rationale) if rationale]
        return replace(repaired, rationale="\n\n".join(rationales), idea=proposal.idea or repaired.idea)

    def _ask_for_program(self, messages: list[Message], role: str, slot: int, parent_ids: tuple[str, ...]) -> Proposal:
        """Ask the model; where its answer holds no program, say why and ask once more."""
        completion = self._model.complete(messages, role=role, sample=slot)
        answer = self._parse_completion(completion)

        if answer.source is None:
            retry = prompt_builder.build_retry_turns(
                self._options, completion.text, answer.problem or "", cut_off=completion.finish == "length"
            )
            completion = self._model.complete([*messages, *retry], role=role, sample=slot)
            answer = self._parse_completion(completion)

        if answer.source is None:
            raise ModelRefused(self._describe_refusal(answer, completion))
        return Proposal(
            answer.source, f"llm:{self._model.name}", parent_ids, answer.rationale, completion.key, answer.idea
        )

    def _parse_completion(self, completion: Completion) -> ParsedAnswer:
        """Take the program out of an answer, in the form that the settings ask for."""
        functions = self._options.required_functions
        answer = parse_answer(completion.text, cut_off=completion.finish == "length", functions=functions)
        if answer.source is not None:
            answer = replace(answer, source=add_missing_arguments(answer.source, functions))
        if self._options.settings.form == "terms" or answer.source is None:
            return answer
        try:
            source = sparse_dense.assemble_program(answer.source, self._options.fixed_weights)
        except sparse_dense.FormError as error:
            return ParsedAnswer(None, answer.rationale, str(error))
        return ParsedAnswer(source, answer.rationale, idea=answer.idea)

    def _describe_refusal(self, answer: ParsedAnswer, completion: Completion) -> str:
        """Say in one line why there is no program, and what to do."""
        next_step = "raise llm.max_tokens" if completion.finish == "length" else "take another --model"
        beginning = prompts.to_one_line(completion.text, 80)
        return (
            f"the model {self._model.name!r} gave no reward program, asked twice: {answer.problem}; {next_step} "
            f"(its last answer begins {beginning!r})"
        )


def _list_parents(brief: Brief, slot: int) -> tuple[Candidate, ...]:
    """Return the candidates that a slot's program is made from: a pair to be crossed, one parent, or none."""
    if brief.mode == "cross":
        return brief.parents
    parent = prompt_builder.choose_parent(brief, slot)
    return (parent,) if parent else ()
