"""Candidate pipeline: one program goes through designer, critic, trainer, evaluator and analyzer.

Every step goes through the journal, which answers for a step that is already done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rewardsmith.contract.errors import BudgetExhausted, ModelRefused
from rewardsmith.contract.records import Brief, Candidate, Proposal, Reflection, Verdict
from rewardsmith.search.steps import critic, evaluator, trainer
from rewardsmith.search.steps.analyzer import Analyzer
from rewardsmith.search.steps.critic import Critic
from rewardsmith.search.steps.designer import Designer
from rewardsmith.search.storage.journal_keys import analyzer_key, critic_key, designer_key
from rewardsmith.search.successive_halving import CandidateHandle
from rewardsmith.search.trial import TrialRunner


class CandidatePipeline:
    """Runs one candidate through design, critique, training, evaluation and analysis, from the threads of the slots."""

    def __init__(self, trials: TrialRunner, designer: Designer, critic: Critic, analyzer: Analyzer) -> None:
        """Put the steps together.

        Args:
            trials: trainer and evaluator, with the run and its journal.
            designer: proposes and repairs programs.
            critic: judges them.
            analyzer: writes the reflection.
        """
        self.trials, self.designer, self.critic, self.analyzer = trials, designer, critic, analyzer
        self.run, self.journal, self.callback = trials.run, trials.journal, trials.callback

    def run_designer_and_critic(self, id: str, brief: Brief, slot: int) -> Candidate:
        """Have a program designed and judged; a refused one goes back to its author, a few times.

        Args:
            id: of the candidate.
            brief: the material for its author.
            slot: of the generation.

        Returns:
            The candidate with the program to train, status "ok"; or with the cause why there is no program.
        """
        candidate = Candidate(id, brief.generation, slot, Proposal("", "none"), "invalid")
        tried: list[Candidate] = []
        attempts = 1 if brief.user_program else self.run.config.search.max_repairs + 1

        for attempt in range(attempts):
            # Designer: the first program, then repairs of the last one.
            self.callback.on_stage(id, "repair" if attempt else "design")
            author = partial(self._repair, brief, tuple(tried)) if attempt else partial(self._propose, brief, slot)
            try:
                proposal = self.journal.once(designer_key(id, attempt), Proposal, author)
            except ModelRefused as error:
                return replace(self.critic.settle_slot(tried) if tried else candidate, cause=str(error))

            # Critic.
            self.callback.on_stage(id, "check")
            judge = partial(self.critic.judge_program, brief, slot, proposal, tuple(tried))
            verdict = self.journal.once(critic_key(id, attempt), Verdict, judge)
            self.trials.remember_verdict(proposal.source, verdict)
            tried.append(replace(candidate, proposal=proposal, verdict=verdict, repairs=attempt))
            if verdict.accepted:
                break
        return self.critic.settle_slot(tried)

    def run_trainer_and_evaluator(self, candidate: Candidate, handle: CandidateHandle) -> Candidate:
        """Train the program on every seed of the search, and evaluate the policies.

        Args:
            candidate: with a program that the critic lets through.
            handle: of the candidate in its generation's successive halving.
        """
        config = self.run.config
        episodes = evaluator.episode_seeds(config, evaluator.SELECTION, config.evaluation.episodes)
        seeds = trainer.search_seeds(config)
        trials = self.trials.run_trials(candidate.id, candidate.proposal.source, seeds, episodes, handle)
        failed = next((trial for trial in trials if trial.status != "ok"), None)
        values = [trial.fitness for trial in trials if trial.fitness is not None]
        return replace(
            candidate,
            trainings=tuple(trial.training for trial in trials),
            evaluations=tuple(trial.evaluation for trial in trials if trial.evaluation),
            status=failed.status if failed else "ok",
            cause=failed.cause if failed else None,
            fitness=None if failed else sum(values) / len(values),
        )

    def run_analyzer(self, candidate: Candidate, reads: bool = True) -> Candidate:
        """Have the reflection written, for the next prompt and for the user, and save the candidate.

        Args:
            candidate: trained and evaluated, or with the cause why it was not.
            reads: whether a model may be asked to read its episodes; see `Analyzer.analyze`.
        """
        layout = self.run.layout
        folders = [layout.evaluation_dir(candidate.id, training.seed) for training in candidate.trainings]
        is_kept = candidate.status != "infrastructure"  # a failure of the machine is tried again
        analyze = partial(self.analyzer.analyze, candidate, folders, reads)
        reflection = self.journal.once(analyzer_key(candidate.id), Reflection, analyze, keep=lambda _: is_kept)
        candidate = replace(candidate, reflection=reflection)
        self.run.save_candidate(candidate)
        self.callback.on_candidate_end(candidate)
        return candidate

    def _propose(self, brief: Brief, slot: int) -> Proposal:
        """Return a slot's first program; the user's own is tried as it is."""
        return brief.user_program or self.designer.propose(brief, slot)

    def _repair(self, brief: Brief, tried: Sequence[Candidate]) -> Proposal:
        """Return a repair of the last program; where no model answers, an earlier one that can be trained."""
        last, trainable = tried[-1], critic.find_trainable(tried)
        findings = last.verdict.findings if last.verdict else ()
        try:
            return self.designer.repair(brief, last.proposal, findings, len(tried))
        except (ModelRefused, BudgetExhausted):
            if trainable is None:
                raise
            return trainable.proposal
