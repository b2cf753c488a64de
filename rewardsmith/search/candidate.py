"""The course of one candidate through the steps: proposed, judged and mended; trained and evaluated; explained.

Every step goes through the journal, which answers for a step that is already done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Brief, Candidate, Feedback, Proposal, Verdict
from rewardsmith.search.steps import critic, evaluator, trainer
from rewardsmith.search.steps.analyzer import Analyzer
from rewardsmith.search.steps.critic import Critic
from rewardsmith.search.steps.designer import Designer
from rewardsmith.search.steps.designer.enforce_terms import heeded
from rewardsmith.search.successive_halving import Lane
from rewardsmith.search.trial import Trials


class Course:
    """What every candidate of one search goes through; its methods are called from the threads of the slots."""

    def __init__(self, trials: Trials, designer: Designer, critic: Critic, analyzer: Analyzer) -> None:
        """Put the steps together.

        Args:
            trials: trainer and evaluator, with the run and its journal.
            designer: proposes and repairs programs.
            critic: judges them.
            analyzer: says what came of them.
        """
        self.trials, self.designer, self.critic, self.analyzer = trials, designer, critic, analyzer
        self.run, self.journal, self.watch = trials.run, trials.journal, trials.watch

    def design(self, id: str, brief: Brief, slot: int) -> Candidate:
        """Designer and critic: a refused program goes back to its author, a few times."""
        candidate = Candidate(id, brief.generation, slot, Proposal("", "none"), "invalid")
        tried: list[Candidate] = []
        make = partial(self.propose, brief, slot)
        for attempt in range(1 if brief.given else self.run.config.search.max_repairs + 1):
            self.watch.stage(id, "repair" if attempt else "design")
            try:
                proposal = self.journal.once(f"{id}/designer/{attempt}", Proposal, make)
            except ModelRefused as error:
                return replace(self.critic.settled(tried) if tried else candidate, cause=str(error))
            self.critic.gates.tell(brief.generation, slot, proposal.source)
            self.watch.stage(id, "check")
            judge = partial(self.critic.judge, brief, slot, proposal, tuple(tried))
            verdict = self.journal.once(f"{id}/critic/{attempt}", Verdict, judge)
            tried.append(replace(candidate, proposal=proposal, verdict=verdict, repairs=attempt))
            if verdict.accepted:
                break
            make = partial(self.mend, brief, tuple(tried))
        return self.critic.settled(tried)

    def propose(self, brief: Brief, slot: int) -> Proposal:
        """Designer: write a slot's program; the user's own is tried as it is."""
        proposal = brief.given or self.designer.propose(brief, slot)
        return heeded(brief, proposal) if brief.mode == "weights" else proposal

    def mend(self, brief: Brief, tried: Sequence[Candidate]) -> Proposal:
        """Designer: mend the last program, or stand by one that can be trained where no model answers any more."""
        last, sound = tried[-1], critic.sound(tried)
        findings = last.verdict.findings if last.verdict else ()
        try:
            return self.designer.repair(brief, last.proposal, findings, len(tried))
        except (ModelRefused, BudgetExhausted):
            if sound is None:
                raise
            return sound.proposal

    def score(self, candidate: Candidate, lane: Lane) -> Candidate:
        """Trainer and evaluator: train the program on every seed of the search, and run the policies."""
        config = self.run.config
        episodes = evaluator.seeds(config, evaluator.SELECTION, config.evaluation.episodes)
        seeds = trainer.search_seeds(config)
        outcomes = self.trials.of(candidate.id, candidate.proposal.source, seeds, episodes, lane)
        failed = next((trial for trial in outcomes if trial.status != "ok"), None)
        values = [trial.fitness for trial in outcomes if trial.fitness is not None]
        return replace(
            candidate,
            trainings=tuple(trial.training for trial in outcomes),
            evaluations=tuple(trial.evaluation for trial in outcomes if trial.evaluation),
            status=failed.status if failed else "ok",
            cause=failed.cause if failed else None,
            fitness=None if failed else sum(values) / len(values),
        )

    def explain(self, candidate: Candidate) -> Candidate:
        """Analyzer: say what helped and what failed, for the next prompt and for the user."""
        candidate = self.critic.inherited(candidate)
        folders = [self.trials.home(candidate.id) / f"eval-s{training.seed}" for training in candidate.trainings]
        keep = candidate.status != "infrastructure"
        analyze = partial(self.analyzer.analyze, candidate, folders)
        feedback = self.journal.once(f"{candidate.id}/analyzer", Feedback, analyze, keep=lambda _: keep)
        candidate = replace(candidate, feedback=feedback)
        self.critic.gates.learn(candidate)
        self.run.save(candidate)
        self.watch.judged(candidate)
        return candidate
