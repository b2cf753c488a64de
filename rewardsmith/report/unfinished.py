"""Candidates that an interrupted or running search has begun, read from its journal."""

from __future__ import annotations

from dataclasses import dataclass

from rewardsmith.contract.records import Evaluation, Proposal, Training
from rewardsmith.contract.text import pluralize
from rewardsmith.search.storage import Run
from rewardsmith.search.storage.layout import parse_candidate_id


@dataclass
class UnfinishedCandidate:
    """A candidate without a final status: what is in the journal so far."""

    id: str
    proposal: Proposal | None = None
    """The newest version of its program."""
    is_checked: bool = False
    """Whether the critic has judged that version."""
    trainings: tuple[Training, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()

    def describe(self, planned_trainings: int) -> str:
        """Return its state in words, such as "1 of 2 trainings done"."""
        if self.trainings:
            done = f"{len(self.trainings)} of {pluralize(planned_trainings, 'training')} done"
            return f"{done}, {len(self.evaluations)} evaluated" if self.evaluations else done
        if self.proposal is None:
            return "not designed yet"
        return "checked, not trained yet" if self.is_checked else "designed, not checked yet"


def load_unfinished_candidates(run: Run) -> tuple[UnfinishedCandidate, ...]:
    """Return the candidates that were begun and have no status yet, in the order of their ids."""
    finished = {candidate.id for candidate in run.read_candidates()}
    unfinished: dict[str, UnfinishedCandidate] = {}
    for event in run.read_events():
        id = event.key.partition("/")[0]
        if parse_candidate_id(id) is None or id in finished:
            continue
        candidate = unfinished.setdefault(id, UnfinishedCandidate(id))
        if event.step == "designer":
            candidate.proposal, candidate.is_checked = run.load_event(Proposal, event), False
        elif event.step == "critic":
            candidate.is_checked = True
        elif event.step == "trainer":
            candidate.trainings += (run.load_event(Training, event),)
        elif event.step == "evaluator":
            candidate.evaluations += (run.load_event(Evaluation, event),)
    return tuple(unfinished[id] for id in sorted(unfinished, key=lambda id: parse_candidate_id(id) or (0, 0)))
