"""The search loop: designer, critic, trainer, evaluator, analyzer, evolution, until the generations or the budget end.

`Search.run_generation` shows the six steps of one generation; `candidate.py` has what one candidate goes through. The
journal answers for a step that is already done: a resumed search runs this same code from its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rewardsmith.contract.fitness import Fitness, find_unwrapped_comparisons
from rewardsmith.contract.records import Candidate, GenerationPlan, ModelUsage, Probe, Result, SignalFacts
from rewardsmith.contract.reward_program import build_program_error
from rewardsmith.executors.base import Executor
from rewardsmith.executors.frames import FrameRenderer
from rewardsmith.llm import ModelPool
from rewardsmith.search import behaviour_proposal, feedback, final_evaluation, finalists, stopping
from rewardsmith.search.brief import PromptFacts, build_brief
from rewardsmith.search.callbacks import SearchCallback
from rewardsmith.search.candidate import CandidatePipeline
from rewardsmith.search.concurrency import run_in_threads
from rewardsmith.search.feedback import FeedbackState, llm_judge, prompt_notes, scoring_judge
from rewardsmith.search.metric_conflicts import describe_conflicts
from rewardsmith.search.probe import measure_signals, probe_environment
from rewardsmith.search.reference_points import ReferencePoints
from rewardsmith.search.steps import analyzer, critic, evolution, trainer
from rewardsmith.search.steps.critic.behaviour_signature import BehaviourDistance
from rewardsmith.search.steps.designer import Designer
from rewardsmith.search.storage import Clock, Journal, Run
from rewardsmith.search.storage.journal_keys import plan_key
from rewardsmith.search.storage.layout import candidate_id, generation_name
from rewardsmith.search.successive_halving import SuccessiveHalving
from rewardsmith.search.trial import TrialRunner
from rewardsmith.spec.settings import SearchSettings
from rewardsmith.spec.task_cards import describe_unnamed_signals
from rewardsmith.spec.task_warnings import task_warnings


class Search:
    """One search over reward programs for one task."""

    def __init__(
        self,
        run: Run,
        journal: Journal,
        designer: Designer,
        executor: Executor,
        callback: SearchCallback,
        models: ModelPool | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            run: the directory, which holds the task and the configuration.
            journal: of the run, open for writing.
            designer: proposes and repairs programs.
            executor: runs probes, trainings and evaluations.
            callback: receives the events of the search.
            models: of the roles that ask one; None where none does.
        """
        self.run, self.journal, self.executor, self.callback = run, journal, executor, callback
        self.designer, self.models = designer, models

        # Set by `assemble_steps`: all of them need the probed environment, and the probe is a part of the search.
        self.trials: TrialRunner
        self.reference_points: ReferencePoints
        self.signal_facts: Mapping[str, SignalFacts]
        self.pipeline: CandidatePipeline
        self.feedback: feedback.SearchFeedback
        self.behaviour_distance: BehaviourDistance

    def run_search(self) -> Result:
        """Run the search to its end.

        Raises:
            ProgramError: if the user's own program is refused, before anything is trained or paid for.
            NoValidCandidate: if no program of any generation could be scored.
            ModelError: if the language model cannot be reached; what is done stays done.
            WorkerFailed: if the machinery fails beyond its retries.
            RunError: if the run directory cannot be written.
        """
        with Clock(self.run.layout.clock) as clock:
            probe = self.probe_and_check()
            behaviour_proposal.settle_behaviour(
                self.run, self.journal, self.executor, self.models, probe, self.callback.on_notice
            )
            self.assemble_steps(probe)
            self.reference_points.begin()
            history: list[Candidate] = []
            plans: list[GenerationPlan] = []
            stopped: str | None = None

            for generation in range(self.feedback.generations):
                history = self.feedback.rank_candidates(history, generation)
                state = self.feedback.state_at(generation)
                # A generation that is planned is finished, whatever the budget or people say by now.
                if plan_key(generation) not in self.journal:
                    waiting = self.feedback.blocked_reason(history, generation)
                    if waiting:
                        return final_evaluation.pause_search(self.trials, history, self.spent, waiting)
                    stopped = self.stop_reason(history, generation, state, clock.wall_s)
                    if stopped:
                        break
                outcomes = self.run_generation(history, plans, state)
                history += [outcome for outcome in outcomes if isinstance(outcome, Candidate)]
                stopped = stopping.raise_or_budget_reason(outcomes)
                if stopped:
                    break

            history = self.feedback.rank_candidates(history, len(plans))
            waiting = None if stopped else self.feedback.blocked_reason(history, len(plans))
            if waiting:
                return final_evaluation.pause_search(self.trials, history, self.spent, waiting)
            return self.report_result(history, stopped, clock)

    def run_generation(
        self, history: list[Candidate], plans: list[GenerationPlan], state: FeedbackState
    ) -> list[Candidate | BaseException]:
        """Run the six steps of one generation: evolution plans it, and its slots go through the other five at once.

        Args:
            history: every candidate so far.
            plans: of the generations before; this one's is added.
            state: the feedback of people that the generation hears.

        Returns:
            A candidate for each slot, or the error that ended it.
        """
        generation, config = len(plans), self.run.config.search
        plan = self.plan_generation(history, plans, state)  # evolution
        plans.append(plan)
        facts = PromptFacts(self.signal_facts, self.reference_points.describe(generation))
        probe = self.trials.probe
        briefs = [build_brief(self.run, probe, generation, history, slot, state, facts) for slot in plan.slots]
        ids = [candidate_id(generation, slot) for slot in range(len(briefs))]
        parents = {parent.id: parent for brief in briefs for parent in brief.parents}
        self.callback.on_generation_start(replace(briefs[0], parents=tuple(parents.values())))
        for id, brief in zip(ids, briefs, strict=True):
            if config.warm_start == "parent" and brief.parents:
                self.trials.inherit_policies(id, brief.parents[0])
        halving = SuccessiveHalving(self.journal, generation, ids, trainer.search_seeds(self.run.config), config.keep)

        def run_slot(slot: int) -> Candidate:
            with halving.handle_for(ids[slot]) as handle:  # whatever happens, the other slots do not wait for this one
                candidate = self.pipeline.run_designer_and_critic(ids[slot], briefs[slot], slot)
                if candidate.status == "ok":
                    candidate = self.pipeline.run_trainer_and_evaluator(candidate, handle)
            return self.pipeline.run_analyzer(candidate, reads=generation < self.planned_search.read_generations)

        return run_in_threads(run_slot, range(len(briefs)))

    # ---------------------------------------------------------------- the parts

    @property
    def planned_search(self) -> SearchSettings:
        """The settings of the search, with the generations that people asked for."""
        return self.run.config.search.model_copy(update={"generations": self.feedback.generations})

    def probe_and_check(self) -> Probe:
        """Probe the environment, and check what can be checked before anything is trained or paid for."""
        run = self.run
        for notice in run.take_notices():
            self.callback.on_notice(notice)
        probe = probe_environment(run, self.journal, self.executor, self.callback.on_notice)
        warnings = [*task_warnings(run.task), describe_unnamed_signals(probe.signals), *probe.remarks]
        warnings.append(trainer.observation_remark(run.config, probe))
        warnings += find_unwrapped_comparisons(Fitness.parse(run.task.fitness), probe.signals)
        for warning in filter(None, warnings):
            self.callback.on_notice(warning)
        source = run.read_user_program()
        if source is not None:
            verdict = critic.check_program_of_run(run, probe, source)
            if not verdict.trainable:
                raise build_program_error(verdict.findings)
        return probe

    def assemble_steps(self, probe: Probe) -> None:
        """Make the steps for a probed environment, and announce the search."""
        run, journal, models = self.run, self.journal, self.models
        frames = FrameRenderer(self.executor, self.callback.on_notice)
        notify = self.callback.on_notice
        judge = scoring_judge.build_scoring_judge(run, journal, models, probe, frames, notify)
        self.trials = TrialRunner(run, journal, self.executor, self.callback, probe, judge)
        self.reference_points = ReferencePoints(self.trials)
        self.signal_facts = measure_signals(run, probe)
        self.pipeline = CandidatePipeline(
            self.trials, self.designer, critic.Critic(run, probe, models), analyzer.Analyzer(run, probe, models, frames)
        )
        self.feedback = feedback.SearchFeedback(run, journal, llm_judge.build_judge(run, journal, models, frames))
        self.behaviour_distance = BehaviourDistance.for_run(run, probe)

        search = self.planned_search
        self.callback.on_search_start(search.trainings, search.env_steps)

    def stop_reason(self, history: list[Candidate], generation: int, state: FeedbackState, wall_s: float) -> str | None:
        """Return why the search ends before a generation; None if it does not."""
        added, was_requested = len(state.pending_programs), self.feedback.was_requested(generation)
        return stopping.stop_reason(self.run.config, history, wall_s, programs=added, target=not was_requested)

    def plan_generation(
        self, history: list[Candidate], plans: list[GenerationPlan], state: FeedbackState
    ) -> GenerationPlan:
        """Let evolution decide what each slot is made from; the user's programs get slots behind these."""
        generation, config = len(plans), self.run.config
        signals = [signal.name for signal in self.trials.probe.signals]

        def make_plan() -> GenerationPlan:
            behaviour = self.run.task.behaviour
            plan = evolution.plan_generation(config, history, plans, signals, self.behaviour_distance, behaviour)
            return prompt_notes.add_program_slots(plan, state)

        plan = self.journal.once(plan_key(generation), GenerationPlan, make_plan)
        if generation == 0 and config.search.user_alone and self.run.read_user_program() is not None:
            plan = replace(plan, slots=plan.slots[:1])
        for note in plan.notes:
            self.callback.on_notice(f"{generation_name(generation)}: {note}")
        return plan

    def report_result(self, history: list[Candidate], stopped: str | None, clock: Clock) -> Result:
        """Let fresh trainings decide between the best programs, measure the one that is named, and report it."""
        settings, generations = self.run.config.evolution, self.feedback.generations
        incumbent = evolution.find_incumbent(history, settings)
        if incumbent is None:
            raise stopping.no_result_error(history, stopped, self.run)
        trained, limit = finalists.train_finalists(
            self.trials,
            history,
            stopping.count_finalist_trainings(self.run.config, history, generations),
            lambda: stopping.wall_time_reason(self.run.config, clock.wall_s),
        )
        best = finalists.name_best(history, trained, settings) or incumbent
        for conflict in describe_conflicts(self.run.task.metrics, best, history):
            self.callback.on_notice(conflict)
        if trained:
            self.callback.on_notice(finalists.describe_choice(incumbent, best, trained))
        result = final_evaluation.report_best(self.trials, best, history, trained, lambda: self.spent, stopped or limit)
        self.callback.on_search_end(result)
        return result

    @property
    def spent(self) -> ModelUsage:
        """Costs of the language models so far."""
        return self.models.spent if self.models else ModelUsage()
