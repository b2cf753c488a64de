"""The critic of one search: checks, pins and bans, review; and the choice of the program that a slot trains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.records import Brief, Candidate, Finding, Probe, Proposal, Verdict
from rewardsmith.llm import ModelPool
from rewardsmith.search.steps.critic import term_constraints
from rewardsmith.search.steps.critic.llm_reviewer import LlmReviewer
from rewardsmith.search.steps.critic.review import check_program_of_run
from rewardsmith.search.storage import Run


class Critic:
    """Judges the programs of one search; its methods are called from the threads of the slots."""

    def __init__(self, run: Run, probe: Probe, models: ModelPool | None) -> None:
        """Put its parts together.

        Args:
            run: with the settings and the probe's transitions.
            probe: what the environment offers.
            models: of the roles that ask one; needed where `critic.review` is on.
        """
        self._run, self._probe, self._config = run, probe, run.config
        self._reviewer: LlmReviewer | None = None
        if models is not None and self._config.critic.review:
            model = models.for_role("critic")
            self._reviewer = LlmReviewer(model, self._config.critic.rounds, self._config.designer.form)

    def judge_program(self, brief: Brief, slot: int, proposal: Proposal, tried: Sequence[Candidate]) -> Verdict:
        """Judge one program of a slot.

        The user's own program is checked, but neither pins and bans nor a reviewer can refuse it.

        Args:
            brief: what its author knew.
            slot: of the generation.
            proposal: the program.
            tried: the slot's programs so far with their verdicts, oldest first.

        Raises:
            SandboxUnavailable: if reward programs cannot be sealed on this machine.
            WorkerFailed: if the reward process fails for another reason than the program.
            ModelError: if the reviewer's endpoint cannot be used, or a replayed ledger lacks the answer.
            RunError: if an answer could not be recorded.
            OSError: if a recording cannot be read.
        """
        unchanged = [earlier for earlier in tried if earlier.proposal.source == proposal.source]
        if any(is_trainable(earlier) for earlier in unchanged):
            return _accept_unchanged(unchanged)

        verdict = check_program_of_run(self._run, self._probe, proposal.source)
        if self._config.designer.form == "sparse-dense":
            verdict = _drop_balance_findings(verdict)
        if brief.user_program:
            return verdict

        verdict = term_constraints.check_pins_and_bans(brief, proposal, verdict)

        # A review is worth its cost only while a repair can still answer its objections.
        if verdict.accepted and self._reviewer and len(tried) < self._config.search.max_repairs:
            earlier_verdicts = [earlier.verdict for earlier in tried if earlier.verdict]
            verdict = self._reviewer.review_program(brief, slot, proposal, verdict, earlier_verdicts)
        return verdict

    def settle_slot(self, tried: Sequence[Candidate]) -> Candidate:
        """Return the candidate that a slot ends with when its programs have been judged.

        It is the last program that can be trained, objections or not; without one the last program, as invalid.

        Args:
            tried: the slot's programs with their verdicts, oldest first; at least one.
        """
        chosen = find_trainable(tried)
        if chosen is not None:
            return replace(chosen, status="ok")
        last = tried[-1]
        assert last.verdict is not None  # every program of a slot is judged
        errors = [finding.message for finding in last.verdict.findings if finding.severity == "error"]
        return replace(last, cause="; ".join(errors))


def is_trainable(candidate: Candidate) -> bool:
    """Return whether a judged program can be trained as it is, objections or not."""
    return candidate.verdict is not None and candidate.verdict.trainable


def find_trainable(tried: Sequence[Candidate]) -> Candidate | None:
    """Return the last of these programs that can be trained as it is; None if none can."""
    return next((candidate for candidate in reversed(tried) if is_trainable(candidate)), None)


def _accept_unchanged(unchanged: Sequence[Candidate]) -> Verdict:
    """Accept a program that was objected to and came back as it was.

    Args:
        unchanged: the slot's earlier candidates with the same program, oldest first; at least one was judged.
    """
    verdict = next(candidate.verdict for candidate in reversed(unchanged) if candidate.verdict)
    warnings = tuple(replace(finding, severity="warning") for finding in verdict.findings)
    note = Finding("review", "its author stands by it; it is trained as it is", "warning")
    return replace(verdict, accepted=True, findings=(*warnings, note))


def _drop_balance_findings(verdict: Verdict) -> Verdict:
    """Drop the findings about the balance of terms, where the weights are fixed and terms are signs."""
    kept = tuple(finding for finding in verdict.findings if finding.code != "drowning-term")
    return replace(verdict, findings=kept)
