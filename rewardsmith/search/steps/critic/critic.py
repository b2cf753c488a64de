"""The critic of one search: checks, gates and review in this order, and what becomes of a slot in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rewardsmith.contract.records import Brief, Candidate, Finding, Probe, Proposal, Verdict
from rewardsmith.llm import Models
from rewardsmith.search.steps.critic import term_constraints
from rewardsmith.search.steps.critic.gates import Gates
from rewardsmith.search.steps.critic.llm_reviewer import Reviewer
from rewardsmith.search.steps.critic.review import review
from rewardsmith.search.storage import Run


class Critic:
    """Judges the programs of one search; its methods are called from the threads of the slots."""

    def __init__(self, run: Run, probe: Probe, models: Models | None) -> None:
        """Put its parts together.

        Args:
            run: with the settings, the probe's transitions and the recorded episodes.
            probe: what the environment offers.
            models: of the roles that ask one; needed where `critic.review` is on.
        """
        self._run, self._probe = run, probe
        asks = models is not None and run.config.critic.review
        config = run.config
        self._reviewer = (
            Reviewer(models.of("critic"), config.critic.rounds, config.designer.form) if models and asks else None
        )
        self.gates = Gates(run, probe)

    def judge(self, brief: Brief, slot: int, proposal: Proposal, tried: Sequence[Candidate]) -> Verdict:
        """Judge one program of a slot.

        Args:
            brief: what its author was told.
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
        if any(one.proposal.source == proposal.source for one in tried if trainable(one)):
            return self._stood_by(proposal, tried)
        transitions, config = self._run.transitions, self._run.config
        verdict = review(proposal.source, self._probe, transitions, config.sandbox)
        if config.designer.form == "sparse-dense":  # its weights are fixed, and its terms are signs
            kept = tuple(found for found in verdict.findings if found.code != "drowning-term")
            verdict = replace(verdict, findings=kept)
        if not brief.given:  # what the user hands in is the user's to decide
            verdict = term_constraints.granted(brief, proposal.source, verdict)
        # What the user hands in is trained as it is.
        if verdict.accepted and not brief.given:
            verdict = self.gates.judge(brief, slot, proposal.source, verdict)
        # A review whose objections no repair can answer any more would be paid for in vain.
        reviewer = None if brief.given else self._reviewer
        if verdict.accepted and reviewer and len(tried) < config.search.max_repairs:
            earlier = [one.verdict for one in tried if one.verdict]
            verdict = reviewer.judge(brief, slot, proposal, verdict, earlier)
        return verdict

    def settled(self, tried: Sequence[Candidate]) -> Candidate:
        """Return what becomes of a slot when its programs have been judged.

        The last program is trained if it was accepted; else the last one that can be trained, objections or not.

        Args:
            tried: the slot's programs with their verdicts, oldest first; at least one.
        """
        held = tuple(one.verdict.gate for one in tried if one.verdict and one.verdict.gate)
        best = tried[-1] if trainable(tried[-1]) else sound(tried)
        if best is not None:
            return replace(best, status="ok", gates=held)
        last, verdict = tried[-1], tried[-1].verdict
        assert verdict is not None  # whatever was tried was judged
        cause = "; ".join(finding.message for finding in verdict.findings if finding.severity == "error")
        if verdict.gate is None or verdict.gate.twin is None:
            return replace(last, cause=cause, gates=held)
        return replace(last, status="duplicate", cause=cause, gates=held)

    def inherited(self, candidate: Candidate) -> Candidate:
        """Return a duplicate with its twin's fitness, as far as there is one; any other candidate as it is.

        It waits for a twin of the same generation; see `Gates.inherited` for what it raises.
        """
        gate = candidate.verdict.gate if candidate.verdict else None
        if candidate.status != "duplicate" or gate is None or gate.twin is None:
            return candidate
        return replace(candidate, fitness=self.gates.inherited(candidate, gate.twin))

    def _stood_by(self, proposal: Proposal, tried: Sequence[Candidate]) -> Verdict:
        """Accept a program that was objected to and came back as it was."""
        known = next(one.verdict for one in reversed(tried) if one.proposal.source == proposal.source and one.verdict)
        kept = tuple(replace(found, severity="warning") for found in known.findings)
        note = Finding("review", "its author stands by it; it is trained as it is", "warning")
        return replace(known, accepted=True, findings=(*kept, note))


def trainable(candidate: Candidate) -> bool:
    """Return whether a judged program can be trained as it is, objections or not."""
    return candidate.verdict is not None and candidate.verdict.trainable


def sound(tried: Sequence[Candidate]) -> Candidate | None:
    """Return the last of these programs that can be trained as it is; None where none can."""
    return next((one for one in reversed(tried) if trainable(one)), None)
